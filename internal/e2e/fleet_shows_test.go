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
const maxDrain = 30 * time.Second

// fleetShow is one streamer and its room.
type fleetShow struct {
	user     string
	mode     string
	room     room
	playlist string // at the CDN; "" in mode RTMP
	flv      string // at the load balancer
	mu       sync.Mutex
	granted  int
	// goesOn: its encoder never stops, so that a new connection begins with the
	// next key frame; else it begins anew.
	goesOn bool
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
		URL: "rtmp://" + f.rtmp.ln.Addr().String() + "/live/" + key.StreamKey + "?mode=" + s.mode, Tags: tags, Reconnect: true, GoesOn: s.goesOn,
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
		shows[i] = &fleetShow{user: fmt.Sprintf("user%d", i), mode: "RTMP", goesOn: i%2 == 1}
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
		// The key may be so still: the end of the session before is on its way.
		eventually(f.t, patience, s.user+" is live", func() error {
			if r := f.api.room(s.room.ID); r.State != "LIVE" {
				return errors.New("the room is " + r.State)
			}
			return nil
		})
	}
}

// watch has n viewers of each show over HLS and as many over HTTP-FLV, until
// leave is called, which waits for them.
func (f *fleet) watch(shows []*fleetShow, hls, flv int) (watchers []*watcher, listeners []*listener, leave func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var audience sync.WaitGroup
	for _, s := range shows {
		if s.playlist != "" {
			for range hls {
				v := &watcher{}
				watchers = append(watchers, v)
				audience.Go(func() { v.watch(ctx, s.playlist) })
			}
		}
		for range flv {
			v := &listener{}
			listeners = append(listeners, v)
			audience.Go(func() { v.watch(ctx, s.flv) })
		}
	}
	return watchers, listeners, func() { cancel(); audience.Wait() }
}

// judge fails where a viewer saw nothing for too long, and says what was worst.
func (f *fleet) judge(watchers []*watcher, listeners []*listener, longestStall, longestSilence time.Duration) {
	f.t.Helper()
	var stall, gap time.Duration
	for _, v := range watchers {
		if stall = max(stall, v.stall); v.failed != nil || v.played.Load() < 5 {
			f.t.Errorf("an HLS viewer played %d segments: %v", v.played.Load(), v.failed)
		}
	}
	cuts := 0
	for _, v := range listeners {
		gap = max(gap, v.gap)
		cuts += v.cuts
	}
	f.t.Logf("%d HLS viewers: longest stall %s; %d HTTP-FLV viewers: longest silence %s, %d connections cut",
		len(watchers), stall, len(listeners), gap, cuts)
	if stall > longestStall {
		f.t.Errorf("an HLS viewer stalled for %s, more than %s", stall, longestStall)
	}
	if gap > longestSilence {
		f.t.Errorf("an HTTP-FLV viewer saw nothing for %s, more than %s", gap, longestSilence)
	}
}

// TestAStoppedWorkerHandsItsPublishersOver has the publishers on one worker, the
// HTTP-FLV viewers on a second one, and stops the first: a third one takes the
// publishers, and the second has to find them there.
func TestAStoppedWorkerHandsItsPublishersOver(t *testing.T) {
	f := newFleet(t)
	blue, second, third := f.run("blue"), f.run("blue"), f.run("blue")
	for _, k := range []*task{blue, second, third} {
		f.rtmp.set(k.rtmp, k == blue)
		f.web.set(k.web, k == second)
	}
	streaming, stop := context.WithCancel(context.Background())
	var encoders sync.WaitGroup
	defer encoders.Wait()
	defer stop()
	shows := f.goLive(streaming, &encoders, 3, 3)
	watchers, listeners, leave := f.watch(shows, 1, 1)
	defer leave()
	// watched waits until each viewer has seen n segments or as many seconds.
	watched := func(n int64) {
		for i := range watchers {
			eventually(t, patience, "the shows are watched", func() error {
				if hls, flv := watchers[i].played.Load(), listeners[i].reads.Load(); hls < n || flv < 5*n {
					return fmt.Errorf("%d segments, %d reads", hls, flv)
				}
				return nil
			})
		}
	}
	watched(3)
	eventually(t, 10*time.Second, "the task is protected", func() error {
		if !blue.isProtected() {
			return errors.New("it is not")
		}
		return nil
	})
	f.rtmp.set(blue.rtmp, false) // as ECS does before it stops a task
	f.rtmp.set(third.rtmp, true)
	blue.terminate()
	blue.ended(40 * time.Second)
	f.live(shows, 2)
	if n := third.admitted(); n != 3 {
		t.Errorf("the other worker took %d publishers of 3", n)
	}
	watched(8)
	leave()
	// On a quiet machine there is no stall, and a silence of 1.5 to 2 s.
	f.judge(watchers, listeners, 2*targetDuration, 5*time.Second)
	rooms := map[string]bool{}
	for line := range strings.Lines(third.out.String()) {
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

// targetDuration is that of the sample's segments.
const targetDuration = 2 * time.Second
