package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

func findPublisher(f *fixture) {
	app := f.app()
	app.DefaultOutputMode, app.DefaultTranscodingProfileID = broadcast.ModeRTMPCMAF, "prof_app"
	f.must(f.commit(control.Changes{Apps: []control.App{app}}))
	u := f.user(app.ID)
	find := func() control.Publisher {
		f.Helper()
		return must2[control.Publisher](f)(f.leases.FindPublisher(f.ctx, u.string.Hash))
	}
	want := control.Publisher{
		KeyID: u.key.ID, AppID: app.ID, Generation: 1,
		OutputMode: broadcast.ModeRTMPCMAF, ProfileID: "prof_app", Lease: u.lease,
	}
	f.equal("of the app's settings", find(), want)

	u.key.OutputMode, u.key.TranscodingProfileID = broadcast.ModeCMAF, "prof_key"
	u.key.Mode = broadcast.ModeRTMP // of an ingest without a room
	f.must(f.commit(control.Changes{Keys: []broadcast.StreamKey{u.key}}))
	u.key.Version++
	want.OutputMode, want.ProfileID = broadcast.ModeCMAF, "prof_key"
	f.equal("of the key's settings", find(), want)

	u.key.State, u.key.RoomID = broadcast.KeyInactiveLive, "room"
	f.must(f.commit(control.Changes{Keys: []broadcast.StreamKey{u.key}}))
	want.RoomID, want.RoomMode = "room", broadcast.ModeRTMP
	f.equal("with a room", find(), want)

	want.Lease = f.take(u, "ses")
	f.equal("with its lease", find(), want)
}

func takeLease(f *fixture) {
	u := f.user(f.app().ID)
	u.lease.Epoch, u.lease.KeyGeneration = 4, 3
	u.lease.Progress = broadcast.Progress{Renewals: 7, Media: 8, Phase: broadcast.Stopped, Seq: 5, LastSegment: 42}
	f.must(f.commit(control.Changes{Leases: []control.LeaseWrite{{Lease: u.lease}}}))
	holder := broadcast.Holder{Session: "ses_1", Worker: "w", Address: "10.0.0.1:1", Remote: "192.0.2.1:5"}
	progress := broadcast.Progress{
		Mode: broadcast.ModeCMAF, Renewals: 1, Media: 2, Phase: broadcast.Prep, Seq: 3, LastSegment: 4,
		Health: &broadcast.Health{Software: "enc", StartedAt: epoch},
	}
	for what, c := range map[string]control.LeaseCondition{
		"an old generation": {Generation: 2, Epoch: 4},
		"an old epoch":      {Generation: 3, Epoch: 3},
		"a later epoch":     {Generation: 3, Epoch: 5},
	} {
		_, err := f.leases.TakeLease(f.ctx, u.key.ID, c, holder, progress)
		f.is("take on "+what, err, control.ErrConflict)
	}
	f.equal("lease", must2[broadcast.Lease](f)(f.leases.Lease(f.ctx, u.key.ID)), u.lease)

	c := control.LeaseCondition{Generation: 3, Epoch: 4}
	got := must2[broadcast.Lease](f)(f.leases.TakeLease(f.ctx, u.key.ID, c, holder, progress))
	want := u.lease
	want.Epoch, want.Holder = 5, &holder
	want.Progress = broadcast.Progress{Mode: broadcast.ModeCMAF, Health: progress.Health, LastSegment: 42}
	f.equal("taken", got, want)
	f.equal("stored", must2[broadcast.Lease](f)(f.leases.Lease(f.ctx, u.key.ID)), want)

	// The answer was lost.
	f.equal("taken again", must2[broadcast.Lease](f)(f.leases.TakeLease(f.ctx, u.key.ID, c, holder, progress)), want)
	rival := broadcast.Holder{Session: "ses_2"}
	_, err := f.leases.TakeLease(f.ctx, u.key.ID, c, rival, progress)
	f.is("a rival on the same condition", err, control.ErrConflict)
	_, err = f.leases.TakeLease(f.ctx, u.key.ID, conditionOf(want), rival, progress)
	f.is("a rival while it is held", err, control.ErrConflict)
}

