package sim

import (
	"slices"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// Bug is a planted mistake: the simulation must find each (bugs_test.go). None
// is in the product: they lie in the simulated store, in what its readers see,
// in the transactions on their way to it, and in a worker's clock.
type Bug string

// Conditions that the store leaves out.
const (
	BugKeyVersion       Bug = "a key is written whatever its version"
	BugRoomVersion      Bug = "a room is written whatever its version"
	BugCloseAnyEpoch    Bug = "a lease is closed whatever its epoch"
	BugBuryTheLiving    Bug = "a lease whose counter has risen is buried"
	BugDeleteAnyKey     Bug = "a key is deleted whatever its version"
	BugTakeOldString    Bug = "a lease is taken with an old string"
	BugTakeAnyEpoch     Bug = "a lease is taken whatever its epoch"
	BugTakeTheLiving    Bug = "a lease whose media move is taken over"
	BugTakeDisconnected Bug = "a lease is taken before refusedUntil"
	BugRenewAlways      Bug = "a renewal is never refused"
	BugReleaseAnyone    Bug = "anybody releases a lease"
)

// What the store does wrong.
const (
	BugTakeSameEpoch     Bug = "a lease is taken without a new epoch"
	BugWorkerMintsPlayID Bug = "a worker mints the play id"
	BugHeldOnly          Bug = "the sweeper does not see leases ahead of their key"
	BugDeadUnseen        Bug = "the sweeper does not see held leases"
)

// What a step leaves out, or its transaction loses.
const (
	BugNoFence         Bug = "the fence is left out"
	BugNoSeq           Bug = "the fence looks at the epoch only"
	BugNoImpliedStop   Bug = "a newer epoch does not imply the older one's stop"
	BugCloseSameEpoch  Bug = "a lease is closed without a new epoch"
	BugCloseSamePlay   Bug = "a lease is closed without a new play id"
	BugCloseKeepsFence Bug = "a close does not fence the key"
	BugCloseForgotten  Bug = "an end leaves the lease open"
	BugRoomForgotten   Bug = "a room is not written with its key"
	BugNoticeForgotten Bug = "a transition without a notice"
	BugReissueUntold   Bug = "a new string without a notice"
	BugJournalTwice    Bug = "a transition is journalled as another"
	BugStringStays     Bug = "a force end keeps the string"
	BugPostForgotten   Bug = "an end without a recording"
)

// What a worker does wrong.
const (
	BugWallClock     Bug = "a worker measures the lease by the wall clock"
	BugRefusedGoesOn Bug = "a refused renewal is taken for an outage"
	BugNeverEnds     Bug = "an unreachable store ends no session"
)

// Bugs are all of them.
func Bugs() []Bug {
	return []Bug{
		BugKeyVersion, BugRoomVersion, BugCloseAnyEpoch, BugBuryTheLiving, BugDeleteAnyKey, BugTakeOldString,
		BugTakeAnyEpoch, BugTakeTheLiving, BugTakeDisconnected, BugRenewAlways, BugReleaseAnyone,
		BugTakeSameEpoch, BugWorkerMintsPlayID, BugHeldOnly, BugDeadUnseen,
		BugNoFence, BugNoSeq, BugNoImpliedStop, BugCloseSameEpoch, BugCloseSamePlay, BugCloseKeepsFence,
		BugCloseForgotten, BugRoomForgotten, BugNoticeForgotten, BugReissueUntold, BugJournalTwice, BugStringStays,
		BugPostForgotten,
		BugWallClock, BugRefusedGoesOn, BugNeverEnds,
	}
}

// misread is what a function sees of a key instead of the truth.
func (w *world) misread(k *broadcast.StreamKey, l broadcast.Lease) {
	switch {
	case w.bug == BugNoFence:
		k.Fence = broadcast.Fence{}
	case w.bug == BugNoSeq:
		k.Fence.Seq = 0
	case w.bug == BugNoImpliedStop && l.Epoch > k.Fence.Epoch:
		k.Fence = broadcast.Fence{Epoch: l.Epoch}
	}
}

// spoil changes a transaction on its way.
func (w *world) spoil(c *control.Changes) {
	closing := len(c.Leases) == 1 && !c.Leases[0].New && c.Leases[0].IfRenewals == nil
	switch {
	case w.bug == BugRoomForgotten && len(c.Keys) == 1 && len(c.Rooms) == 1:
		c.Rooms = nil
	case w.bug == BugNoticeForgotten && len(c.Notices) > 1:
		c.Notices = c.Notices[1:]
	case w.bug == BugReissueUntold:
		c.Notices = slices.DeleteFunc(c.Notices, func(n control.Notice) bool { return n.Type == control.NoticeReissued })
	case w.bug == BugJournalTwice && len(c.Journal) > 1:
		c.Journal[1].From, c.Journal[1].On, c.Journal[1].To = c.Journal[0].From, c.Journal[0].On, c.Journal[0].To
	case w.bug == BugStringStays && len(c.Keys) == 1:
		c.Strings = nil
	case w.bug == BugPostForgotten:
		c.Posts = nil
	case closing:
		w.spoilClose(c)
	}
}

func (w *world) spoilClose(c *control.Changes) {
	stored := w.store.leases[c.Leases[0].Lease.KeyID]
	switch {
	case w.bug == BugCloseSameEpoch:
		c.Leases[0].Lease.Epoch = c.Leases[0].IfEpoch
	case w.bug == BugCloseSamePlay:
		c.Leases[0].Lease.PlayID = stored.PlayID
	case w.bug == BugCloseKeepsFence && len(c.Keys) == 1:
		c.Keys[0].Fence = w.store.keys[c.Keys[0].ID].Fence
	case w.bug == BugCloseForgotten && len(c.Rooms) == 1:
		c.Leases = nil
	}
}
