package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// RunIdempotency runs the contract of control.Idempotency and Changes.Once.
func RunIdempotency(t *testing.T, open func(t *testing.T) (control.Store, control.Idempotency)) {
	for name, test := range map[string]func(*fixture, control.Idempotency){
		"a call is remembered with its effect, or neither is": onceWithItsEffect,
		"of many equal calls one takes effect":                onceOfMany,
		"an expired record makes room":                        onceExpired,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, records := open(t)
			test(&fixture{T: t, store: store, ctx: t.Context()}, records)
		})
	}
}

// Purged is a store that forgets only when it is told.
type Purged interface {
	Customers
	control.Idempotency
}

// RunPurge runs what stores promise that forget only when they are told.
func RunPurge(t *testing.T, open func(t *testing.T) Purged) {
	t.Run("expired records are removed, oldest first", func(t *testing.T) {
		store := open(t)
		oncePurged(&fixture{T: t, store: store, ctx: t.Context()}, store)
	})
	t.Run("old events are removed, positions stay", func(t *testing.T) {
		store := open(t)
		feedPurged(&fixture{T: t, store: store, ctx: t.Context()}, store)
	})
}

func (f *fixture) record(id string) control.OnceRecord {
	r := filled[control.OnceRecord](1)
	r.ID, r.CreatedAt, r.ExpiresAt = id, epoch, epoch.Add(24*time.Hour)
	return r
}

func onceWithItsEffect(f *fixture, records control.Idempotency) {
	_, err := records.Once(f.ctx, "call")
	f.is("a call that was not made", err, control.ErrNotFound)
	a, first := f.app(), f.record("call")
	f.must(f.commit(control.Changes{Once: []control.OnceRecord{first}}))
	f.equal("the record", must2[control.OnceRecord](f)(records.Once(f.ctx, "call")), first)

	a.Name = "changed"
	f.is("the call again", f.commit(control.Changes{Apps: []control.App{a}, Once: []control.OnceRecord{f.record("call")}}), control.ErrConflict)
	if got := must2[control.App](f)(f.store.App(f.ctx, a.ID)); got.Name == "changed" {
		f.Error("the call took effect twice")
	}
	stale := a
	stale.Version = 7
	f.is("an effect that lost its race",
		f.commit(control.Changes{Apps: []control.App{stale}, Once: []control.OnceRecord{f.record("lost")}}), control.ErrConflict)
	_, err = records.Once(f.ctx, "lost")
	f.is("its record", err, control.ErrNotFound)
}

func onceOfMany(f *fixture, records control.Idempotency) {
	var all sync.WaitGroup
	var won atomic.Int64
	for range 20 {
		all.Go(func() {
			a := control.App{ID: broadcast.AppID(f.id("app"))}
			err := f.commit(control.Changes{Apps: []control.App{a}, Once: []control.OnceRecord{f.record("same")}})
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, control.ErrConflict):
				f.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		f.Errorf("%d calls took effect", won.Load())
	}
	apps := must2[control.List[control.App]](f)(f.store.Apps(f.ctx, control.Page{Limit: 5}))
	f.equal("apps", len(apps.Items), 1)
	_ = must2[control.OnceRecord](f)(records.Once(f.ctx, "same"))
}

func onceExpired(f *fixture, records control.Idempotency) {
	f.must(f.commit(control.Changes{Once: []control.OnceRecord{f.record("call")}}))
	later := f.record("call")
	later.CreatedAt, later.Resource = epoch.Add(24*time.Hour), "another"
	later.ExpiresAt = later.CreatedAt.Add(24 * time.Hour)
	f.must(f.commit(control.Changes{Once: []control.OnceRecord{later}}))
	f.equal("the record", must2[control.OnceRecord](f)(records.Once(f.ctx, "call")), later)
}

func oncePurged(f *fixture, records control.Idempotency) {
	for i := range 3 {
		r := f.record(f.id("call"))
		r.ExpiresAt = epoch.Add(time.Duration(i) * time.Hour)
		f.must(f.commit(control.Changes{Once: []control.OnceRecord{r}}))
	}
	f.equal("removed", must2[int](f)(records.PurgeOnce(f.ctx, epoch.Add(90*time.Minute), 1)), 1)
	_, err := records.Once(f.ctx, "call_000001")
	f.is("the oldest", err, control.ErrNotFound)
	f.equal("removed", must2[int](f)(records.PurgeOnce(f.ctx, epoch.Add(90*time.Minute), 10)), 1)
	_ = must2[control.OnceRecord](f)(records.Once(f.ctx, "call_000005"))
}
