package e2e

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/queue/local"
	"github.com/roomcast/roomcast/internal/store/sqlite"
)

// bury makes events dead letters of a machine that stands.
func bury(t *testing.T, m *machine, events ...broadcast.Event) {
	t.Helper()
	no := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db, err := sqlite.Open(filepath.Join(m.dir, "roomcast.db"), sqlite.Options{Now: time.Now})
	no(err)
	q, err := local.New(t.Context(), db.SQL(), local.Options{Now: time.Now, MaxReceives: 1})
	no(err)
	for _, e := range events {
		message, err := control.EncodeEvent(e, 0)
		no(err)
		no(q.Send(t.Context(), message))
		for {
			list, err := q.Receive(t.Context(), 1, 0)
			no(err)
			if len(list) == 0 {
				break // it was received once too often
			}
			no(q.Return(t.Context(), list[0], 0))
		}
	}
	no(db.Close())
}

func TestAnOperatorListsReplaysAndDropsDeadLetters(t *testing.T) {
	m := newMachine(t)
	key := m.member("alice")
	refused := func(id broadcast.EventID, code string) broadcast.Event {
		return broadcast.Event{
			ID: id, KeyID: broadcast.KeyID(key.ID), Phase: broadcast.Refused, At: time.Now(),
			Error: &broadcast.KeyError{Code: code, Message: "said later", At: time.Now()},
		}
	}
	m.stop()
	bury(t, m, refused("evt_1", "FIRST"), refused("evt_2", "SECOND"), refused("evt_3", "THIRD"))
	m.start()
	admin := func(args ...string) string {
		t.Helper()
		out, code := roomcast(t, append(append([]string{"admin", "dlq"}, args...), "--data", m.dir, "--http", m.http)...)
		if code != 0 {
			t.Fatalf("%v: exit %d: %s", args, code, out)
		}
		return out
	}
	lines := strings.Split(strings.TrimSpace(admin("list")), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], key.ID) || !strings.Contains(lines[0], "REFUSED") {
		t.Fatalf("list: %q", lines)
	}
	id, _, _ := strings.Cut(lines[1], " ")
	for _, said := range []string{"sent again", "is not there"} { // safe to repeat
		if out := admin("replay", id); out != id+" "+said+"\n" {
			t.Fatalf("replay: %q, want %s", out, said)
		}
	}
	eventually(t, 10*time.Second, "the replayed event is applied", func() error {
		if e := m.key("alice").LastError; e == nil || e.Code != "SECOND" {
			return errors.New("it is not")
		}
		return nil
	})
	if out := admin("drop", "--all"); strings.Count(out, "dropped") != 2 || strings.Contains(out, id) {
		t.Fatalf("drop: %q", out)
	}
	if out := admin("list", "--json"); out != "[]\n" {
		t.Fatalf("the list afterwards: %q", out)
	}
	if out, code := roomcast(t, "admin", "dlq", "replay", "--data", m.dir, "--http", m.http); code != 1 || !strings.Contains(out, "--all") {
		t.Errorf("replay of nothing: exit %d, %q", code, out)
	}
	if e := m.key("alice").LastError; e == nil || e.Code != "SECOND" {
		t.Errorf("a dropped event was applied: %+v", e)
	}
}
