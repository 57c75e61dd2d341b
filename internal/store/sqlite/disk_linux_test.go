package sqlite_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/roomcast/roomcast/internal/control"
)

// A real full disk: the log, its index and the database share 3 MB.
func TestFullDiskRefusesAndStaysSound(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
		t.Fatalf("mount a small disk, which only root may: run the tests as root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	db := open(t, filepath.Join(dir, "roomcast.db"))
	fillDisk(t, db)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	assertSound(t, db)
	if err := db.Commit(t.Context(), control.Changes{ID: "after", Apps: []control.App{{ID: "app"}}}); err != nil {
		t.Errorf("commit after there is room again: %v", err)
	}
}
