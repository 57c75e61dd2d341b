package storetest

import (
	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// buriedLease: who was silent for long and renews at last is not buried by a
// sweeper that read the lease before.
func buriedLease(f *fixture) {
	u := f.user(f.app().ID)
	l := f.take(u, "ses")
	p := broadcast.Progress{Renewals: 7, Phase: broadcast.Published, Seq: 2}
	f.must(f.leases.RenewLease(f.ctx, u.key.ID, l.Epoch, "ses", p))
	read := must2[broadcast.Lease](f)(f.leases.Lease(f.ctx, u.key.ID))
	bury := func() error {
		gone := read
		gone.Holder, gone.Phase, gone.Seq = nil, broadcast.Stopped, broadcast.LastSeq
		return f.commit(control.Changes{Leases: []control.LeaseWrite{{Lease: gone, IfEpoch: read.Epoch, IfRenewals: &read.Renewals}}})
	}
	p.Renewals++
	f.must(f.leases.RenewLease(f.ctx, u.key.ID, l.Epoch, "ses", p))
	f.is("bury one that lives", bury(), control.ErrConflict)
	if got := must2[broadcast.Lease](f)(f.leases.Lease(f.ctx, u.key.ID)); got.Holder == nil {
		f.Fatal("it is buried")
	}
	read = must2[broadcast.Lease](f)(f.leases.Lease(f.ctx, u.key.ID))
	f.must(bury())
	f.is("its next renewal", f.leases.RenewLease(f.ctx, u.key.ID, l.Epoch, "ses", p), control.ErrConflict)
}

// deleteKey: a key that has gone live since it was read is not deleted with
// its member, whose own version nothing has changed.
func deleteKey(f *fixture) {
	u := f.user(f.app().ID)
	r := f.room(u)
	c := control.Changes{DeleteMembers: []control.Member{u.member}, DeleteKeys: []broadcast.StreamKey{u.key}}
	live := u.key
	live.State, live.RoomID, live.Mode = broadcast.KeyActiveLive, r.ID, broadcast.ModeCMAF
	f.must(f.commit(control.Changes{Keys: []broadcast.StreamKey{live}}))
	f.is("delete the key as it was", f.commit(c), control.ErrConflict)
	key, _, err := f.store.Key(f.ctx, u.key.ID)
	f.must(err)
	f.equal("the key's state", key.State, broadcast.KeyActiveLive)
	must2[control.Member](f)(f.store.Member(f.ctx, u.member.ID))

	c.DeleteKeys = []broadcast.StreamKey{key}
	f.must(f.commit(c))
	_, _, err = f.store.Key(f.ctx, u.key.ID)
	f.is("key", err, control.ErrNotFound)
}
