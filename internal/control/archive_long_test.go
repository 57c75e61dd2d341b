//go:build long

package control_test

import (
	"runtime"
	"slices"
	"testing"
	"time"
)

// requestTakes is what a request to S3 takes within its region.
const requestTakes = 20 * time.Millisecond

// A show is playable within five seconds of its end, however long it was, and
// its segments are not kept in memory.
func TestAShowOfTwelveHoursIsPlayableWithinFiveSeconds(t *testing.T) {
	for name, segments := range map[string]int{"10 minutes": 300, "3 hours": 5_400, "12 hours": 21_600} {
		t.Run(name, func(t *testing.T) {
			var took []time.Duration
			var most int64
			for range 8 {
				r := newRecorded(t, 1, segments, segments) // recorded from the third on
				r.bucket.lag = requestTakes
				runtime.GC()
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				began := time.Now()
				r.no(r.RunJobs(t.Context()))
				took = append(took, time.Since(began))
				runtime.ReadMemStats(&after)
				most = max(most, int64(after.HeapSys)-int64(before.HeapSys))
				post := r.posts()[0]
				if !post.Post.Playable() || len(r.names(post.Post.ID)) != segments-2 {
					t.Fatalf("%d of %d segments, %+v", len(r.names(post.Post.ID)), segments, post)
				}
			}
			slices.Sort(took)
			t.Logf("end to playable: p50 %v, p95 %v, heap grows by %d MB at most", took[4], took[7], most>>20)
			if took[7] > 5*time.Second || most > 100<<20 {
				t.Errorf("p95 %v, %d MB", took[7], most>>20)
			}
		})
	}
}
