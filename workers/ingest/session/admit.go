package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/lease"
)

// refusal is why a known key may not publish; it becomes the key's lastError.
// ours says that the publisher is not to blame: encoders take BadName for a
// wrong key, and most do not come back after it.
type refusal struct {
	code, message string
	ours          bool
}

func (r *refusal) status() string {
	if r.ours {
		return statusFailed
	}
	return statusBadName
}

// Error is for the publisher: no secrets.
func (r *refusal) Error() string { return r.message }

// chooseMode applies the precedence of docs/contract.md: publishing URL, then
// key, then app. While the key carries a room, the room's mode stays.
func (h *Handler) chooseMode(raw string, p control.Publisher) (mode broadcast.Mode, warning string, err error) {
	mode = broadcast.Mode(strings.ToUpper(raw))
	switch {
	case raw != "" && !mode.Valid():
		return "", "", &refusal{code: "UNKNOWN_MODE", message: "mode must be RTMP, CMAF or RTMP_CMAF"}
	case p.RoomMode != "" && raw != "" && mode != p.RoomMode:
		mode, warning = p.RoomMode, fmt.Sprintf("mode %s in the URL is ignored: the live room's mode is %s", mode, p.RoomMode)
	case p.RoomMode != "":
		mode = p.RoomMode
	case raw == "":
		mode = p.OutputMode
	}
	if mode.RTMP() && h.Live == nil {
		return "", "", &refusal{code: "MODE_NOT_AVAILABLE", message: "mode " + string(mode) + " is not available yet: use CMAF"}
	}
	return mode, warning, nil
}

// take makes this session the holder of the key's lease (package lease).
func (s *session) take(ctx context.Context, p control.Publisher) error {
	taken, err := s.side().Take(ctx, p, s.holder(), s.progress())
	var r *lease.Refusal
	if errors.As(err, &r) {
		return &refusal{code: r.Code, message: r.Message}
	}
	s.lease = taken
	return err
}

// side is this worker as package lease sees it. Its uptime is told by the
// monotonic reading of the worker's clock.
func (s *session) side() lease.Worker {
	return lease.Worker{
		Store: noted{s.h.Leases, s}, Now: s.h.Now, Sleep: s.h.Sleep,
		Uptime: func() time.Duration { return s.h.Now().Sub(s.started) },
	}
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
	h.outbox.send(about(h.Log, p), broadcast.Event{
		ID: broadcast.EventID(h.IDs.New("evt")), KeyID: p.KeyID, Phase: broadcast.Refused, At: now,
		Error: &broadcast.KeyError{Code: r.code, Message: r.message, At: now},
	})
}
