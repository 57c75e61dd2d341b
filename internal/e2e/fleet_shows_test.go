package e2e

import (
	"bytes"
	"context"
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
	room     room
	playlist string // at the CDN
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
		URL: "rtmp://" + f.rtmp.ln.Addr().String() + "/live/" + key.StreamKey + "?mode=RTMP_CMAF", Tags: tags, Reconnect: true,
		Client:    rtmpout.Options{Now: time.Now},
		Connected: func() { s.mu.Lock(); s.granted++; s.mu.Unlock() },
	}
	wg.Go(func() {
		if err := loop.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			f.t.Errorf("%s: %v", s.user, err)
		}
	})
}

// goLive makes the shows and waits until each can be watched.
func (f *fleet) goLive(ctx context.Context, wg *sync.WaitGroup, n int) []*fleetShow {
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
		shows[i] = &fleetShow{user: fmt.Sprintf("user%d", i)}
		f.publish(ctx, wg, shows[i], tags)
	}
	for _, s := range shows {
		s.room = f.api.newRoom(s.user)
		f.api.awaitKey(s.user, "ACTIVE", patience)
		s.room = f.api.roomDo(s.room.ID, "start", nil)
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
		s.flv = strings.Replace(*s.room.Playback.HTTPFLVURL, f.api.http, f.web.ln.Addr().String(), 1)
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
	shows := f.goLive(streaming, &encoders, 3)
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
}
