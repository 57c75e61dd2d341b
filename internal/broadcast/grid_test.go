package broadcast_test

import (
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// What every input does to a key and the room that it carries, by hand. A cell
// is the key's state, "/" the carried room's; "." = nothing moves; "=" = the
// input is forbidden or refused with that code.
const keyGrid = `
key              | PREP             | PUBLISHED   | STOPPED       | next PREP        | next PUBLISHED | next STOPPED  | disconnect    | force terminate | reissue
INACTIVE         | ACTIVE_PREP      | ACTIVE      | .             | ACTIVE_PREP      | ACTIVE         | .             | .             | INACTIVE        | .
ACTIVE_PREP      | =EVENT           | ACTIVE      | INACTIVE      | ACTIVE_PREP      | ACTIVE         | INACTIVE      | INACTIVE      | INACTIVE        | =NOT_INACTIVE
ACTIVE           | =EVENT           | =EVENT      | INACTIVE      | ACTIVE_PREP      | ACTIVE         | INACTIVE      | INACTIVE      | INACTIVE        | =NOT_INACTIVE
ACTIVE_LIVE      | =EVENT           | =EVENT      | INACTIVE_LIVE | ACTIVE_LIVE_PREP | ACTIVE_LIVE    | INACTIVE_LIVE | INACTIVE_LIVE | INACTIVE        | =NOT_INACTIVE
INACTIVE_LIVE    | ACTIVE_LIVE_PREP | ACTIVE_LIVE | .             | ACTIVE_LIVE_PREP | ACTIVE_LIVE    | .             | .             | INACTIVE        | =NOT_INACTIVE
ACTIVE_LIVE_PREP | =EVENT           | ACTIVE_LIVE | INACTIVE_LIVE | ACTIVE_LIVE_PREP | ACTIVE_LIVE    | INACTIVE_LIVE | INACTIVE_LIVE | INACTIVE        | =NOT_INACTIVE`

// What every call about a room does to the room, by the state of its owner's
// key; "other" is a room beside the one that the key carries.
const roomGrid = `
key              | room            | go live            | end                    | force end       | reconnect timeout      | max duration    | cancel         | saved
INACTIVE         | SCHEDULED       | =KEY_NOT_ACTIVE    | =NOT_LIVE_INACTIVE     | =NOT_LIVE       | =NOT_LIVE              | =NOT_LIVE       | CANCELLED      | =NOT_LIVE
ACTIVE_PREP      | SCHEDULED       | =KEY_NOT_ACTIVE    | =NOT_LIVE_INACTIVE     | =NOT_LIVE       | =NOT_LIVE              | =NOT_LIVE       | CANCELLED      | =NOT_LIVE
ACTIVE           | SCHEDULED       | LIVE               | =NOT_LIVE_INACTIVE     | =NOT_LIVE       | =NOT_LIVE              | =NOT_LIVE       | CANCELLED      | =NOT_LIVE
ACTIVE_LIVE      | LIVE            | =NOT_SCHEDULED     | =NOT_LIVE_INACTIVE     | ENDED           | =NOT_INACTIVE_LIVE     | ENDED           | =NOT_SCHEDULED | =NOT_LIVE
INACTIVE_LIVE    | LIVE_INACTIVE   | =NOT_SCHEDULED     | ENDED                  | ENDED           | ENDED                  | ENDED           | =NOT_SCHEDULED | =NOT_LIVE
ACTIVE_LIVE_PREP | LIVE_INACTIVE   | =NOT_SCHEDULED     | =NOT_INACTIVE_LIVE     | ENDED           | =NOT_INACTIVE_LIVE     | ENDED           | =NOT_SCHEDULED | =NOT_LIVE
ACTIVE_LIVE      | other SCHEDULED | =BUSY              | =NOT_LIVE_INACTIVE     | =NOT_LIVE       | =NOT_LIVE              | =NOT_LIVE       | CANCELLED      | =NOT_LIVE
INACTIVE_LIVE    | other SCHEDULED | =BUSY              | =NOT_LIVE_INACTIVE     | =NOT_LIVE       | =NOT_LIVE              | =NOT_LIVE       | CANCELLED      | =NOT_LIVE
ACTIVE_LIVE_PREP | other SCHEDULED | =BUSY              | =NOT_LIVE_INACTIVE     | =NOT_LIVE       | =NOT_LIVE              | =NOT_LIVE       | CANCELLED      | =NOT_LIVE
any              | other ENDED     | =NOT_SCHEDULED     | =NOT_LIVE_INACTIVE     | .               | =NOT_LIVE              | =NOT_LIVE       | =NOT_SCHEDULED | ARCHIVED
any              | other DISCARDED | =NOT_SCHEDULED     | =NOT_LIVE_INACTIVE     | .               | =NOT_LIVE              | =NOT_LIVE       | =NOT_SCHEDULED | =NOT_LIVE
any              | other ARCHIVED  | =NOT_SCHEDULED     | =NOT_LIVE_INACTIVE     | .               | =NOT_LIVE              | =NOT_LIVE       | =NOT_SCHEDULED | =NOT_LIVE
any              | other CANCELLED | =NOT_SCHEDULED     | =NOT_LIVE_INACTIVE     | =NOT_LIVE       | =NOT_LIVE              | =NOT_LIVE       | =NOT_SCHEDULED | =NOT_LIVE
any              | none            | =NOT_SCHEDULED     | =NOT_LIVE_INACTIVE     | key only        | =NOT_LIVE              | =NOT_LIVE       | =NOT_SCHEDULED | =NOT_LIVE`

// codes are the short names of the grids.
var codes = map[string]broadcast.Code{
	"=EVENT":             broadcast.CodeEventForbidden,
	"=NOT_INACTIVE":      broadcast.CodeKeyNotInactive,
	"=KEY_NOT_ACTIVE":    broadcast.CodeKeyNotActive,
	"=NOT_INACTIVE_LIVE": broadcast.CodeKeyNotInactiveLive,
	"=BUSY":              broadcast.CodeKeyBusy,
	"=NOT_SCHEDULED":     broadcast.CodeRoomNotScheduled,
	"=NOT_LIVE_INACTIVE": broadcast.CodeRoomNotLiveInactive,
	"=NOT_LIVE":          broadcast.CodeRoomNotLive,
}

func cells(line string) []string {
	list := strings.Split(line, "|")
	for n := range list {
		list[n] = strings.TrimSpace(list[n])
	}
	return list
}

func TestEveryInputInEveryStateOfTheKey(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(keyGrid), "\n")
	inputs := cells(lines[0])
	for _, line := range lines[1:] {
		row := cells(line)
		from := broadcast.KeyState(row[0])
		for n := 1; n < len(row); n++ {
			w := worldAt(t, from)
			in := keyInput(&w, inputs[n])
			out, refusal, err := w.do(w.carried(), in)
			if err != nil {
				t.Errorf("%s, %s: %v", from, inputs[n], err)
				continue
			}
			if out.Forbidden != nil {
				refusal = out.Forbidden
			}
			want := row[n]
			if code, refused := codes[want]; refused {
				if refusal == nil || refusal.Code != code || refusal.State != string(from) || w.key.State != from {
					t.Errorf("%s, %s: %+v and %s, want %s", from, inputs[n], refusal, w.key.State, code)
				}
				continue
			}
			if want == "." {
				want = string(from)
				if len(out.Transitions) > 0 {
					t.Errorf("%s, %s: %v, want no transition", from, inputs[n], out.Transitions)
				}
			}
			if refusal != nil || w.key.State != broadcast.KeyState(want) {
				t.Errorf("%s, %s: %s (%v), want %s", from, inputs[n], w.key.State, refusal, want)
			}
		}
	}
}

