//go:build long

package recorded

import (
	"fmt"
	"testing"
)

// Whoever makes a recording is killed before, in and after each of its calls;
// a task, which calls the same and keeps its renditions besides, in one of the
// ways.
func TestAProcessMayBeKilledAtEveryCall(t *testing.T) {
	machine, calls := unharmed(t, false)
	task, more := unharmed(t, true)
	kill := func(n int, how death, want outcome) {
		t.Run(fmt.Sprintf("%d-%d-%v", n, how, want.task), func(t *testing.T) {
			t.Parallel()
			killed(t, n, how, want)
		})
	}
	for n := 1; n <= calls; n++ {
		for _, how := range []death{before, amid, after} {
			kill(n, how, machine)
		}
	}
	for n := 1; n <= more; n++ {
		kill(n, death(n%3), task)
	}
}
