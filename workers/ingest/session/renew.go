package session

import (
	"context"
	"errors"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

const (
	renewEvery = 2 * time.Second
	// renewTimeout ends one try; leaseFor is how long a session goes on without
	// a successful one: somebody else may own the lease then.
	renewTimeout = 2 * time.Second
	leaseFor     = 15 * time.Second
)

// renew keeps the lease until the session stops. A refusal and an unreachable
// store are different things: the first ends the session at once.
func (s *session) renew() {
	defer close(s.renewed)
	last := s.h.Now()
	for {
		if s.h.Sleep(s.stop, renewEvery) != nil {
			return
		}
		s.renewals.Add(1)
		asked := s.h.Now() // the answer may have taken its time
		ctx, cancel := context.WithTimeout(s.h.ctx, renewTimeout)
		err := s.h.Leases.RenewLease(ctx, s.key, s.lease.Epoch, s.id, s.progress())
		cancel()
		switch {
		case err == nil:
			last = asked
		case errors.Is(err, control.ErrConflict), errors.Is(err, control.ErrNotFound):
			s.lost.Store(true)
			s.fail("LEASE_LOST", "the stream was ended or taken over")
			return
		case s.h.Now().Sub(last) >= leaseFor:
			s.lost.Store(true)
			s.fail("STORE_UNREACHABLE", "the server cannot keep the stream: its store is unreachable")
			return
		default:
			s.log.Warn("lease is not renewed", "err", err)
		}
	}
}

// progress is what the next write of the lease says.
func (s *session) progress() broadcast.Progress {
	p := broadcast.Progress{
		Mode: s.mode, Renewals: s.renewals.Load(), Media: s.messages.Load(), LastSegment: s.lastSegment.Load(),
		Health: s.health.Load(),
	}
	s.mu.Lock()
	p.Phase, p.Seq = s.phase, s.seq
	s.mu.Unlock()
	return p
}

// release gives the lease back with the last word of this session. Where that
// cannot be written, the sweeper finds the counter standing still.
func (s *session) release(p broadcast.Progress) {
	ctx, cancel := context.WithTimeout(s.h.ctx, 2*renewTimeout)
	defer cancel()
	err := s.h.Leases.ReleaseLease(ctx, s.key, s.lease.Epoch, s.id, p)
	if err != nil && !errors.Is(err, control.ErrConflict) {
		s.log.Warn("lease is not released", "err", err)
	}
}
