package broadcast_test

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// world is one key with its lease and all rooms of its member, in memory: what
// a store would hold. Every step goes through do, which checks all that must
// hold of any step.
type world struct {
	now   time.Time
	key   broadcast.StreamKey
	lease broadcast.Lease
	rooms []broadcast.VideoRoom
	// dead is the newest epoch whose lease was closed or revoked: nothing of
	// it or of an older one may move the key.
	dead uint64
	// minted counts the play ids, hashes and posts made so far.
	minted int
}

var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func newWorld(rooms int) world {
	w := world{
		now: start, minted: 1,
		key: broadcast.StreamKey{
			ID: "key_1", AppID: "app_1", MemberID: "mem_1", State: broadcast.KeyInactive,
			Hash: broadcast.Hash{1}, Generation: 1, Version: 1,
		},
		lease: broadcast.Lease{KeyID: "key_1", KeyGeneration: 1, PlayID: "play-1"},
	}
	for n := range rooms {
		w.rooms = append(w.rooms, broadcast.VideoRoom{
			ID: broadcast.RoomID("room_" + string(rune('A'+n))), AppID: "app_1", MemberID: "mem_1", KeyID: "key_1",
			State: broadcast.RoomScheduled, VODState: broadcast.NotArchived, Sequence: 1, Version: 1,
			CustomData: map[string]string{"a": "b"},
		})
	}
	return w
}

// clone shares no room slice with w; what the records point at is shared, as
// Step must not write there (do sees to it).
func (w world) clone() world {
	w.rooms = slices.Clone(w.rooms)
	return w
}

func (w *world) playID() broadcast.PlayID {
	w.minted++
	return broadcast.PlayID(fmt.Sprint("play-", w.minted))
}

func (w *world) hash() broadcast.Hash { return broadcast.Hash{byte(w.key.Generation + 1)} }

func (w *world) postID() broadcast.PostID { return broadcast.PostID(fmt.Sprint("post_", w.minted)) }

// carried is the index of the room that the key carries; -1 = none.
func (w *world) carried() int {
	return slices.IndexFunc(w.rooms, func(r broadcast.VideoRoom) bool {
		return w.key.RoomID != "" && r.ID == w.key.RoomID
	})
}

// state is what a use case would load for a call about room n; -1 = none.
func (w *world) state(n int) broadcast.State {
	s := broadcast.State{Key: w.key, Lease: w.lease}
	if n >= 0 {
		s.Room = &w.rooms[n]
	}
	return s
}

// take makes holder h with the next epoch, as Leases.TakeLease does.
func (w *world) take(session broadcast.SessionID) {
	w.lease.Epoch++
	w.lease.Holder = &broadcast.Holder{Session: session, Worker: "worker"}
	w.lease.Progress = broadcast.Progress{Mode: broadcast.ModeCMAF, LastSegment: w.lease.LastSegment}
}

// giveUp is the sweeper's: it removes a holder who is silent and answers the
// STOPPED that it sends in his name.
func (w *world) giveUp() broadcast.Event {
	w.lease.Holder = nil
	w.lease.Phase, w.lease.Seq = broadcast.Stopped, broadcast.LastSeq
	return broadcast.Event{KeyID: w.key.ID, Epoch: w.lease.Epoch, Seq: broadcast.LastSeq, Phase: broadcast.Stopped}
}

// do takes one step about room n and writes it, if every law of a step holds;
// refusal is set where the rules forbid the call.
func (w *world) do(n int, in broadcast.Input) (out broadcast.Outcome, refusal *broadcast.Refusal, err error) {
	w.now = w.now.Add(time.Millisecond)
	before := w.state(n)
	copied := deepCopy(before)
	out, err = broadcast.Step(before, in, w.now)
	if !reflect.DeepEqual(before, copied) {
		return out, nil, fmt.Errorf("step changed its input: %+v, was %+v", before, copied)
	}
	if err != nil {
		if errors.As(err, &refusal) {
			return out, refusal, nil
		}
		return out, nil, err
	}
	if err := lawsOfStep(before, in, out, w.dead, w.now); err != nil {
		return out, nil, err
	}
	if out.LeaseChanged {
		w.dead = max(w.dead, before.Lease.Epoch)
	}
	w.key, w.lease = out.Key, out.Lease
	if n >= 0 {
		w.rooms[n] = *out.Room
	}
	return out, nil, w.coupling()
}

// deepCopy shares nothing with s that Step could write to.
func deepCopy(s broadcast.State) broadcast.State {
	s.Key.LastError = cloned(s.Key.LastError)
	s.Lease.Holder = cloned(s.Lease.Holder)
	s.Lease.Health = cloned(s.Lease.Health)
	if h := s.Lease.Health; h != nil {
		h.Warnings = slices.Clone(h.Warnings)
	}
	s.Room = cloned(s.Room)
	if r := s.Room; r != nil {
		r.CustomData = maps.Clone(r.CustomData)
		r.LiveStartedAt, r.LiveEndedAt, r.DroppedAt = cloned(r.LiveStartedAt), cloned(r.LiveEndedAt), cloned(r.DroppedAt)
	}
	return s
}

func cloned[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
