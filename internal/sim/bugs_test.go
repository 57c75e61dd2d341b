//go:build long && !race

package sim_test

import (
	"testing"

	"github.com/roomcast/roomcast/internal/sim"
)

// What proves that the simulation can fail: each planted bug is found.
func TestEveryPlantedBugIsFound(t *testing.T) {
	const within = 2000
	for _, planted := range sim.Bugs() {
		t.Run(string(planted), func(t *testing.T) {
			s, err := search(within, planted)
			if err == nil {
				t.Fatalf("not found within %d seeds", within)
			}
			t.Logf("seed %d: %v", s, err)
		})
	}
}
