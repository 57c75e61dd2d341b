package control_test

import (
	"context"
	"testing"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// costs counts what reaches a store.
type costs struct {
	control.Store
	reads, commits int
}

func (c *costs) Key(ctx context.Context, id broadcast.KeyID) (broadcast.StreamKey, broadcast.Lease, error) {
	c.reads++
	return c.Store.Key(ctx, id)
}

func (c *costs) Room(ctx context.Context, id broadcast.RoomID) (broadcast.VideoRoom, error) {
	c.reads++
	return c.Store.Room(ctx, id)
}

func (c *costs) Commit(ctx context.Context, changes control.Changes) error {
	c.commits++
	return c.Store.Commit(ctx, changes)
}

// only is a store that has no other method than those that an event may call.
type only struct {
	control.Store // nil: any other call is a panic
	*costs
}

func (o only) Key(ctx context.Context, id broadcast.KeyID) (broadcast.StreamKey, broadcast.Lease, error) {
	return o.costs.Key(ctx, id)
}

func (o only) Room(ctx context.Context, id broadcast.RoomID) (broadcast.VideoRoom, error) {
	return o.costs.Room(ctx, id)
}

func (o only) Commit(ctx context.Context, c control.Changes) error { return o.costs.Commit(ctx, c) }

func TestAnEventIsAtMostTwoReadsAndOneTransaction(t *testing.T) {
	w := newWorld(t)
	full := w.Store
	apply := func(what string, reads, commits int, e broadcast.Event) {
		t.Helper()
		c := &costs{Store: full}
		w.Store = only{costs: c}
		w.no(w.ApplyEvent(t.Context(), e))
		w.Store = full
		if c.reads != reads || c.commits != commits {
			t.Errorf("%s: %d reads and %d transactions, want %d and %d", what, c.reads, c.commits, reads, commits)
		}
	}
	w.take("wrk_1")
	prep := w.event(broadcast.Prep)
	apply("PREP", 1, 1, prep)
	apply("the same again", 1, 0, prep)
	apply("PUBLISHED", 1, 1, w.event(broadcast.Published))
	_, err := w.StartRoom(t.Context(), w.caller, w.room())
	w.no(err)
	w.no(w.db.ReleaseLease(t.Context(), w.key, w.epoch, w.session, broadcast.Progress{}))
	w.take("wrk_2") // the first one's STOPPED is lost: five transitions
	apply("PUBLISHED of the next session, with a room", 2, 1, w.event(broadcast.Published))
	apply("STOPPED, with a room", 2, 1, w.event(broadcast.Stopped))
	apply("a refusal", 2, 1, broadcast.Event{
		ID: "evt_refused", KeyID: w.key, Phase: broadcast.Refused, Error: &broadcast.KeyError{Code: "X", Message: "x"},
	})
}
