package broadcast_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// coupling is the coupling rule of docs/states.md over every room of the
// member, clause by clause, written again and apart from broadcast.Check.
func (w *world) coupling() error {
	carried := 0
	for _, r := range w.rooms {
		mine := w.key.RoomID == r.ID
		if mine {
			carried++
		}
		if (r.State == broadcast.RoomLive) != (mine && w.key.State == broadcast.KeyActiveLive) {
			return fmt.Errorf("clause 1 (LIVE ⇔ carried and ACTIVE_LIVE): %s", w)
		}
		coming := w.key.State == broadcast.KeyInactiveLive || w.key.State == broadcast.KeyActiveLivePrep
		if (r.State == broadcast.RoomLiveInactive) != (mine && coming) {
			return fmt.Errorf("clause 2 (LIVE_INACTIVE ⇔ carried and INACTIVE_LIVE or ACTIVE_LIVE_PREP): %s", w)
		}
		if mine && r.State != broadcast.RoomLive && r.State != broadcast.RoomLiveInactive {
			return fmt.Errorf("clause 3 (in every other state no key carries the room): %s", w)
		}
		if mine && r.KeyID != w.key.ID {
			return fmt.Errorf("clause 4 (only the owner's key carries a room): %s", w)
		}
	}
	if w.key.RoomID != "" && carried != 1 {
		return fmt.Errorf("clause 5 (a key carries at most one room, and one that is there): %s", w)
	}
	return w.continuity()
}

// continuity is what docs/states.md says of play ids, modes and recordings.
func (w *world) continuity() error {
	seen := map[broadcast.PlayID]bool{}
	for _, r := range w.rooms {
		live := r.State == broadcast.RoomLive || r.State == broadcast.RoomLiveInactive
		over := r.State == broadcast.RoomEnded || r.State == broadcast.RoomArchived
		switch {
		case (r.PlayID != "") != (live || over):
			return fmt.Errorf("a room has a play id from go live on: %s", w)
		case r.PlayID != "" && seen[r.PlayID]:
			return fmt.Errorf("two rooms share play id %s: %s", r.PlayID, w)
		case live && (r.PlayID != w.lease.PlayID || r.Mode != w.key.Mode):
			return fmt.Errorf("a live room plays under the key's play id and mode: %s", w)
		case !live && r.PlayID == w.lease.PlayID:
			return fmt.Errorf("the next show would play under the play id of room %s: %s", r.ID, w)
		case over != (r.LiveEndedAt != nil) || over != (r.EndReason != ""):
			return fmt.Errorf("an ended room says when and why: %s", w)
		case r.ForciblyTerminated != (r.EndReason == broadcast.EndReasonForced):
			return fmt.Errorf("forciblyTerminated does not fit the reason: %s", w)
		case (r.DroppedAt != nil) != (r.State == broadcast.RoomLiveInactive):
			return fmt.Errorf("droppedAt is set while LIVE_INACTIVE: %s", w)
		case (r.LiveStartedAt != nil) != (live || over):
			return fmt.Errorf("liveStartedAt is set from go live on: %s", w)
		case (r.PostID != "") != (over && !r.RecordingDiscarded):
			return fmt.Errorf("an ended room has a post unless its recording is discarded: %s", w)
		case (r.VODState == broadcast.VODArchived) != (r.State == broadcast.RoomArchived):
			return fmt.Errorf("vodState ARCHIVED comes with the room's: %s", w)
		case r.RecordingDiscarded && r.VODState != broadcast.NotArchived:
			return fmt.Errorf("a discarded recording stays NOT_ARCHIVED: %s", w)
		}
		seen[r.PlayID] = true
	}
	if (w.key.Mode == "") != (w.key.State == broadcast.KeyInactive) {
		return fmt.Errorf("a key has a mode unless it is INACTIVE: %s", w)
	}
	if w.lease.Epoch < w.key.Fence.Epoch || w.lease.KeyGeneration != w.key.Generation {
		return fmt.Errorf("the fence is ahead of the lease, or the generations differ: %s", w)
	}
	return nil
}

