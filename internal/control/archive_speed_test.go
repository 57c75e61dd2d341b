package control_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"
)

// requestTakes is what a request to S3 takes within its region.
const requestTakes = 20 * time.Millisecond

// playable measures how long it takes from the end of so many shows of so many
// segments until each is playable, in order, and by how much the heap grows at
// most.
func playable(tb testing.TB, segments, shows int) (took []time.Duration, most int64) {
	tb.Helper()
	for range shows {
		r := newRecorded(tb, 1, segments, segments) // recorded from the second on
		r.bucket.lag = requestTakes
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		r.no(r.RunJobs(tb.Context()))
		took = append(took, time.Since(began))
		runtime.ReadMemStats(&after)
		most = max(most, int64(after.HeapSys)-int64(before.HeapSys))
		post := r.posts()[0]
		if !post.Post.Playable() || len(r.names(post.Post.ID)) != segments-1 {
			tb.Fatalf("%d of %d segments, %+v", len(r.names(post.Post.ID)), segments, post)
		}
	}
	slices.Sort(took)
	return took, most
}

// BenchmarkEndToPlayable tells percentiles over twenty shows each, with SQLite
// and a bucket as far away as S3 (docs/bench/recording.md).
func BenchmarkEndToPlayable(b *testing.B) {
	const shows = 20
	for _, minutes := range []int{10, 180, 720} {
		b.Run(fmt.Sprintf("%dmin", minutes), func(b *testing.B) {
			for b.Loop() {
				took, most := playable(b, minutes*30, shows)
				b.ReportMetric(took[shows/2].Seconds(), "p50-s")
				b.ReportMetric(took[shows*95/100].Seconds(), "p95-s")
				b.ReportMetric(float64(most)/1e6, "heap-MB")
			}
			b.ReportMetric(0, "ns/op") // it is that of the setting up, mostly
		})
	}
}
