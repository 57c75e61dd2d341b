package session

import (
	"errors"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/lease"
)

// renew keeps the lease until the session stops. A refusal and an unreachable
// store are different things: the first ends the session at once.
func (s *session) renew() {
	defer close(s.renewed)
	defer s.h.kept.over(s)
	err := s.held().Keep(s.stop, s.h.ctx, func() broadcast.Progress {
		s.renewals.Add(1)
		return s.progress()
	}, func(err error) { s.log.Warn("lease is not renewed", "err", err) })
	switch {
	case err == nil:
	case errors.Is(err, lease.ErrUnreachable):
		s.lost.Store(true)
		s.fail("STORE_UNREACHABLE", "the server cannot keep the stream: its store is unreachable")
	default:
		s.lost.Store(true)
		s.fail("LEASE_LOST", "the stream was ended or taken over")
	}
}

func (s *session) held() lease.Held {
	return lease.Held{Worker: s.side(), KeyID: s.key, Epoch: s.lease.Epoch, Session: s.id}
}

// progress is what the next write of the lease says. While the last segments of
// a publisher who has left are stored, its media stand still: who waits for the
// lease would take it for alive, and the publisher who is back for a second one.
func (s *session) progress() broadcast.Progress {
	if !s.left.Load() {
		s.media.Store(s.messages.Load())
	}
	p := broadcast.Progress{
		Mode: s.mode, Renewals: s.renewals.Load(), Media: s.media.Load(), LastSegment: s.lastSegment.Load(),
		Health: s.health.Load(),
	}
	p.Phase, p.Seq = s.told.Last()
	return p
}

// release gives the lease back with the last word of this session. Where that
// cannot be written, the sweeper finds the counter standing still.
func (s *session) release(p broadcast.Progress) {
	if err := s.held().Release(s.h.ctx, p); err != nil {
		s.log.Warn("lease is not released", "err", err)
	}
}
