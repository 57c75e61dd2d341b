package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/cmd/roomcast/sample"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

// maxDrain is how long publishers may stay in these tests.
const maxDrain = 20 * time.Second

// fleetShow is one streamer and its room.
type fleetShow struct {
	user     string
	mode     string
	room     room
	playlist string // at the CDN; "" in mode RTMP
	flv      string // at the load balancer
	mu       sync.Mutex
	granted  int
}

func (s *fleetShow) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.granted
}

// publish streams until ctx ends, and comes back as encoders do.
func (f *fleet) publish(ctx context.Context, wg *sync.WaitGroup, s *fleetShow, tags []rtmpout.Tag) {
	key := f.api.member(s.user)
	loop := rtmpout.Loop{
		URL: "rtmp://" + f.rtmp.ln.Addr().String() + "/live/" + key.StreamKey + "?mode=" + s.mode, Tags: tags, Reconnect: true,
		Client:    rtmpout.Options{Now: time.Now},
		Connected: func() { s.mu.Lock(); s.granted++; s.mu.Unlock() },
	}
	wg.Go(func() {
		if err := loop.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			f.t.Errorf("%s: %v", s.user, err)
		}
	})
}

// goLive makes n shows, the first ones over HLS and HTTP-FLV, the others over
// HTTP-FLV alone, and waits until each can be watched.
func (f *fleet) goLive(ctx context.Context, wg *sync.WaitGroup, n, hls int) []*fleetShow {
	f.t.Helper()
	var tags []rtmpout.Tag
	for tag, err := range rtmpout.ReadFLV(bytes.NewReader(sample.FLV)) {
		if err != nil {
			f.t.Fatal(err)
		}
		tags = append(tags, tag)
	}
	shows := make([]*fleetShow, n)
	for i := range shows {
		shows[i] = &fleetShow{user: fmt.Sprintf("user%d", i), mode: "RTMP"}
		if i < hls {
			shows[i].mode = "RTMP_CMAF"
		}
		f.publish(ctx, wg, shows[i], tags)
	}
	for _, s := range shows {
		s.room = f.api.newRoom(s.user)
		f.api.awaitKey(s.user, "ACTIVE", patience)
		s.room = f.api.roomDo(s.room.ID, "start", nil)
		s.flv = strings.Replace(*s.room.Playback.HTTPFLVURL, f.api.http, f.web.ln.Addr().String(), 1)
		if s.mode == "RTMP" {
			continue
		}
		master := strings.Replace(*s.room.Playback.HLSURL, "http://"+f.api.http, f.front.URL, 1)
		text, err := get(ctx, master)
		if err != nil {
			f.t.Fatal(err)
		}
		at, err := url.Parse(master)
		if err != nil {
			f.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				at = at.JoinPath("..", line)
				break
			}
		}
		s.playlist = at.String()
	}
	return shows
}

// live waits until each show goes on in its n-th connection.
func (f *fleet) live(shows []*fleetShow, n int) {
	f.t.Helper()
	for _, s := range shows {
		eventually(f.t, 2*maxDrain+patience, fmt.Sprintf("%s has come back", s.user), func() error {
			if got := s.connections(); got != n {
				return fmt.Errorf("%d connections, want %d", got, n)
			}
			return nil
		})
		f.api.awaitKey(s.user, "ACTIVE_LIVE", patience)
		if r := f.api.room(s.room.ID); r.State != "LIVE" {
			f.t.Errorf("%s: the room is %s", s.user, r.State)
		}
	}
}

func TestAStoppedWorkerClosesItsPublishersCleanlyWithinItsTime(t *testing.T) {
	f := newFleet(t)
	blue, second := f.run("blue"), f.run("blue")
	f.rtmp.set(second.rtmp, false)
	streaming, stop := context.WithCancel(context.Background())
	var encoders sync.WaitGroup
	defer encoders.Wait()
	defer stop()
	shows := f.goLive(streaming, &encoders, 3, 3)
	eventually(t, 10*time.Second, "the task is protected", func() error {
		if !blue.isProtected() {
			return errors.New("it is not")
		}
		return nil
	})
	f.rtmp.set(blue.rtmp, false) // as ECS does before it stops a task
	f.rtmp.set(second.rtmp, true)
	blue.terminate()
	blue.ended(30 * time.Second)
	f.live(shows, 2)
	if n := second.admitted(); n != 3 {
		t.Errorf("the other worker took %d publishers of 3", n)
	}
	rooms := map[string]bool{}
	for line := range strings.Lines(second.out.String()) {
		var l struct{ Msg, Session, Key, Room string }
		if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "publishing" && l.Session != "" && l.Key != "" {
			rooms[l.Room] = true
		}
	}
	for _, s := range shows {
		if !rooms[s.room.ID] {
			t.Errorf("no line of the log tells that %s publishes for %s", s.user, s.room.ID)
		}
	}
}
