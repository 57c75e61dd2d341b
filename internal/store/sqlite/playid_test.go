package sqlite

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

var _ control.PlayIDs = (*DB)(nil)

func TestAPlayIDLeadsToItsLeaseUntilItIsClosed(t *testing.T) {
	d, err := Open(filepath.Join(t.TempDir(), "roomcast.db"), options(&bytes.Buffer{}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	l := broadcast.Lease{KeyID: "key_1", Epoch: 1, KeyGeneration: 1, PlayID: "first"}
	commit := func(w control.LeaseWrite) {
		t.Helper()
		if err := d.Commit(t.Context(), control.Changes{ID: string(w.Lease.PlayID), Leases: []control.LeaseWrite{w}}); err != nil {
			t.Fatal(err)
		}
	}
	leads := func(id broadcast.PlayID, want error) {
		t.Helper()
		got, err := d.LeaseOfPlayID(t.Context(), id)
		if !errors.Is(err, want) || want == nil && got.KeyID != "key_1" {
			t.Errorf("%q: %+v, %v; want %v", id, got, err, want)
		}
	}
	commit(control.LeaseWrite{Lease: l, New: true})
	leads("first", nil)
	if _, err := d.TakeLease(t.Context(), "key_1", control.LeaseCondition{Generation: 1, Epoch: 1}, broadcast.Holder{Session: "s"}, broadcast.Progress{}); err != nil {
		t.Fatal(err)
	}
	leads("first", nil)
	l.PlayID, l.Epoch = "second", 3
	commit(control.LeaseWrite{Lease: l, IfEpoch: 2})
	leads("first", control.ErrNotFound)
	leads("second", nil)
	leads("", control.ErrNotFound)

	var a, b, c int
	var plan string
	if err := d.writer.QueryRow("EXPLAIN QUERY PLAN "+playIDSQL, "x").Scan(&a, &b, &c, &plan); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(plan, "leases_by_play_id") {
		t.Errorf("a play id is found by %s", plan)
	}
}
