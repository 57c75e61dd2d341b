package control_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ids"
)

// lateRecords answers only when the call has had time to take effect, were it
// not to wait.
type lateRecords struct {
	control.Idempotency
	fail error
}

func (l lateRecords) Once(ctx context.Context, id string) (control.OnceRecord, error) {
	time.Sleep(50 * time.Millisecond)
	if l.fail != nil {
		return control.OnceRecord{}, l.fail
	}
	return l.Idempotency.Once(ctx, id)
}

// effects counts what a call does beside the store.
type effects struct {
	control.Webhooks
	control.DeadEvents
	n int
}

func (e *effects) Wake(context.Context, []control.Cursor) error {
	e.n++
	return nil
}

func (e *effects) Replay(context.Context, string) error {
	e.n++
	return nil
}

// once makes w's service one that remembers calls, and answers its effects.
func (w *world) once(records control.Idempotency) *effects {
	w.Helper()
	e := &effects{Webhooks: w.db}
	w.Service = control.New(control.Options{
		Store: w.db, Idempotency: records, Feed: w.db, Webhooks: e, DeadEvents: e, IDs: ids.New(w.clock.now), Now: w.clock.now,
		Wait: func(context.Context, time.Duration) error { return nil },
	})
	return e
}

// A record is looked for while the call reads; whatever has an effect waits for it.
func TestARepetitionHasNoEffectThoughItsRecordIsReadLate(t *testing.T) {
	w := newWorld(t)
	e := w.once(lateRecords{Idempotency: w.db})
	w.take("wrk_1")
	w.no(w.ApplyEvent(t.Context(), w.event(broadcast.Published)))
	room := w.room()
	hook, err := w.CreateEndpoint(t.Context(), w.caller, control.EndpointInput{URL: "https://example.com/"})
	w.no(err)
	events, err := w.db.Unplaced(t.Context(), 1)
	w.no(err)
	for what, do := range map[string]func(context.Context) error{
		"start": func(ctx context.Context) error { // the second time its own effect would refuse it
			_, err := w.StartRoom(ctx, w.caller, room)
			return err
		},
		"redeliver": func(ctx context.Context) error {
			_, err := w.RedeliverEvent(ctx, w.caller, events[0].ID, hook.ID)
			return err
		},
		"replay": func(ctx context.Context) error { return w.ReplayDeadEvent(ctx, "dead") },
	} {
		call := control.OnceCall{ID: what}
		for n := range 3 {
			e.n = 0
			record, err := w.Once(t.Context(), call, do)
			if err != nil || (record == nil) != (n == 0) {
				t.Fatalf("%s, call %d: %+v, %v", what, n, record, err)
			}
			if n > 0 && e.n > 0 {
				t.Errorf("%s took effect again", what)
			}
		}
		other := control.OnceCall{ID: what, Fingerprint: broadcast.Hash{1}}
		_, err := w.Once(t.Context(), other, do)
		w.code(err, broadcast.CodeIdempotencyKeyReused)
	}
	journal, err := w.Journal(t.Context(), w.caller, room, control.Page{Limit: 100, Ascending: true})
	w.no(err)
	for _, entry := range journal.Items {
		if entry.Kind == control.EntryRefusal {
			t.Errorf("a repetition was refused, says the journal: %+v", entry)
		}
	}
}

func TestACallWhoseRecordCannotBeReadDoesNothing(t *testing.T) {
	w := newWorld(t)
	w.once(lateRecords{Idempotency: w.db, fail: errCut})
	_, err := w.Once(t.Context(), control.OnceCall{ID: "call"}, func(ctx context.Context) error {
		_, err := w.CreateRoom(ctx, w.caller, control.RoomInput{Type: broadcast.BroadcastRTMP, AppUserID: "alice", ScheduledAt: w.clock.now()})
		return err
	})
	if !errors.Is(err, errCut) {
		t.Errorf("%v", err)
	}
	if rooms, err := w.Rooms(t.Context(), w.caller, "", "", control.Page{Limit: 1}); err != nil || len(rooms.Items) > 0 {
		t.Errorf("%+v, %v", rooms, err)
	}
}
