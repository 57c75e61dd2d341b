package control

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// laneBatch is how many due jobs a lane looks at: those of other lanes and
// those that wait for a place are among them.
const laneBatch = 1000

// Lane runs jobs of some kinds beside each other, so that long ones hold up
// nobody else. One process has at most one lane for each kind; lanes of other
// processes on the same store take jobs from each other by claims. Not safe
// for concurrent use.
type Lane struct {
	s     *Service
	kinds []JobKind
	most  int
	work  sync.WaitGroup
	mu    sync.Mutex
	busy  map[string]bool
}

// NewLane makes a lane in which at most parallel jobs of these kinds run.
func (s *Service) NewLane(parallel int, kinds ...JobKind) *Lane {
	return &Lane{s: s, kinds: kinds, most: max(parallel, 1), busy: map[string]bool{}}
}

// Pass starts the jobs that are due and not under way, as far as there are
// places, and does not wait for them. They end with ctx.
func (l *Lane) Pass(ctx context.Context) error {
	due, err := l.s.Store.DueJobs(ctx, l.s.Now(), laneBatch)
	if err != nil {
		return fmt.Errorf("list due jobs: %w", err)
	}
	for _, j := range due {
		if !slices.Contains(l.kinds, j.Kind) || !l.enter(j.ID) {
			continue
		}
		l.work.Go(func() {
			defer l.leave(j.ID)
			if err := l.s.runClaimed(ctx, j); err != nil && ctx.Err() == nil {
				l.s.Log.ErrorContext(ctx, "job not settled", "job", j.ID, "kind", j.Kind, "err", err)
			}
		})
	}
	return nil
}

// Wait returns when nothing is under way.
func (l *Lane) Wait() { l.work.Wait() }

func (l *Lane) enter(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy[id] || len(l.busy) >= l.most {
		return false
	}
	l.busy[id] = true
	return true
}

func (l *Lane) leave(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.busy, id)
}
