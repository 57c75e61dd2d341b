package sim_test

import (
	"flag"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/roomcast/roomcast/internal/sim"
)

var (
	seed   = flag.Uint64("seed", 0, "the history that TestReplay tells")
	number = flag.Uint64("histories", seeds, "how many TestEveryHistory lives through")
	from   = flag.Uint64("from", 0, "the seed before the first one that TestEveryHistory lives through")
	bug    = flag.String("bug", "", "the planted bug in it (bugs.go)")
)

// search lives through the histories of n seeds and answers the first that
// fails; 0 = none does.
func search(n uint64, planted sim.Bug) (uint64, error) {
	var next, bad atomic.Uint64
	next.Store(*from)
	n += *from
	bad.Store(n + 1)
	var failure error
	var mu sync.Mutex
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for s := next.Add(1); s <= n && s < bad.Load(); s = next.Add(1) {
				if err := sim.Run(sim.Options{Seed: s, Bug: planted}); err != nil {
					mu.Lock()
					if s < bad.Load() {
						bad.Store(s)
						failure = err
					}
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	return bad.Load(), failure
}

func many(t *testing.T, n uint64) {
	t.Helper()
	if s, err := search(n, ""); err != nil {
		t.Fatalf("seed %d: %v\nits story: go test ./internal/sim -run TestReplay -v -seed=%d", s, err, s)
	}
}

func TestEveryHistoryKeepsTheInvariants(t *testing.T) { many(t, *number) }

// TestReplay tells the story of one seed.
func TestReplay(t *testing.T) {
	o := sim.Options{Seed: *seed, Bug: sim.Bug(*bug)}
	if testing.Verbose() {
		o.Story = os.Stdout
	}
	if err := sim.Run(o); err != nil {
		t.Fatal(err)
	}
}
