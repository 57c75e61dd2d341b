package broadcast_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// Whatever arrives as an event, in whatever state: no panic, the laws hold.
func FuzzEvent(f *testing.F) {
	for n := range broadcast.KeyStates {
		f.Add(uint8(n), []byte(`{"Epoch":2,"Seq":1,"Phase":"PREP","Mode":"CMAF"}`))
		f.Add(uint8(n), []byte(`{"Epoch":1,"Seq":9,"Phase":"PUBLISHED","Mode":"RTMP"}`))
		f.Add(uint8(n), []byte(`{"Epoch":1,"Seq":9223372036854775807,"Phase":"STOPPED"}`))
	}
	f.Add(uint8(3), []byte(`{"Epoch":18446744073709551615,"Seq":18446744073709551615,"Phase":"STOPPED"}`))
	f.Add(uint8(3), []byte(`{"Phase":"REFUSED","Error":{"Code":"KEY_IN_USE"}}`))
	f.Add(uint8(3), []byte(`{"Epoch":1,"Seq":9,"Phase":"paused","Error":null,"At":"2026-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, state uint8, body []byte) {
		var e broadcast.Event
		if json.Unmarshal(body, &e) != nil {
			return
		}
		w := worldAt(t, broadcast.KeyStates[int(state)%len(broadcast.KeyStates)])
		before := w.key.State
		w.take("next")
		out, refusal, err := w.do(w.carried(), e)
		if err != nil || refusal != nil {
			t.Fatalf("%+v: %v %v", e, err, refusal)
		}
		if out.Forbidden != nil && (w.key.State != before || out.Forbidden.Message == "") && e.Epoch <= 1 {
			t.Fatalf("%+v is forbidden and moved the key from %s to %s", e, before, w.key.State)
		}
	})
}

// Records that no store of ours can hold: an error, never a panic, and no step
// from or to a state that breaks the coupling rule.
func FuzzStep(f *testing.F) {
	f.Add([]byte(`{"Key":{"ID":"k","State":"ACTIVE"},"Room":{"ID":"r","KeyID":"k","State":"SCHEDULED"}}`), uint8(0))
	f.Add([]byte(`{"Key":{"ID":"k","State":"ACTIVE_LIVE","RoomID":"r"},"Room":{"ID":"r","KeyID":"k","State":"LIVE"}}`), uint8(2))
	f.Add([]byte(`{"Key":{"ID":"k","State":"ACTIVE_LIVE","RoomID":"r"}}`), uint8(2))
	f.Add([]byte(`{"Key":{"State":"?"},"Lease":{"Epoch":18446744073709551615}}`), uint8(8))
	f.Fuzz(func(t *testing.T, body []byte, which uint8) {
		var s broadcast.State
		if json.Unmarshal(body, &s) != nil {
			return
		}
		inputs := []broadcast.Input{
			broadcast.GoLive{},
			broadcast.End{PlayID: "p"},
			broadcast.ForceEnd{PlayID: "p"},
			broadcast.TimeLimit{Reason: broadcast.EndReasonMaxDuration},
			broadcast.TimeLimit{Reason: "?"},
			broadcast.Cancel{},
			broadcast.Revoke{},
			broadcast.Reissue{},
			broadcast.Saved{},
			broadcast.Event{Epoch: 1, Seq: 1, Phase: broadcast.Published, Mode: broadcast.ModeCMAF},
			nil,
		}
		copied := deepCopy(s)
		out, err := broadcast.Step(s, inputs[int(which)%len(inputs)], start)
		if !reflect.DeepEqual(s, copied) {
			t.Fatal("step changed its input")
		}
		var refusal *broadcast.Refusal
		switch {
		case err == nil && broadcast.Check(out.State) != nil:
			t.Fatalf("%s: %v", body, broadcast.Check(out.State))
		case errors.As(err, &refusal) && refusal.Error() == "":
			t.Fatalf("%s: a refusal without a word", body)
		}
	})
}

// A caller's mistakes are errors, not refusals that an API would show; records
// that do not fit may be a torn read, and say so.
func TestMistakesOfTheCallerAreErrors(t *testing.T) {
	live := worldAt(t, broadcast.KeyActiveLive)
	stopped := live.next(broadcast.Stopped)
	other, ended := live.clone(), live.clone()
	other.rooms[0].KeyID = "key_2"
	ended.rooms[0].State = broadcast.RoomEnded
	for name, c := range map[string]struct {
		s    broadcast.State
		in   broadcast.Input
		torn bool
	}{
		"no input":                            {live.state(0), nil, false},
		"a reason that is no limit":           {live.state(0), broadcast.TimeLimit{Reason: broadcast.EndReasonForced}, false},
		"event without the carried room":      {live.state(-1), stopped, false},
		"event with another room":             {live.state(1), stopped, false},
		"disconnect without the carried room": {live.state(-1), broadcast.Revoke{}, false},
		"force end without the carried room":  {live.state(-1), broadcast.ForceEnd{PlayID: "p"}, false},
		"somebody else's room":                {other.state(0), broadcast.GoLive{}, true},
		"a carried room that has ended":       {ended.state(0), stopped, true},
		"a live key that carries no room":     {broadcast.State{Key: broadcast.StreamKey{State: broadcast.KeyActiveLive}}, broadcast.Revoke{}, true},
		"a live room beside its key":          {broadcast.State{Key: broadcast.StreamKey{State: broadcast.KeyActive}, Room: &broadcast.VideoRoom{State: broadcast.RoomLive}}, broadcast.Revoke{}, true},
	} {
		var refusal *broadcast.Refusal
		_, err := broadcast.Step(c.s, c.in, start)
		if err == nil || errors.As(err, &refusal) || errors.Is(err, broadcast.ErrIncoherent) != c.torn {
			t.Errorf("%s: %v", name, err)
		}
	}
}
