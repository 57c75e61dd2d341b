package sqlite

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

func TestChangesAreToldButNotTheWorkersLeases(t *testing.T) {
	d, err := Open(filepath.Join(t.TempDir(), "roomcast.db"), options(&bytes.Buffer{}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	told := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	one, other := d.Changed(), d.Changed()
	if told(one) {
		t.Error("nothing has changed")
	}
	lease := control.LeaseWrite{New: true, Lease: broadcast.Lease{KeyID: "key_1", Epoch: 1, KeyGeneration: 1, PlayID: "p"}}
	if err := d.Commit(t.Context(), control.Changes{ID: "1", Leases: []control.LeaseWrite{lease}}); err != nil {
		t.Fatal(err)
	}
	if !told(one) || !told(other) {
		t.Error("a commit is not told")
	}
	next := d.Changed()
	if _, err := d.TakeLease(t.Context(), "key_1", control.LeaseCondition{Generation: 1, Epoch: 1}, broadcast.Holder{Session: "s"}, broadcast.Progress{}); err != nil {
		t.Fatal(err)
	}
	if err := d.RenewLease(t.Context(), "key_1", 2, "s", broadcast.Progress{Renewals: 1}); err != nil {
		t.Fatal(err)
	}
	if told(next) {
		t.Error("a worker's lease is told")
	}
	if err := d.FinishJob(t.Context(), "none"); err != nil {
		t.Fatal(err)
	}
	if !told(next) {
		t.Error("a job's end is not told")
	}
}
