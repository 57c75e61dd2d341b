package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/store/sqlite"
	"github.com/roomcast/roomcast/internal/store/storetest"
)

func open(t *testing.T, path string) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(path, sqlite.Options{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (control.Store, control.Leases) {
		db := open(t, filepath.Join(t.TempDir(), "a ?%#odd name.db"))
		return db, db
	})
}

func TestIdempotencyContract(t *testing.T) {
	storetest.RunIdempotency(t, func(t *testing.T) (control.Store, control.Idempotency) {
		db := open(t, filepath.Join(t.TempDir(), "once.db"))
		return db, db
	})
}

func TestCustomersContract(t *testing.T) {
	storetest.RunCustomers(t, func(t *testing.T) storetest.Customers {
		return open(t, filepath.Join(t.TempDir(), "customers.db"))
	})
}

func TestPurgeContract(t *testing.T) {
	storetest.RunPurge(t, func(t *testing.T) storetest.Purged {
		return open(t, filepath.Join(t.TempDir(), "old.db"))
	})
}
