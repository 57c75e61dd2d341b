package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// EncodeEvent makes the queue message of an event: its group is the key.
// resend is 0 for the first sending; a higher one makes a new deduplication id.
func EncodeEvent(e broadcast.Event, resend int) (QueueMessage, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return QueueMessage{}, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	dedup := string(e.ID)
	if resend > 0 {
		dedup += "-" + strconv.Itoa(resend)
	}
	return QueueMessage{Group: string(e.KeyID), DedupID: dedup, Body: body}, nil
}

// DecodeEvent reads what EncodeEvent wrote; bytes that are none are an error.
func DecodeEvent(body []byte) (broadcast.Event, error) {
	var e broadcast.Event
	if err := json.Unmarshal(body, &e); err != nil {
		return e, fmt.Errorf("decode event: %w", err)
	}
	switch e.Phase {
	case broadcast.Prep, broadcast.Published, broadcast.Stopped, broadcast.Refused:
	default:
		return e, fmt.Errorf("decode event: unknown phase %q", e.Phase)
	}
	if e.KeyID == "" {
		return e, errors.New("decode event: no key id")
	}
	return e, nil
}

// ApplyEvent applies a worker's event to its key and the room that it carries:
// at most two reads and one transaction. Events that are late, doubled,
// forbidden or of a deleted key are no error: there is nothing left to do.
func (s *Service) ApplyEvent(ctx context.Context, e broadcast.Event) error {
	actor := Actor{Kind: "worker", ID: string(e.Session)}
	if e.Seq == broadcast.LastSeq {
		actor.Kind = "sweeper"
	}
	out, err := s.run(ctx, step{
		actor: actor, in: e,
		load: func(ctx context.Context) (broadcast.State, error) { return s.loadKey(ctx, e.KeyID) },
	})
	var r *broadcast.Refusal
	switch {
	case errors.As(err, &r) && r.Code == broadcast.CodeKeyNotFound:
		s.Log.InfoContext(ctx, "event of a deleted key", "key", e.KeyID, "event", e.ID)
		return nil
	case err != nil:
		return fmt.Errorf("apply event %s: %w", e.ID, err)
	}
	s.Log.DebugContext(ctx, "event applied", "key", e.KeyID, "phase", e.Phase, "epoch", e.Epoch, "seq", e.Seq,
		"stale", out.Stale, "forbidden", out.Forbidden != nil, "state", out.Key.State)
	return nil
}