func keyInput(w *world, name string) broadcast.Input {
	phase, next := strings.CutPrefix(name, "next ")
	if next {
		w.take("next")
	}
	switch p := broadcast.Phase(phase); p {
	case broadcast.Prep, broadcast.Published, broadcast.Stopped:
		return w.next(p)
	case broadcast.Refused:
	}
	switch name {
	case "disconnect":
		return broadcast.Revoke{Until: w.now}
	case "force terminate":
		return inputFor(w, broadcast.OnForceEnd)
	case "reissue":
		return broadcast.Reissue{PlayID: w.playID(), Hash: w.hash()}
	}
	panic("unknown input " + name)
}

func TestEveryCallInEveryStateOfTheRoom(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(roomGrid), "\n")
	calls := cells(lines[0])
	seen := map[string]bool{}
	for _, line := range lines[1:] {
		row := cells(line)
		for _, from := range broadcast.KeyStates {
			if row[0] != "any" && row[0] != string(from) {
				continue
			}
			seen[string(from)+" "+strings.TrimPrefix(row[1], "other ")] = true
			for n := 2; n < len(row); n++ {
				roomCell(t, from, row[1], calls[n], row[n])
			}
		}
	}
	for _, k := range broadcast.KeyStates {
		for _, r := range []string{"SCHEDULED", "ENDED", "DISCARDED", "ARCHIVED", "CANCELLED", "none"} {
			if !seen[string(k)+" "+r] {
				t.Errorf("the grid has no row for key %s and room %s", k, r)
			}
		}
	}
}

