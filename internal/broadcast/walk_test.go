package broadcast_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// abstract names what Step can tell apart: of counters only their order, of
// rooms only what they are, not which. Two worlds with one name behave alike,
// so that a walk over names is a walk over all worlds. (Step copies modes and
// never branches on them; random histories try them together with the rest.)
func (w *world) abstract() string {
	f, l := w.key.Fence, w.lease
	seq := " some"
	switch f.Seq {
	case 0:
		seq = " none"
	case broadcast.LastSeq:
		seq = " last"
	}
	var rooms []string
	for _, r := range w.rooms {
		rooms = append(rooms, w.kind(r))
	}
	slices.Sort(rooms)
	return string(w.key.State) + seq + strconv.FormatUint(min(l.Epoch-f.Epoch, 2), 10) +
		strconv.FormatBool(l.Holder != nil) + strings.Join(rooms, "")
}

// kind is what a room is to Step; rooms of one kind are interchangeable.
func (w *world) kind(r broadcast.VideoRoom) string {
	s := "," + string(r.State) + string(r.VODState)
	if r.RecordingDiscarded {
		s += " discarded"
	}
	if r.ID == w.key.RoomID {
		s += " carried"
	}
	return s
}

// node is a world and the way that led to it.
type node struct {
	world
	from *node
	by   string
}

func (n *node) way() string {
	if n.from == nil {
		return "the beginning"
	}
	return n.from.way() + "\n  " + n.by
}

// One key and three rooms, every reachable state, every input on each: the
// laws of a step and the coupling rule hold on all of them (world.do).
func TestEveryReachableStateOfOneKeyAndThreeRooms(t *testing.T) {
	first := &node{world: newWorld(3)}
	seen := map[string]bool{first.abstract(): true}
	pairs := map[string]bool{}
	rows := map[string]bool{}
	steps := 0
	for queue := []*node{first}; len(queue) > 0; queue = queue[1:] {
		n := queue[0]
		for _, r := range n.rooms {
			pairs[fmt.Sprint(n.key.State, " ", r.State, " ", n.key.RoomID == r.ID)] = true
		}
		for _, m := range moves(&n.world) {
			next := &node{world: n.clone(), from: n, by: m.name}
			steps++
			if err := m.do(&next.world); err != nil {
				t.Fatalf("%v\nway: %s", err, next.way())
			}
			rowTaken(rows, &n.world, &next.world)
			if name := next.abstract(); !seen[name] {
				seen[name] = true
				queue = append(queue, next)
			}
		}
	}
	t.Logf("%d states, %d steps", len(seen), steps)
	// A carried room is live; every other room is in a state that no key carries,
	// whatever the key does.
	want := map[string]bool{"ACTIVE_LIVE LIVE true": true, "INACTIVE_LIVE LIVE_INACTIVE true": true, "ACTIVE_LIVE_PREP LIVE_INACTIVE true": true}
	for _, k := range broadcast.KeyStates {
		for _, r := range []broadcast.RoomState{broadcast.RoomScheduled, broadcast.RoomEnded, broadcast.RoomArchived, broadcast.RoomCancelled} {
			want[fmt.Sprint(k, " ", r, " ", false)] = true
		}
	}
	for p := range want {
		if !pairs[p] {
			t.Errorf("never reached: %s", p)
		}
	}
	for p := range pairs {
		if !want[p] {
			t.Errorf("reached, and must not be: %s", p)
		}
	}
	for _, r := range broadcast.KeyTable {
		if !rows[fmt.Sprint(r.From, r.To)] {
			t.Errorf("no walk takes the row %v", r)
		}
	}
	for _, r := range broadcast.RoomTable[1:] { // a room is created outside Step
		if !rows[fmt.Sprint(r.From, r.To)] {
			t.Errorf("no walk takes the row %v", r)
		}
	}
}

func rowTaken(rows map[string]bool, from, to *world) {
	if from.key.Sequence != to.key.Sequence {
		rows[fmt.Sprint(from.key.State, to.key.State)] = true
	}
	for n := range from.rooms {
		if from.rooms[n].Sequence != to.rooms[n].Sequence {
			rows[fmt.Sprint(from.rooms[n].State, to.rooms[n].State)] = true
		}
	}
}

// The same laws on long random histories, where counters grow.
func TestRandomHistoriesKeepEveryLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rapid.IntRange(1, 5).Draw(t, "rooms"))
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			// Calls and lease writes as often as the many events.
			kinds := [][]move{leaseMoves(&w), eventMoves(&w), callMoves(&w), {{"worker goes on", goesOn(t)}}}
			list := kinds[rapid.IntRange(0, len(kinds)-1).Draw(t, "kind")]
			m := list[rapid.IntRange(0, len(list)-1).Draw(t, "move")]
			t.Log(m.name)
			if err := m.do(&w); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// goesOn is what a well-behaved worker sends next: it leads deep into a show.
func goesOn(t *rapid.T) func(*world) error {
	return func(w *world) error {
		if w.lease.Holder == nil {
			w.take("session")
		}
		phases := []broadcast.Phase{broadcast.Prep, broadcast.Published, broadcast.Published, broadcast.Stopped}
		_, refusal, err := w.do(w.carried(), w.next(rapid.SampledFrom(phases).Draw(t, "phase")))
		return unexpected(refusal, err)
	}
}
