package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// refusal is why a known key may not publish; it becomes the key's lastError.
type refusal struct{ code, message string }

// Error is for the publisher: no secrets.
func (r *refusal) Error() string { return r.message }

// chooseMode applies the precedence of docs/contract.md: publishing URL, then
// key, then app. While the key carries a room, the room's mode stays.
func (h *Handler) chooseMode(raw string, p control.Publisher) (mode broadcast.Mode, warning string, err error) {
	mode = broadcast.Mode(strings.ToUpper(raw))
	switch {
	case raw != "" && !mode.Valid():
		return "", "", &refusal{"UNKNOWN_MODE", "mode must be RTMP, CMAF or RTMP_CMAF"}
	case p.RoomMode != "" && raw != "" && mode != p.RoomMode:
		mode, warning = p.RoomMode, fmt.Sprintf("mode %s in the URL is ignored: the live room's mode is %s", mode, p.RoomMode)
	case p.RoomMode != "":
		mode = p.RoomMode
	case raw == "":
		mode = p.OutputMode
	}
	if mode.RTMP() && h.Live == nil {
		return "", "", &refusal{"MODE_NOT_AVAILABLE", "mode " + string(mode) + " is not available yet: use CMAF"}
	}
	return mode, warning, nil
}

const (
	// challengeFor is how long a publisher waits for a held lease at most,
	// deadAfter how long the holder's counter must stand still.
	challengeFor  = 6 * time.Second
	deadAfter     = 5 * time.Second
	challengePoll = 250 * time.Millisecond
)

var errHeld = &refusal{"ALREADY_PUBLISHING", "somebody is publishing with this stream key already"}

// take makes this session the holder of the key's lease. A held lease is
// watched: a holder whose media counter stands still is taken over.
func (s *session) take(ctx context.Context, p control.Publisher) error {
	lease, since := p.Lease, s.h.Now()
	deadline := since.Add(challengeFor)
	for {
		stands := s.h.Now().Sub(since) >= deadAfter
		if lease.Holder == nil || stands {
			taken, err := s.h.Leases.TakeLease(ctx, s.key, condition(p, lease), s.holder(), s.progress())
			if err == nil {
				s.lease = taken
				return nil
			}
			if !errors.Is(err, control.ErrConflict) {
				return fmt.Errorf("take the lease: %w", err)
			}
		}
		if !s.h.Now().Before(deadline) {
			return errHeld
		}
		if err := s.h.Sleep(ctx, challengePoll); err != nil {
			return err
		}
		now, err := s.h.Leases.Lease(ctx, s.key)
		switch {
		case err != nil:
			return fmt.Errorf("watch the lease: %w", err)
		case now.KeyGeneration != p.Generation:
			return &refusal{"STREAM_KEY_REPLACED", "the stream key is not valid any more"}
		case s.h.disconnected(now) != nil:
			return s.h.disconnected(now)
		case now.Holder != nil && now.Epoch == lease.Epoch && now.Media != lease.Media:
			return errHeld // it lives
		case now.Epoch != lease.Epoch:
			since = s.h.Now() // somebody else's: watch from here on
		}
		lease = now
	}
}

// disconnected refuses while a disconnect holds; nil = it does not.
func (h *Handler) disconnected(l broadcast.Lease) error {
	wait := l.RefusedUntil.Sub(h.Now())
	if wait <= 0 {
		return nil
	}
	return &refusal{"DISCONNECTED", fmt.Sprintf("the stream was disconnected; try again in %d s", int(wait/time.Second)+1)}
}

func condition(p control.Publisher, l broadcast.Lease) control.LeaseCondition {
	c := control.LeaseCondition{Generation: p.Generation, Epoch: l.Epoch}
	if l.Holder != nil {
		c.Media = &l.Media
	}
	return c
}

// refusalsEvery bounds how often a key's refusals are told.
const (
	refusalsEvery = 10 * time.Second
	maxRefused    = 10_000
)

// tell makes a refusal the key's lastError, at most once in 10 s for a key.
func (h *Handler) tell(p control.Publisher, r *refusal) {
	now := h.Now()
	h.mu.Lock()
	last, ok := h.refused[p.KeyID]
	if len(h.refused) >= maxRefused {
		clear(h.refused)
	}
	if !ok || now.Sub(last) >= refusalsEvery {
		h.refused[p.KeyID] = now
		ok = false
	}
	h.mu.Unlock()
	if ok {
		return
	}
	rep := h.newReporter(h.Log.With("key", p.KeyID))
	rep.send(broadcast.Event{
		ID: broadcast.EventID(h.IDs.New("evt")), KeyID: p.KeyID, Phase: broadcast.Refused, At: now,
		Error: &broadcast.KeyError{Code: r.code, Message: r.message, At: now},
	})
	rep.close()
}