func takeOver(f *fixture) {
	u := f.user(f.app().ID)
	l := f.take(u, "ses_1")
	p := broadcast.Progress{Mode: broadcast.ModeCMAF, Renewals: 3, Media: 100, LastSegment: 6}
	f.must(f.leases.RenewLease(f.ctx, u.key.ID, l.Epoch, "ses_1", p))
	over := func(media uint64) (broadcast.Lease, error) {
		c := conditionOf(l)
		c.Media = &media
		return f.leases.TakeLease(f.ctx, u.key.ID, c, broadcast.Holder{Session: "ses_2"}, broadcast.Progress{})
	}
	_, err := over(99)
	f.is("take over from a holder that moves", err, control.ErrConflict)
	p.Renewals++ // a half-open connection: it renews, but no media come
	f.must(f.leases.RenewLease(f.ctx, u.key.ID, l.Epoch, "ses_1", p))
	got := must2[broadcast.Lease](f)(over(100))
	if got.Epoch != l.Epoch+1 || got.Holder.Session != "ses_2" || got.LastSegment != 6 || got.Media != 0 {
		f.Errorf("taken over: %+v", got)
	}
	f.is("renewal of the one before", f.leases.RenewLease(f.ctx, u.key.ID, l.Epoch, "ses_1", p), control.ErrConflict)
	f.is("release of the one before", f.leases.ReleaseLease(f.ctx, u.key.ID, l.Epoch, "ses_1", p), control.ErrConflict)
}

func refusedUntil(f *fixture) {
	u := f.user(f.app().ID)
	now := time.Now()
	for _, test := range []struct {
		until time.Time
		want  error
	}{{now.Add(time.Hour), control.ErrConflict}, {now.Add(-time.Hour), nil}} {
		l := must2[broadcast.Lease](f)(f.leases.Lease(f.ctx, u.key.ID))
		l.RefusedUntil = test.until
		f.must(f.commit(control.Changes{Leases: []control.LeaseWrite{{Lease: l, IfEpoch: l.Epoch}}}))
		_, err := f.leases.TakeLease(f.ctx, u.key.ID, conditionOf(l), broadcast.Holder{Session: "s"}, broadcast.Progress{})
		f.is("take at "+now.String()+", refused until "+test.until.String(), err, test.want)
	}
}

