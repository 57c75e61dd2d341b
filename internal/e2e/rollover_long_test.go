//go:build long

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// 20 publishers, 8 of them with HLS, whose objects are most of what LocalStack,
// with about 100 calls a second, can take. 200 viewers, 160 over HLS and 40 over
// HTTP-FLV.
const rolloverShows, hlsShows, hlsViewers, flvViewers = 20, 8, 20, 2

// TestTwoWorkersAreRolledOverUnderTheirShows replaces both workers, one after
// the other, while publishers stream and viewers watch.
func TestTwoWorkersAreRolledOverUnderTheirShows(t *testing.T) {
	f := newFleet(t)
	blue := f.run("blue")
	streaming, stop := context.WithCancel(context.Background())
	var encoders, audience sync.WaitGroup
	defer encoders.Wait()
	defer stop()
	shows := f.goLive(streaming, &encoders, rolloverShows, hlsShows)

	watching, leave := context.WithCancel(context.Background())
	defer audience.Wait()
	defer leave()
	watchers, listeners := make([]watcher, hlsShows*hlsViewers), make([]listener, rolloverShows*flvViewers)
	for i := range watchers {
		audience.Go(func() { watchers[i].watch(watching, shows[i%hlsShows].playlist) })
	}
	for i := range listeners {
		audience.Go(func() { listeners[i].watch(watching, shows[i%rolloverShows].flv) })
	}
	states := f.follow(watching, &audience, shows)

	slow := f.pulse(watching, &audience)

	// The next colour runs before it is wanted, and then takes what is new.
	green := f.run("green")
	f.want("green")
	eventually(t, 20*time.Second, "the load balancer lets go of blue", func() error {
		if f.rtmp.has(blue.rtmp) || f.web.has(blue.web) || !blue.isProtected() {
			return fmt.Errorf("rtmp %t, web %t, protected %t", f.rtmp.has(blue.rtmp), f.web.has(blue.web), blue.isProtected())
		}
		return nil
	})
	begun := time.Now()
	if err := status(http.MethodGet, "http://"+blue.web+"/healthz", http.StatusOK); err != nil {
		t.Errorf("a worker that drains is not healthy: %v", err)
	}
	for _, s := range shows {
		if n := s.connections(); n != 1 {
			t.Errorf("%s connected %d times before it had to", s.user, n)
		}
	}
	f.live(shows, 2)
	blue.ended(maxDrain + patience)
	if took := time.Since(begun); took < 2*maxDrain-5*time.Second {
		t.Errorf("blue ended after %s, its shows had %s and its viewers as long again", took, maxDrain)
	}
	if n := green.admitted(); n != rolloverShows {
		t.Errorf("green took %d publishers of %d", n, rolloverShows)
	}

	// Back: the same with a blue of the next version.
	again := f.run("blue")
	f.want("blue")
	f.live(shows, 3)
	green.ended(maxDrain + patience)
	if n := again.admitted(); n != rolloverShows {
		t.Errorf("the second blue took %d publishers of %d", n, rolloverShows)
	}
	time.Sleep(3 * targetDuration) // long enough to see a stall that has begun
	leave()
	audience.Wait()

	var stall, gap time.Duration
	for _, v := range watchers {
		if stall = max(stall, v.stall); v.failed != nil || v.played < 5 {
			t.Errorf("an HLS viewer played %d segments: %v", v.played, v.failed)
		}
	}
	cuts := 0
	for _, v := range listeners {
		gap = max(gap, v.gap)
		cuts += v.cuts
	}
	t.Logf("%d shows, %d HLS viewers: longest stall %s; %d HTTP-FLV viewers: longest silence %s, %d connections cut",
		rolloverShows, len(watchers), stall, len(listeners), gap, cuts)
	// What an outage of LocalStack adds is no stall of ours: a publisher who
	// comes back waits for it a few times over.
	limit := targetDuration + 5*slow()
	if stall > limit {
		t.Errorf("an HLS viewer stalled for %s, more than %s", stall, limit)
	}
	// The encoder's own pause of 1 s, and the time to its first key frame.
	if gap > time.Second+limit {
		t.Errorf("an HTTP-FLV viewer saw nothing for %s, more than %s", gap, limit)
	}
	for user, seen := range states() {
		for _, s := range seen {
			if s != "LIVE" && s != "LIVE_INACTIVE" {
				t.Errorf("%s: the room was %v", user, seen)
			}
		}
	}
	for _, s := range shows {
		if d := cmp.Diff(s.room.Playback, f.api.room(s.room.ID).Playback); d != "" {
			t.Errorf("%s: the URLs were (-) and are (+):\n%s", s.user, d)
		}
	}
}

// targetDuration is that of the sample's segments.
const targetDuration = 2 * time.Second

// pulse measures how long the store takes at its slowest until ctx ends.
func (f *fleet) pulse(ctx context.Context, wg *sync.WaitGroup) (worst func() time.Duration) {
	var longest time.Duration
	wg.Go(func() {
		for ctx.Err() == nil {
			begin := time.Now()
			_, _ = get(ctx, "http://"+f.api.http+"/readyz") // slow is what counts
			if ctx.Err() == nil {
				longest = max(longest, time.Since(begin))
			}
			select {
			case <-ctx.Done():
			case <-time.After(300 * time.Millisecond):
			}
		}
	})
	return func() time.Duration { f.t.Logf("the store's slowest answer took %s", longest); return longest }
}

// follow notes every state of the rooms until ctx ends.
func (f *fleet) follow(ctx context.Context, wg *sync.WaitGroup, shows []*fleetShow) func() map[string][]string {
	seen := map[string][]string{}
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			s := shows[i%len(shows)]
			var r room
			if err := f.api.api.Do(ctx, http.MethodGet, "/v2/apps/me/video-rooms/"+s.room.ID, nil, &r); err == nil {
				seen[s.user] = append(seen[s.user], r.State)
			}
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	})
	return func() map[string][]string { return seen }
}
