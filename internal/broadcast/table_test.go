package broadcast_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// The tables as the product was described, copied by hand: whoever changes a
// table has to change what is promised here too.
const keyTable = `
INACTIVE         | ingest started  | ACTIVE_PREP
ACTIVE_PREP      | ingest stopped  | INACTIVE
ACTIVE_PREP      | publish started | ACTIVE
ACTIVE           | publish stopped | INACTIVE
ACTIVE           | go live         | ACTIVE_LIVE
ACTIVE_LIVE      | publish stopped | INACTIVE_LIVE
INACTIVE_LIVE    | ingest started  | ACTIVE_LIVE_PREP
ACTIVE_LIVE_PREP | ingest stopped  | INACTIVE_LIVE
ACTIVE_LIVE_PREP | publish started | ACTIVE_LIVE
INACTIVE_LIVE    | end broadcast   | INACTIVE
INACTIVE         | force end       | INACTIVE
ACTIVE_PREP      | force end       | INACTIVE
ACTIVE           | force end       | INACTIVE
ACTIVE_LIVE      | force end       | INACTIVE
INACTIVE_LIVE    | force end       | INACTIVE
ACTIVE_LIVE_PREP | force end       | INACTIVE
ACTIVE_LIVE      | time limit      | INACTIVE
INACTIVE_LIVE    | time limit      | INACTIVE
ACTIVE_LIVE_PREP | time limit      | INACTIVE`

const roomTable = `
              | create                    | SCHEDULED
SCHEDULED     | go live                   | LIVE
SCHEDULED     | cancel                    | CANCELLED
LIVE          | key becomes INACTIVE_LIVE | LIVE_INACTIVE
LIVE_INACTIVE | key becomes ACTIVE_LIVE   | LIVE
LIVE_INACTIVE | end broadcast             | ENDED
LIVE          | force end                 | ENDED
LIVE_INACTIVE | force end                 | ENDED
LIVE          | time limit                | ENDED
LIVE_INACTIVE | time limit                | ENDED
ENDED         | recording saved           | ARCHIVED`

func TestTheTablesAreTheOnesThatWerePromised(t *testing.T) {
	var keys, rooms []string
	for _, r := range broadcast.KeyTable {
		keys = append(keys, fmt.Sprint(r.From, "|", r.On, "|", r.To))
	}
	for _, r := range broadcast.RoomTable {
		rooms = append(rooms, fmt.Sprint(r.From, "|", r.On, "|", r.To))
	}
	sameRows(t, "stream key", keys, keyTable)
	sameRows(t, "video room", rooms, roomTable)
}

func sameRows(t *testing.T, machine string, got []string, table string) {
	t.Helper()
	var want []string
	for line := range strings.Lines(strings.TrimPrefix(table, "\n")) {
		cells := strings.Split(line, "|")
		for n := range cells {
			cells[n] = strings.TrimSpace(cells[n])
		}
		want = append(want, strings.Join(cells, "|"))
	}
	for _, row := range want {
		if !slices.Contains(got, row) {
			t.Errorf("%s: row %q is promised and missing", machine, row)
		}
	}
	for n, row := range got {
		if !slices.Contains(want, row) {
			t.Errorf("%s: row %q was never promised", machine, row)
		}
		if slices.Contains(got[:n], row) {
			t.Errorf("%s: row %q is there twice", machine, row)
		}
	}
}

// Every state with every word of the tables: Step does what the row says, and
// where there is no row the state stays.
func TestEveryStateTakesExactlyTheRowsOfItsTable(t *testing.T) {
	words := []broadcast.On{
		broadcast.IngestStarted, broadcast.IngestStopped, broadcast.PublishStarted, broadcast.PublishStopped,
		broadcast.OnGoLive, broadcast.OnEnd, broadcast.OnForceEnd, broadcast.OnTimeLimit,
	}
	for _, from := range broadcast.KeyStates {
		for _, on := range words {
			w := worldAt(t, from)
			want, wantRows := from, 0
			for _, step := range rowsOf(on, from) {
				if to, ok := row(want, step); ok {
					want, wantRows = to, wantRows+1
				}
			}
			room := max(w.carried(), 0)
			if on == broadcast.OnForceEnd && w.carried() < 0 {
				room = -1 // the key's own
			}
			out, refusal, err := w.do(room, inputFor(&w, on))
			if err != nil {
				t.Errorf("%s on %q: %v", from, on, err)
				continue
			}
			moved := 0
			for _, tr := range out.Transitions {
				if tr.Machine == broadcast.KeyMachine {
					moved++
				}
			}
			if w.key.State != want || moved != wantRows {
				t.Errorf("%s on %q: %s by %d rows, the table says %s by %d (refusal %v)", from, on, w.key.State, moved, want, wantRows, refusal)
			}
		}
	}
}