func (w *world) String() string {
	s := fmt.Sprintf("key %s carries %q mode %q fence %v, lease epoch %d play %s held %v",
		w.key.State, w.key.RoomID, w.key.Mode, w.key.Fence, w.lease.Epoch, w.lease.PlayID, w.lease.Holder != nil)
	for _, r := range w.rooms {
		s += fmt.Sprintf("; %s %s %s play %q %s", r.ID, r.State, r.VODState, r.PlayID, r.EndReason)
	}
	return s
}

// lawsOfStep holds of every step, whatever its input. dead is the newest epoch
// whose lease was closed or revoked.
func lawsOfStep(before broadcast.State, in broadcast.Input, out broadcast.Outcome, dead uint64, now time.Time) error {
	return errors.Join(
		movesAreRows(before, out),
		eventsAreFenced(before, in, out, dead),
		finalStaysFinal(before, out),
		leaseCloses(before, in, out),
		flagsTellTheTruth(before, out, now),
	)
}

// movesAreRows: every transition is a row of its table, in a chain from the
// state before to the state after, numbered without a gap.
func movesAreRows(before broadcast.State, out broadcast.Outcome) error {
	key, keySeq := before.Key.State, before.Key.Sequence
	room, roomSeq := broadcast.RoomState(""), uint64(0)
	if before.Room != nil {
		room, roomSeq = before.Room.State, before.Room.Sequence
	}
	for _, t := range out.Transitions {
		switch t.Machine {
		case broadcast.KeyMachine:
			row := broadcast.KeyRow{From: key, On: t.On, To: broadcast.KeyState(t.To)}
			if t.From != string(key) || !slices.Contains(broadcast.KeyTable[:], row) {
				return fmt.Errorf("key moved outside its table: %+v from %s", t, key)
			}
			key, keySeq = row.To, keySeq+1
			if t.Sequence != keySeq {
				return fmt.Errorf("gap in the key's sequence: %+v, want %d", t, keySeq)
			}
		case broadcast.PostMachine:
			return fmt.Errorf("a step moved a post: %+v", t)
		case broadcast.RoomMachine:
			row := broadcast.RoomRow{From: room, On: t.On, To: broadcast.RoomState(t.To)}
			if t.From != string(room) || !slices.Contains(broadcast.RoomTable[:], row) {
				return fmt.Errorf("room moved outside its table: %+v from %s", t, room)
			}
			room, roomSeq = row.To, roomSeq+1
			if t.Sequence != roomSeq {
				return fmt.Errorf("gap in the room's sequence: %+v, want %d", t, roomSeq)
			}
		}
	}
	if key != out.Key.State || keySeq != out.Key.Sequence {
		return fmt.Errorf("key is %s (%d), transitions lead to %s (%d)", out.Key.State, out.Key.Sequence, key, keySeq)
	}
	if out.Room != nil && (room != out.Room.State || roomSeq != out.Room.Sequence) {
		return fmt.Errorf("room is %s (%d), transitions lead to %s (%d)", out.Room.State, out.Room.Sequence, room, roomSeq)
	}
	return nil
}

