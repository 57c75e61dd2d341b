package worker

import (
	"context"
	"errors"
	"testing"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/workers/ingest/hub"
)

// ledger is a store of one lease.
type ledger struct {
	control.Leases
	lease  broadcast.Lease
	err    error
	byPlay int
	byKey  int
}

func (l *ledger) LeaseOfPlayID(_ context.Context, id broadcast.PlayID) (broadcast.Lease, error) {
	if l.byPlay++; l.err == nil && id != l.lease.PlayID {
		return broadcast.Lease{}, control.ErrNotFound
	}
	return l.lease, l.err
}

func (l *ledger) Lease(_ context.Context, id broadcast.KeyID) (broadcast.Lease, error) {
	if l.byKey++; l.err == nil && id != l.lease.KeyID {
		return broadcast.Lease{}, control.ErrNotFound
	}
	return l.lease, l.err
}

func TestAPlayIDThatIsAskedForAgainCostsOneRead(t *testing.T) {
	l := &ledger{lease: broadcast.Lease{KeyID: "key", PlayID: "p", Epoch: 3, Holder: &broadcast.Holder{Worker: "w", Address: "a"}}}
	l.lease.Mode = broadcast.ModeRTMP
	d := playIDs{store: l, leases: l, keys: map[string]broadcast.KeyID{}}
	find := func(id string, want error) hub.Place {
		t.Helper()
		place, err := d.Find(t.Context(), id)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", id, err, want)
		}
		return place
	}
	for range 5 {
		if got := find("p", nil); got != (hub.Place{Playable: true, Epoch: 3, Worker: "w", Address: "a"}) {
			t.Errorf("it is at %+v", got)
		}
	}
	if l.byPlay != 1 || l.byKey != 4 {
		t.Errorf("%d reads by play id, %d by key", l.byPlay, l.byKey)
	}
	l.err = control.ErrUnavailable
	find("p", control.ErrUnavailable)
	l.err, l.lease.Holder = nil, nil
	if got := find("p", nil); got.Worker != "" {
		t.Errorf("nobody publishes, and it is at %+v", got)
	}
	l.lease.PlayID = "next" // closed: its key has another one now
	find("p", hub.ErrNotFound)
	find("p", hub.ErrNotFound)
	find("next", nil)
	l.lease = broadcast.Lease{} // the key was deleted
	find("next", hub.ErrNotFound)
}