func row(from broadcast.KeyState, on broadcast.On) (broadcast.KeyState, bool) {
	for _, r := range broadcast.KeyTable {
		if r.From == from && r.On == on {
			return r.To, true
		}
	}
	return from, false
}

// rowsOf is what an input stands for: phases are cumulative, and the one event
// STOPPED is either stop.
func rowsOf(on broadcast.On, from broadcast.KeyState) []broadcast.On {
	switch {
	case on == broadcast.PublishStarted:
		return []broadcast.On{broadcast.IngestStarted, broadcast.PublishStarted}
	case on == broadcast.IngestStopped || on == broadcast.PublishStopped:
		if from == broadcast.KeyActive || from == broadcast.KeyActiveLive {
			return []broadcast.On{broadcast.PublishStopped}
		}
		return []broadcast.On{broadcast.IngestStopped}
	}
	return []broadcast.On{on}
}

func inputFor(w *world, on broadcast.On) broadcast.Input {
	switch on {
	case broadcast.IngestStarted:
		return w.next(broadcast.Prep)
	case broadcast.PublishStarted:
		return w.next(broadcast.Published)
	case broadcast.IngestStopped, broadcast.PublishStopped:
		return w.next(broadcast.Stopped)
	case broadcast.OnGoLive:
		return broadcast.GoLive{}
	case broadcast.OnEnd:
		return broadcast.End{PlayID: w.playID(), PostID: w.postID()}
	case broadcast.OnForceEnd:
		return broadcast.ForceEnd{PlayID: w.playID(), PostID: w.postID(), Hash: w.hash()}
	case broadcast.OnTimeLimit:
		return broadcast.TimeLimit{Reason: broadcast.EndReasonMaxDuration, PlayID: w.playID(), PostID: w.postID()}
	case broadcast.OnCancel:
		return broadcast.Cancel{}
	case broadcast.OnSaved:
		return broadcast.Saved{}
	case broadcast.OnCreate, broadcast.OnKeyDropped, broadcast.OnKeyResumed:
	case broadcast.OnSourceSaved, broadcast.OnSourceFailed, broadcast.OnQueued, broadcast.OnQueuingFailed,
		broadcast.OnProcessing, broadcast.OnProcessed, broadcast.OnProcessFailed, broadcast.OnRetry: // of posts
	}
	panic("no input is " + string(on))
}

// next is the next event of the session that holds the lease, or held it last.
func (w *world) next(p broadcast.Phase) broadcast.Event {
	if w.lease.Epoch == 0 {
		w.take("first")
	}
	f := w.key.Fence
	if f.Epoch < w.lease.Epoch {
		f.Seq = 0
	}
	return broadcast.Event{
		ID: "evt", KeyID: w.key.ID, Epoch: w.lease.Epoch, Seq: f.Seq + 1, Phase: p, Mode: broadcast.ModeCMAF, At: w.now,
	}
}

// worldAt walks to a state of the key by the shortest way; room A is the one
// that is carried, where one is.
func worldAt(t *testing.T, s broadcast.KeyState) world {
	t.Helper()
	w := newWorld(2)
	way := []func() broadcast.Input{
		func() broadcast.Input { w.take("first"); return w.next(broadcast.Prep) },
		func() broadcast.Input { return w.next(broadcast.Published) },
		func() broadcast.Input { return broadcast.GoLive{} },
		func() broadcast.Input { return w.next(broadcast.Stopped) },
		func() broadcast.Input { w.take("second"); return w.next(broadcast.Prep) },
	}
	states := []broadcast.KeyState{
		broadcast.KeyInactive, broadcast.KeyActivePrep, broadcast.KeyActive,
		broadcast.KeyActiveLive, broadcast.KeyInactiveLive, broadcast.KeyActiveLivePrep,
	}
	for _, in := range way[:slices.Index(states, s)] {
		if _, refusal, err := w.do(0, in()); err != nil || refusal != nil {
			t.Fatalf("way to %s: %v %v", s, refusal, err)
		}
	}
	if w.key.State != s {
		t.Fatalf("way to %s led to %s", s, w.key.State)
	}
	return w
}
