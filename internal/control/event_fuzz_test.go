package control_test

import (
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// What is read as an event is written and read again as the same.
func FuzzDecodeEvent(f *testing.F) {
	m, err := control.EncodeEvent(broadcast.Event{
		ID: "evt_1", KeyID: "key_1", Session: "ses_1", Epoch: 3, Seq: 2, Phase: broadcast.Stopped, Mode: "CMAF", LastSegment: 7,
		At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Error: &broadcast.KeyError{Code: "X", Message: "y"},
	}, 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m.Body)
	f.Add([]byte(`{"phase":"PREP"}`))
	f.Add([]byte(`{"epoch":-1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := control.DecodeEvent(body)
		if err != nil {
			return
		}
		m, err := control.EncodeEvent(e, 1)
		if err != nil {
			return // a time outside of what JSON can say
		}
		again, err := control.DecodeEvent(m.Body)
		if err != nil || again.ID != e.ID || again.Epoch != e.Epoch || again.Seq != e.Seq || again.Phase != e.Phase || !again.At.Equal(e.At) {
			t.Fatalf("%+v became %+v, %v", e, again, err)
		}
	})
}