func renewRelease(f *fixture) {
	u := f.user(f.app().ID)
	l := f.take(u, "ses")
	p := broadcast.Progress{
		Mode: broadcast.ModeCMAF, Renewals: 3, Media: 4, Phase: broadcast.Published, Seq: 2, LastSegment: 9,
		Health: &broadcast.Health{VideoCodec: "avc1.64001f", Warnings: []string{"slow"}},
	}
	for what, err := range map[string]error{
		"renew another epoch":     f.leases.RenewLease(f.ctx, u.key.ID, l.Epoch+1, "ses", p),
		"renew an older epoch":    f.leases.RenewLease(f.ctx, u.key.ID, l.Epoch-1, "ses", p),
		"renew another session":   f.leases.RenewLease(f.ctx, u.key.ID, l.Epoch, "other", p),
		"release another epoch":   f.leases.ReleaseLease(f.ctx, u.key.ID, l.Epoch+1, "ses", p),
		"release an older epoch":  f.leases.ReleaseLease(f.ctx, u.key.ID, l.Epoch-1, "ses", p),
		"release another session": f.leases.ReleaseLease(f.ctx, u.key.ID, l.Epoch, "other", p),
	} {
		f.is(what, err, control.ErrConflict)
	}
	f.equal("lease", must2[broadcast.Lease](f)(f.leases.Lease(f.ctx, u.key.ID)), l)

	f.must(f.leases.RenewLease(f.ctx, u.key.ID, l.Epoch, "ses", p))
	f.must(f.leases.RenewLease(f.ctx, u.key.ID, l.Epoch, "ses", p))
	l.Progress = p
	f.equal("renewed", must2[broadcast.Lease](f)(f.leases.Lease(f.ctx, u.key.ID)), l)
	p.Renewals, p.Health = 4, nil
	f.must(f.leases.RenewLease(f.ctx, u.key.ID, l.Epoch, "ses", p))
	p.Health = l.Health
	l.Progress = p
	f.equal("renewed without health", must2[broadcast.Lease](f)(f.leases.Lease(f.ctx, u.key.ID)), l)

	p.Phase, p.Seq = broadcast.Stopped, 3
	f.must(f.leases.ReleaseLease(f.ctx, u.key.ID, l.Epoch, "ses", p))
	f.must(f.leases.ReleaseLease(f.ctx, u.key.ID, l.Epoch, "ses", p)) // the answer was lost
	l.Progress, l.Holder = p, nil
	f.equal("released", must2[broadcast.Lease](f)(f.leases.Lease(f.ctx, u.key.ID)), l)
	f.is("renew what was released", f.leases.RenewLease(f.ctx, u.key.ID, l.Epoch, "ses", p), control.ErrConflict)
	next := f.take(u, "next")
	if next.Health != nil {
		f.Errorf("the next session begins with the health of the one before: %+v", next.Health)
	}
	f.must(f.leases.RenewLease(f.ctx, u.key.ID, next.Epoch, "next", p))
	f.must(f.leases.ReleaseLease(f.ctx, u.key.ID, next.Epoch, "next", broadcast.Progress{Mode: broadcast.ModeCMAF, Seq: 1}))
	if l := must2[broadcast.Lease](f)(f.leases.Lease(f.ctx, u.key.ID)); l.Health != nil {
		f.Errorf("released without health, and there is %+v", l.Health)
	}
}

func takeRace(f *fixture) {
	u := f.user(f.app().ID)
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			session := broadcast.SessionID(rune('a' + i)) //nolint:gosec // a letter
			_, err := f.leases.TakeLease(f.ctx, u.key.ID, conditionOf(u.lease), broadcast.Holder{Session: session}, broadcast.Progress{})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, control.ErrConflict) {
				f.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		f.Errorf("%d sessions took the lease", won.Load())
	}
}

// leaseWrites closes a lease again and again under a holder that never stops
// renewing: no renewal stands in the way, and none survives the close.
func leaseWrites(f *fixture) {
	u := f.user(f.app().ID)
	for round := range 5 {
		session := broadcast.SessionID(f.id("ses"))
		held := f.take(u, session)
		started := make(chan struct{})
		cut := make(chan error, 1)
		go func() {
			var once sync.Once
			for n := uint64(1); ; n++ {
				if err := f.leases.RenewLease(f.ctx, u.key.ID, held.Epoch, session, broadcast.Progress{Renewals: n, Media: n}); err != nil {
					once.Do(func() { close(started) })
					cut <- err
					return
				}
				once.Do(func() { close(started) })
			}
		}()
		<-started
		closed := held
		closed.Epoch++
		closed.Holder, closed.Progress, closed.PlayID = nil, broadcast.Progress{}, broadcast.PlayID(f.id("play"))
		w := control.LeaseWrite{Lease: closed, IfEpoch: held.Epoch}
		if err := f.commit(control.Changes{Leases: []control.LeaseWrite{w}}); err != nil {
			f.Fatalf("round %d: a renewal is in the way of the close: %v", round, err)
		}
		f.is("the renewal after it", <-cut, control.ErrConflict)
		f.equal("closed", must2[broadcast.Lease](f)(f.leases.Lease(f.ctx, u.key.ID)), closed)
		f.is("close by the old epoch", f.commit(control.Changes{Leases: []control.LeaseWrite{w}}), control.ErrConflict)
	}
}

