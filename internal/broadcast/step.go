package broadcast

import (
	"errors"
	"fmt"
	"time"
)

// State is what one step reads and writes: a key, its lease, and the room that
// the key carries or that the call is about (nil = none).
type State struct {
	Key   StreamKey
	Room  *VideoRoom
	Lease Lease
}

// Machine names which machine a transition belongs to.
type Machine string

// The machines. A post is coupled to its room only: see StepPost.
const (
	KeyMachine  Machine = "stream_key"
	RoomMachine Machine = "video_room"
	PostMachine Machine = "video_post"
)

// Transition is one row of a table that was taken.
type Transition struct {
	Machine  Machine
	From     string
	On       On
	To       string
	Sequence uint64 // of the machine, after the transition
}

// Outcome is what one step did. State is the state after it; where nothing is
// Changed there is nothing to write.
type Outcome struct {
	State
	Transitions []Transition
	// Post is the recording that the step creates; nil = none.
	Post *VideoPost
	// Stale: the event is not newer than the key's fence; nothing changed.
	Stale bool
	// Forbidden: the tables forbid the event; no machine moved, at most the
	// fence and LastError. An event that no worker can have sent (unknown phase
	// or mode, an epoch that the lease never had) moves not even the fence.
	Forbidden *Refusal
	// KeyChanged, RoomChanged and LeaseChanged say what must be written.
	KeyChanged, RoomChanged, LeaseChanged bool
}

// ErrIncoherent says that the records that were read break the coupling rule. Read one
// after the other they may be from before and after somebody else's step: read
// again, as after a conflict.
var ErrIncoherent = errors.New("key and room do not fit")

// Step applies one input to one key and room. It is pure: the same state,
// input and time give the same outcome, and s is not changed. A *Refusal is
// returned where the rules forbid a call, ErrIncoherent where s breaks the
// coupling rule; any other error is a mistake of the caller's.
func Step(s State, in Input, now time.Time) (Outcome, error) {
	m := machine{now: now, out: Outcome{State: s}}
	if s.Room != nil {
		room := *s.Room
		m.out.Room = &room
	}
	if err := Check(m.out.State); err != nil {
		return Outcome{}, fmt.Errorf("before the step: %w: %w", ErrIncoherent, err)
	}
	if err := m.apply(in); err != nil {
		return Outcome{}, err
	}
	if err := Check(m.out.State); err != nil {
		return Outcome{}, fmt.Errorf("after the step: %w", err)
	}
	if err := together(s, m.out.State); err != nil {
		return Outcome{}, err
	}
	return m.out, nil
}

// together reports a key that moved without the room that it carries: the
// caller did not load it, and Check cannot see a room that is not there.
func together(before, after State) error {
	k := before.Key
	if k.RoomID == "" || k.Sequence == after.Key.Sequence {
		return nil
	}
	if before.Room == nil || before.Room.ID != k.RoomID {
		return fmt.Errorf("key %s moves without room %s, which it carries", k.ID, k.RoomID)
	}
	return nil
}

// Check reports how s breaks the coupling rule (docs/states.md); nil = not at all.
func Check(s State) error {
	k, r := s.Key, s.Room
	if k.State.Live() != (k.RoomID != "") {
		return fmt.Errorf("key %s is %s and carries room %q", k.ID, k.State, k.RoomID)
	}
	if r == nil {
		return nil
	}
	carried := k.RoomID == r.ID
	switch {
	case r.KeyID != k.ID:
		return fmt.Errorf("room %s belongs to key %s, not %s", r.ID, r.KeyID, k.ID)
	case r.State.Carried() != carried:
		return fmt.Errorf("room %s is %s, key %s carries %q", r.ID, r.State, k.ID, k.RoomID)
	case carried && (r.State == RoomLive) != (k.State == KeyActiveLive):
		return fmt.Errorf("room %s is %s while key %s is %s", r.ID, r.State, k.ID, k.State)
	}
	return nil
}

// machine is one step under way.
type machine struct {
	now time.Time
	out Outcome
}

func (m *machine) apply(in Input) error {
	switch in := in.(type) {
	case Event:
		m.event(in)
		return nil // an event is never refused: it is Stale or Forbidden
	case GoLive:
		return m.goLive()
	case End:
		return m.end(in)
	case ForceEnd:
		return m.forceEnd(in)
	case TimeLimit:
		return m.timeLimit(in)
	case Cancel:
		return m.cancel()
	case Revoke:
		m.revoke(in)
		return nil
	case Reissue:
		return m.reissue(in)
	case Saved:
		return m.saved()
	}
	return fmt.Errorf("unknown input %T", in)
}

// moveKey takes the row of the key's table, and the room's row that the
// coupling rule ties to it. false = there is no such row; nothing changed.
func (m *machine) moveKey(on On) bool {
	k := &m.out.Key
	from := k.State
	to, ok := nextKey(from, on)
	if !ok {
		return false
	}
	k.State = to
	m.touchKey()
	k.Sequence++
	m.out.Transitions = append(m.out.Transitions, Transition{KeyMachine, string(from), on, string(to), k.Sequence})
	if m.out.Room == nil || k.RoomID != m.out.Room.ID {
		return true
	}
	// A room that is carried is written with every step of its key, so that
	// its journal has one order.
	m.touchRoom()
	switch {
	case from == KeyActiveLive && to == KeyInactiveLive:
		m.moveRoom(OnKeyDropped)
		m.out.Room.DroppedAt = &m.now
	case from == KeyActiveLivePrep && to == KeyActiveLive:
		m.moveRoom(OnKeyResumed)
		m.out.Room.DroppedAt = nil
	}
	return true
}

func (m *machine) moveRoom(on On) bool {
	r := m.out.Room
	from := r.State
	to, ok := nextRoom(from, on)
	if !ok {
		return false
	}
	r.State = to
	m.touchRoom()
	r.Sequence++
	m.out.Transitions = append(m.out.Transitions, Transition{RoomMachine, string(from), on, string(to), r.Sequence})
	return true
}

func (m *machine) touchKey() {
	m.out.KeyChanged = true
	m.out.Key.ModifiedAt = m.now
}

func (m *machine) touchRoom() {
	m.out.RoomChanged = true
	m.out.Room.ModifiedAt = m.now
}

// fence makes everything of older sessions stale: the lease gets a new epoch,
// nobody holds it, and the key's fence stands at its beginning.
func (m *machine) fence() {
	l := &m.out.Lease
	l.Epoch++
	l.Holder = nil
	l.Progress = Progress{LastSegment: l.LastSegment}
	m.out.LeaseChanged = true
	m.out.Key.Fence = Fence{Epoch: l.Epoch}
	m.touchKey()
}

// closeLease ends the show's play id as well: no two rooms share one.
func (m *machine) closeLease(next PlayID) {
	m.fence()
	m.out.Lease.PlayID = next
	m.out.Lease.LastSegment = 0
}