func roomCell(t *testing.T, from broadcast.KeyState, subject, call, want string) {
	t.Helper()
	w := worldAt(t, from)
	name, other := strings.CutPrefix(subject, "other ")
	room := 0
	switch {
	case other:
		room = 1
		becomes(&w.rooms[1], name)
	case subject == "none":
		room = -1
	}
	if want == "key only" {
		if w.carried() >= 0 {
			return // force terminate of a key is given the room that it carries
		}
		want = "."
	}
	var before broadcast.RoomState
	if room >= 0 {
		before = w.rooms[room].State
	}
	_, refusal, err := w.do(room, roomInput(&w, call))
	if err != nil {
		t.Errorf("key %s, room %s, %s: %v", from, subject, call, err)
		return
	}
	var after broadcast.RoomState
	if room >= 0 {
		after = w.rooms[room].State
	}
	if code, refused := codes[want]; refused {
		if refusal == nil || refusal.Code != code || after != before || w.key.State != from {
			t.Errorf("key %s, room %s, %s: %+v, %s, want %s", from, subject, call, refusal, after, code)
		}
		if refusal != nil && refusal.State == "" && room >= 0 {
			t.Errorf("key %s, room %s, %s: the refusal says no state", from, subject, call)
		}
		return
	}
	if want == "." {
		want = string(before)
	}
	if refusal != nil || after != broadcast.RoomState(want) {
		t.Errorf("key %s, room %s, %s: %s (%v), want %s", from, subject, call, after, refusal, want)
	}
}

func roomInput(w *world, call string) broadcast.Input {
	switch call {
	case "reconnect timeout":
		return broadcast.TimeLimit{Reason: broadcast.EndReasonReconnectTimeout, PlayID: w.playID(), PostID: w.postID()}
	case "max duration":
		return inputFor(w, broadcast.OnTimeLimit)
	case "saved":
		return broadcast.Saved{}
	case "end":
		return inputFor(w, broadcast.OnEnd)
	}
	return inputFor(w, broadcast.On(call))
}

// becomes makes r what an earlier show left behind.
func becomes(r *broadcast.VideoRoom, state string) {
	at := start
	switch state {
	case "SCHEDULED":
		return
	case "CANCELLED":
		r.State = broadcast.RoomCancelled
		return
	case "DISCARDED":
		r.State, r.RecordingDiscarded, r.ForciblyTerminated = broadcast.RoomEnded, true, true
		r.EndReason = broadcast.EndReasonForced
	case "ENDED":
		r.State, r.VODState, r.PostID, r.EndReason = broadcast.RoomEnded, broadcast.Archiving, "post", broadcast.EndReasonEnded
	case "ARCHIVED":
		r.State, r.VODState, r.PostID, r.EndReason = broadcast.RoomArchived, broadcast.VODArchived, "post", broadcast.EndReasonEnded
	}
	r.PlayID, r.Mode = "play-0", broadcast.ModeCMAF
	r.LiveStartedAt, r.LiveEndedAt = &at, &at
}
