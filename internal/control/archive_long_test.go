//go:build long && !race

package control_test

import (
	"testing"
	"time"
)

// A show is playable within five seconds of its end, however long it was, and
// its segments are not kept in memory.
func TestAShowOfTwelveHoursIsPlayableWithinFiveSeconds(t *testing.T) {
	for name, segments := range map[string]int{"10 minutes": 300, "3 hours": 5_400, "12 hours": 21_600} {
		t.Run(name, func(t *testing.T) {
			took, most := playable(t, segments, 8)
			t.Logf("end to playable: p50 %v, p95 %v, heap grows by %d MB at most", took[4], took[7], most>>20)
			if took[7] > 5*time.Second || most > 100<<20 {
				t.Errorf("p95 %v, %d MB", took[7], most>>20)
			}
		})
	}
}