func heldLeases(f *fixture) {
	u := f.user(f.app().ID)
	listed := func(what string, want bool) {
		f.Helper()
		held := must2[[]broadcast.Lease](f)(f.store.HeldLeases(f.ctx, "", 10))
		if got := len(held) == 1 && held[0].KeyID == u.key.ID; got != want {
			f.Errorf("%s: on the sweeper's list %v, want %v (%v)", what, got, want, held)
		}
		if want && len(held) == 1 {
			f.equal(what, held[0], must2[broadcast.Lease](f)(f.leases.Lease(f.ctx, u.key.ID)))
		}
	}
	fence := func(epoch, seq uint64) {
		f.Helper()
		u.key.Fence = broadcast.Fence{Epoch: epoch, Seq: seq}
		f.must(f.commit(control.Changes{Keys: []broadcast.StreamKey{u.key}}))
		u.key.Version++
	}
	listed("new", false)
	l := f.take(u, "ses")
	listed("held", true)
	p := broadcast.Progress{Phase: broadcast.Prep, Seq: 1}
	f.must(f.leases.RenewLease(f.ctx, u.key.ID, l.Epoch, "ses", p))
	listed("renewed", true)
	fence(l.Epoch, 1)
	listed("held and level", true)
	p.Seq = 2
	f.must(f.leases.ReleaseLease(f.ctx, u.key.ID, l.Epoch, "ses", p))
	listed("released, ahead of the key", true)
	fence(l.Epoch, 2)
	listed("the key has caught up", false)

	l = f.take(u, "ses_2")
	p = broadcast.Progress{}
	f.must(f.leases.ReleaseLease(f.ctx, u.key.ID, l.Epoch, "ses_2", p))
	listed("released, a newer epoch than the key's", true)
	l.Epoch++
	l.Holder = nil
	u.key.Fence = broadcast.Fence{Epoch: l.Epoch}
	f.must(f.commit(control.Changes{
		Keys:   []broadcast.StreamKey{u.key},
		Leases: []control.LeaseWrite{{Lease: l, IfEpoch: l.Epoch - 1}},
	}))
	u.key.Version++
	listed("closed with its key", false)

	l.Epoch++
	l.Holder = &broadcast.Holder{Session: "s"}
	f.must(f.commit(control.Changes{Leases: []control.LeaseWrite{{Lease: l, IfEpoch: l.Epoch - 1}}}))
	listed("held by a lease write", true)
	before := l.Epoch
	l.Epoch++
	l.Holder, l.Seq = nil, broadcast.LastSeq
	f.must(f.commit(control.Changes{Leases: []control.LeaseWrite{{Lease: l, IfEpoch: before}}}))
	listed("closed in a dead worker's name", true)
	fence(l.Epoch, broadcast.LastSeq)
	listed("the key shows it", false)
}

func heldPages(f *fixture) {
	app := f.app()
	var want []broadcast.KeyID
	for i := range 7 {
		u := f.user(app.ID)
		if i%3 != 0 {
			f.take(u, "ses")
			want = append(want, u.key.ID)
		}
	}
	var got []broadcast.KeyID
	for after := broadcast.KeyID(""); ; after = got[len(got)-1] {
		held := must2[[]broadcast.Lease](f)(f.store.HeldLeases(f.ctx, after, 2))
		if len(held) > 2 {
			f.Fatalf("%d leases on a page of 2", len(held))
		}
		if len(held) == 0 {
			break
		}
		for _, l := range held {
			got = append(got, l.KeyID)
		}
	}
	if len(got) != len(want) {
		f.Fatalf("held leases %v, want %v in any order", got, want)
	}
	seen := map[broadcast.KeyID]bool{}
	for _, id := range got {
		seen[id] = true
	}
	for _, id := range want {
		if !seen[id] {
			f.Errorf("held lease %s is missing", id)
		}
	}
}
