package session

import (
	"context"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// refuseAfter is how long a worker whose renewals fail admits publishers: the
// next sign of its own end.
const refuseAfter = 10 * time.Second

// renewals knows when each session last renewed its lease, and how long that
// takes. The zero value is ready. Safe for concurrent use.
type renewals struct {
	mu    sync.Mutex
	last  map[*session]time.Time
	takes calls
}

// calls is how long the store takes for one: on average over the last few of a
// worker, and how far from that they are; 0 = there was none.
type calls struct{ mean, deviation time.Duration }

// took takes note of how long the store had for a renewal (smoothed as RFC 6298
// does it); call answers it.
func (r *renewals) took(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.takes.mean == 0 {
		r.takes = calls{d, d / 2}
	}
	r.takes.deviation += ((d - r.takes.mean).Abs() - r.takes.deviation) / 4
	r.takes.mean += (d - r.takes.mean) / 8
}

func (r *renewals) call() calls {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.takes
}

func (r *renewals) renewed(s *session, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		r.last = map[*session]time.Time{}
	}
	r.last[s] = at
}

func (r *renewals) over(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, s)
}

// fail says that a session could not renew for 10 s.
func (r *renewals) fail(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, at := range r.last {
		if now.Sub(at) >= refuseAfter {
			return true
		}
	}
	return false
}

// noted tells of the renewals that succeed: by the moment that they began.
type noted struct {
	Leases
	s *session
}

// RenewLease implements Leases.
func (n noted) RenewLease(ctx context.Context, id broadcast.KeyID, epoch uint64, s broadcast.SessionID, p broadcast.Progress) error {
	begun := n.s.h.Now()
	err := n.Leases.RenewLease(ctx, id, epoch, s, p)
	n.s.h.kept.took(n.s.h.Now().Sub(begun))
	if err == nil {
		n.s.h.kept.renewed(n.s, begun)
	}
	return err
}
