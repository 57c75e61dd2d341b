//go:build long

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// 20 publishers, 10 of them with HLS. 200 viewers, 160 over HLS and 40 over HTTP-FLV.
const rolloverShows, hlsShows, hlsViewers, flvViewers = 20, 10, 16, 2

// TestTwoWorkersAreRolledOverUnderTheirShows replaces both workers, one after
// the other, while publishers stream and viewers watch.
func TestTwoWorkersAreRolledOverUnderTheirShows(t *testing.T) {
	f := newFleet(t)
	blue := f.run("blue")
	streaming, stop := context.WithCancel(context.Background())
	var encoders sync.WaitGroup
	defer encoders.Wait()
	defer stop()
	shows := f.goLive(streaming, &encoders, rolloverShows, hlsShows)

	watchers, listeners, leave := f.watch(shows, hlsViewers, flvViewers)
	defer leave()
	watching, stopWatching := context.WithCancel(context.Background())
	var observers sync.WaitGroup
	defer observers.Wait()
	defer stopWatching()
	states, slowest := f.follow(watching, &observers), f.pulse(watching, &observers)

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
	stopWatching()
	observers.Wait()
	// An HTTP-FLV viewer has no buffer: its silence has the encoder's pause of 1 s in
	// it. A store that once takes longer than AWS's (a machine that is busy) is no
	// fault of the workers.
	limit := targetDuration + max(0, slowest()-asOnAWS)
	f.judge(watchers, listeners, limit, limit)
	seen := states()
	for _, s := range shows {
		for _, state := range seen[s.room.ID] {
			if state != "LIVE" && state != "LIVE_INACTIVE" {
				t.Errorf("%s: the room was %v", s.user, seen[s.room.ID])
			}
		}
		if n := len(seen[s.room.ID]); n < 50 {
			t.Errorf("%s: its room was seen %d times", s.user, n)
		}
		if d := cmp.Diff(s.room.Playback, f.api.room(s.room.ID).Playback); d != "" {
			t.Errorf("%s: the URLs were (-) and are (+):\n%s", s.user, d)
		}
	}
}

// asOnAWS is what DynamoDB seldom takes longer for.
const asOnAWS = 100 * time.Millisecond

// pulse measures how long the store takes for an answer until ctx ends; it
// answers the slowest.
func (f *fleet) pulse(ctx context.Context, wg *sync.WaitGroup) func() time.Duration {
	var took []time.Duration
	wg.Go(func() {
		for ctx.Err() == nil {
			begin := time.Now()
			_, _ = get(ctx, "http://"+f.api.http+"/readyz") // slow is what counts
			if ctx.Err() == nil {
				took = append(took, time.Since(begin))
			}
			select {
			case <-ctx.Done():
			case <-time.After(300 * time.Millisecond):
			}
		}
	})
	return func() time.Duration {
		slices.Sort(took)
		f.t.Logf("the store's answers took %s, the slowest %s", took[len(took)/2], took[len(took)-1])
		return took[len(took)-1]
	}
}

// follow notes every state of the rooms until ctx ends.
func (f *fleet) follow(ctx context.Context, wg *sync.WaitGroup) func() map[string][]string {
	seen := map[string][]string{}
	wg.Go(func() {
		for ctx.Err() == nil {
			var list struct {
				Items []room `json:"items"`
			}
			if err := f.api.api.Do(ctx, http.MethodGet, "/v2/apps/me/video-rooms?limit=100", nil, &list); err == nil {
				for _, r := range list.Items {
					seen[r.ID] = append(seen[r.ID], r.State)
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(500 * time.Millisecond):
			}
		}
	})
	return func() map[string][]string { return seen }
}