// eventsAreFenced: stale events and events of closed leases change nothing, an
// event outside the fence changes only LastError, the fence never goes back.
func eventsAreFenced(before broadcast.State, in broadcast.Input, out broadcast.Outcome, dead uint64) error {
	if out.Key.Fence.Before(before.Key.Fence) {
		return fmt.Errorf("the fence went back from %v to %v", before.Key.Fence, out.Key.Fence)
	}
	e, ok := in.(broadcast.Event)
	if !ok {
		if out.Stale || out.Forbidden != nil {
			return fmt.Errorf("a call is refused, not stale or forbidden: %+v", out)
		}
		return nil
	}
	if e.Phase == broadcast.Refused {
		want := before.Key
		if e.Error != nil {
			want.LastError, want.ModifiedAt = e.Error, out.Key.ModifiedAt
		}
		if want != out.Key || out.RoomChanged || out.LeaseChanged {
			return fmt.Errorf("a refused publish sets LastError and nothing else: %+v", out)
		}
		return nil
	}
	newer := e.Epoch > before.Key.Fence.Epoch || e.Epoch == before.Key.Fence.Epoch && e.Seq > before.Key.Fence.Seq
	if out.Stale == newer {
		return fmt.Errorf("event %d.%d behind fence %v: stale is %v", e.Epoch, e.Seq, before.Key.Fence, out.Stale)
	}
	frozen := !newer || e.Epoch <= dead || !possible(e, before.Lease)
	if frozen && (!same(before, out.State) || out.KeyChanged || len(out.Transitions) > 0) {
		return fmt.Errorf("event %d.%d (fence %v, closed up to %d, lease %d) changed something: %+v",
			e.Epoch, e.Seq, before.Key.Fence, dead, before.Lease.Epoch, out)
	}
	if out.LeaseChanged || before.Lease != out.Lease {
		return errors.New("an event wrote the lease")
	}
	if frozen {
		return nil
	}
	return eventApplied(before, e, out)
}

// possible reports whether a worker can have sent e.
func possible(e broadcast.Event, l broadcast.Lease) bool {
	switch e.Phase {
	case broadcast.Prep, broadcast.Published:
		if e.Mode != "RTMP" && e.Mode != "CMAF" && e.Mode != "RTMP_CMAF" {
			return false
		}
	case broadcast.Stopped:
	case broadcast.Refused:
		return false
	default:
		return false
	}
	return e.Epoch >= 1 && e.Epoch <= l.Epoch && e.Seq <= 1<<63-1
}

// eventApplied: the fence stands at the event, its error is shown, a newer
// session begins with the older one's stop, and a phase leaves what it says.
func eventApplied(before broadcast.State, e broadcast.Event, out broadcast.Outcome) error {
	if out.Key.Fence != (broadcast.Fence{Epoch: e.Epoch, Seq: e.Seq}) || e.Error != nil && out.Key.LastError != e.Error {
		return fmt.Errorf("event %d.%d leaves the fence at %v, error %+v", e.Epoch, e.Seq, out.Key.Fence, out.Key.LastError)
	}
	publishing := func(s broadcast.KeyState) bool {
		return s != broadcast.KeyInactive && s != broadcast.KeyInactiveLive
	}
	if e.Epoch > before.Key.Fence.Epoch {
		stopped := len(out.Transitions) > 0 &&
			(out.Transitions[0].On == broadcast.PublishStopped || out.Transitions[0].On == broadcast.IngestStopped)
		if publishing(before.Key.State) != stopped || out.Forbidden != nil {
			return fmt.Errorf("a newer session on a key that is %s: %v, forbidden %v", before.Key.State, out.Transitions, out.Forbidden != nil)
		}
	}
	want := map[broadcast.Phase][]broadcast.KeyState{
		broadcast.Prep:      {broadcast.KeyActivePrep, broadcast.KeyActiveLivePrep},
		broadcast.Published: {broadcast.KeyActive, broadcast.KeyActiveLive},
		broadcast.Stopped:   {broadcast.KeyInactive, broadcast.KeyInactiveLive},
	}
	if out.Forbidden == nil && !slices.Contains(want[e.Phase], out.Key.State) {
		return fmt.Errorf("%s leaves the key %s", e.Phase, out.Key.State)
	}
	return nil
}

// same compares pointers, not what they point at: Step shares what it leaves
// alone, but for the room.
func same(a, b broadcast.State) bool {
	return a.Key == b.Key && a.Lease == b.Lease && reflect.DeepEqual(a.Room, b.Room)
}

