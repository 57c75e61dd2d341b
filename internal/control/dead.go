package control

import (
	"context"
	"fmt"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// DeadEvents is what operators do with state events that failed too often:
// part of Queue.
type DeadEvents interface {
	DeadLetters(ctx context.Context, limit int) ([]Delivery, error)
	Replay(ctx context.Context, receipt string) error
	Drop(ctx context.Context, receipt string) error
}

// DeadEvent is a state event that failed too often: it lies apart, and the
// later ones of its key went on without it.
type DeadEvent struct {
	ID       string // for Replay and Drop
	KeyID    broadcast.KeyID
	Attempts int
	// Event is nil where the message cannot be read.
	Event *broadcast.Event
}

// ListDeadEvents answers up to limit dead events, oldest first of each key.
func (s *Service) ListDeadEvents(ctx context.Context, limit int) ([]DeadEvent, error) {
	if s.DeadEvents == nil {
		return nil, noDeadEvents()
	}
	list, err := s.DeadEvents.DeadLetters(ctx, limit)
	if err != nil {
		return nil, err
	}
	dead := make([]DeadEvent, 0, len(list))
	for _, d := range list {
		v := DeadEvent{ID: d.Receipt, KeyID: broadcast.KeyID(d.Group), Attempts: d.Attempts}
		if e, err := DecodeEvent(d.Body); err == nil {
			v.Event = &e
		}
		dead = append(dead, v)
	}
	return dead, nil
}

// ReplayDeadEvent sends a dead event again, behind the events of its key that
// wait. Safe to repeat: what the key has passed meanwhile changes nothing, and
// a second call finds nothing (CodeDeadEventNotFound).
func (s *Service) ReplayDeadEvent(ctx context.Context, id string) error {
	if s.DeadEvents == nil {
		return noDeadEvents()
	}
	return notFound(s.DeadEvents.Replay(ctx, id), broadcast.CodeDeadEventNotFound, "dead letter")
}

// DropDeadEvent forgets a dead event. Its key is healed by the next event, or
// by the sweeper where the session's lease is ahead.
func (s *Service) DropDeadEvent(ctx context.Context, id string) error {
	if s.DeadEvents == nil {
		return noDeadEvents()
	}
	return notFound(s.DeadEvents.Drop(ctx, id), broadcast.CodeDeadEventNotFound, "dead letter")
}

func noDeadEvents() error {
	return fmt.Errorf("no queue of state events is known here: %w", ErrUnavailable)
}
