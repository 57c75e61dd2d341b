package httpapi

import (
	"context"
	"testing"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// bury makes a message a dead letter.
func (w *world) bury(body string) {
	w.t.Helper()
	w.sent++
	m := control.QueueMessage{Group: "key_1", DedupID: string(rune('a' + w.sent)), Body: []byte(body)}
	if err := w.queue.Send(context.Background(), m); err != nil {
		w.t.Fatal(err)
	}
	list, err := w.queue.Receive(context.Background(), 1, 0)
	if err != nil || len(list) != 1 {
		w.t.Fatal(list, err)
	}
	if err := w.queue.Return(context.Background(), list[0], 0); err != nil {
		w.t.Fatal(err)
	}
	if list, err := w.queue.Receive(context.Background(), 1, 0); err != nil || len(list) != 0 {
		w.t.Fatal(list, err)
	}
}

// deadLetters lists what an operator sees.
func (w *world) deadLetters(want int) (list []answer) {
	w.t.Helper()
	a := w.ok(w.send("GET", "/v2/admin/dead-letters", "Bearer "+operatorToken, ""))
	items, _ := a.body["items"].([]any)
	for _, i := range items {
		body, _ := i.(map[string]any)
		list = append(list, answer{body: body})
	}
	if len(list) != want || a.body["nextCursor"] != nil {
		w.t.Fatalf("%d dead letters, want %d: %s", len(list), want, a.raw)
	}
	return list
}

func TestOperatorsSeeReplayAndDropDeadLetters(t *testing.T) {
	w := newWorld(t)
	admin := "Bearer " + operatorToken
	w.login(w.acme, "kim")
	key := broadcast.KeyID(w.keyOf(w.acme, "kim").text("id"))
	w.deadLetters(0)
	_, err := w.db.TakeLease(t.Context(), key, control.LeaseCondition{Generation: 1}, broadcast.Holder{Session: "ses_1"}, broadcast.Progress{Mode: broadcast.ModeCMAF})
	if err != nil {
		t.Fatal(err)
	}
	e := broadcast.Event{ID: "evt_1", KeyID: key, Session: "ses_1", Epoch: 1, Seq: 1, Phase: broadcast.Prep, Mode: broadcast.ModeCMAF, At: w.clock()}
	m, err := control.EncodeEvent(e, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.bury(string(m.Body))
	w.bury("{")
	list := w.deadLetters(2)
	for field, want := range map[string]any{
		"streamKeyId": "key_1", "attempts": 1.0, "eventId": "evt_1", "phase": "PREP", "sessionId": "ses_1", "sentAt": "2026-03-01T12:00:00.345Z",
	} {
		if got := list[0].body[field]; got != want {
			t.Errorf("%s is %v, want %v", field, got, want)
		}
	}
	if list[1].body["eventId"] != nil || list[1].body["phase"] != nil {
		t.Errorf("an unreadable message is shown as %v", list[1].body)
	}
	first, second := "/v2/admin/dead-letters/"+list[0].text("id"), "/v2/admin/dead-letters/"+list[1].text("id")
	for _, auth := range []string{w.acme.basic(), w.login(w.acme, "kim")} {
		w.want(w.send("GET", "/v2/admin/dead-letters", auth, ""), 403, "FORBIDDEN")
		w.want(w.send("POST", first+"/replay", auth, ""), 403, "FORBIDDEN")
		w.want(w.send("DELETE", first, auth, ""), 403, "FORBIDDEN")
	}
	w.want(w.send("POST", first+"/replay", admin, ""), 204, "")
	w.want(w.send("POST", first+"/replay", admin, ""), 404, "DEAD_LETTER_NOT_FOUND")
	again, err := w.queue.Receive(t.Context(), 10, 0)
	if err != nil || len(again) != 1 || again[0].Attempts != 1 {
		t.Fatalf("the queue has %v (%v)", again, err)
	}
	w.service.HandleDelivery(t.Context(), w.queue, again[0])
	if k := w.keyOf(w.acme, "kim"); k.text("streamKeyState") != "ACTIVE_PREP" {
		t.Errorf("the replayed event was not applied: %s", k.raw)
	}
	w.want(w.send("DELETE", second, admin, ""), 204, "")
	w.want(w.send("DELETE", second, admin, ""), 404, "DEAD_LETTER_NOT_FOUND")
	w.want(w.send("POST", second+"/replay", admin, ""), 404, "DEAD_LETTER_NOT_FOUND")
	w.deadLetters(0)
	w.want(w.send("GET", "/v2/admin/dead-letters?limit=101", admin, ""), 422, "INVALID_FIELD")
}
