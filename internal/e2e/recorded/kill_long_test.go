//go:build long

package recorded

import (
	"fmt"
	"testing"
)

// Whoever makes a recording is killed before, in and after each of its calls.
func TestAProcessMayBeKilledAtEveryCall(t *testing.T) {
	want, calls := unharmed(t)
	for n := 1; n <= calls; n++ {
		for _, how := range []death{before, amid, after} {
			t.Run(fmt.Sprintf("%d-%d", n, how), func(t *testing.T) {
				t.Parallel()
				killed(t, n, how, want)
			})
		}
	}
}