func finalStaysFinal(before broadcast.State, out broadcast.Outcome) error {
	if before.Room == nil {
		return nil
	}
	from, to := before.Room.State, out.Room.State
	switch from {
	case broadcast.RoomCancelled, broadcast.RoomArchived:
		if !reflect.DeepEqual(before.Room, out.Room) {
			return fmt.Errorf("a room that is %s changed to %s", from, to)
		}
	case broadcast.RoomEnded:
		if to != broadcast.RoomEnded && to != broadcast.RoomArchived {
			return fmt.Errorf("an ENDED room became %s", to)
		}
	case broadcast.RoomScheduled, broadcast.RoomLive, broadcast.RoomLiveInactive:
		if from != broadcast.RoomScheduled && to == broadcast.RoomScheduled {
			return fmt.Errorf("a room that is %s became SCHEDULED again", from)
		}
	}
	return nil
}

// leaseCloses: a call that writes the lease leaves no holder, a new epoch and
// a fence at its beginning; it mints a play id unless it only revokes.
func leaseCloses(before broadcast.State, in broadcast.Input, out broadcast.Outcome) error {
	ends := before.Key.RoomID != "" && out.Key.RoomID == ""
	newString := before.Key.Hash != out.Key.Hash
	_, revokes := in.(broadcast.Revoke)
	if want := ends || newString || revokes; want != out.LeaseChanged {
		return fmt.Errorf("lease written: %v, want %v", out.LeaseChanged, want)
	}
	if newString != (out.Key.Generation == before.Key.Generation+1) {
		return fmt.Errorf("generation %d → %d, new string: %v", before.Key.Generation, out.Key.Generation, newString)
	}
	if _, force := in.(broadcast.ForceEnd); newString && before.Key.State != broadcast.KeyInactive && !force {
		return errors.New("only force end changes the string of a key that is in use")
	}
	if !out.LeaseChanged {
		return nil
	}
	l := out.Lease
	if l.Holder != nil || l.Epoch != before.Lease.Epoch+1 || out.Key.Fence != (broadcast.Fence{Epoch: l.Epoch}) {
		return fmt.Errorf("a closed lease has no holder, a new epoch, the fence there: %+v, fence %v", l, out.Key.Fence)
	}
	if revokes != (l.PlayID == before.Lease.PlayID) {
		return fmt.Errorf("play id %s → %s", before.Lease.PlayID, l.PlayID)
	}
	if l.Phase != "" || l.Seq != 0 || l.Media != 0 || l.Renewals != 0 {
		return fmt.Errorf("a closed lease begins anew: %+v", l)
	}
	return nil
}

// flagsTellTheTruth: what differs is flagged for writing and says when.
func flagsTellTheTruth(before broadcast.State, out broadcast.Outcome, now time.Time) error {
	if (before.Key != out.Key) != out.KeyChanged {
		return fmt.Errorf("KeyChanged is %v: %+v → %+v", out.KeyChanged, before.Key, out.Key)
	}
	if out.KeyChanged && !out.Key.ModifiedAt.Equal(now) {
		return fmt.Errorf("key changed at %v, now is %v", out.Key.ModifiedAt, now)
	}
	if before.Room != nil {
		if !out.RoomChanged && !reflect.DeepEqual(before.Room, out.Room) {
			return fmt.Errorf("RoomChanged is false: %+v → %+v", before.Room, out.Room)
		}
		if out.RoomChanged && !out.Room.ModifiedAt.Equal(now) {
			return fmt.Errorf("room changed at %v, now is %v", out.Room.ModifiedAt, now)
		}
		ended := before.Room.State.Carried() && !out.Room.State.Carried()
		if (out.Post != nil) != (ended && !out.Room.RecordingDiscarded) {
			return fmt.Errorf("post %+v for a room that went %s → %s", out.Post, before.Room.State, out.Room.State)
		}
	}
	return nil
}
