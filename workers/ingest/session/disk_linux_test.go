package session_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// A real full disk, on which the database lies as well.
func TestARealFullDiskEndsTheSessionAndTheDatabaseStaysSound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatalf("mount a small disk, which only root may: run the tests as root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	w := newWorldIn(t, dir)
	key := w.member("alice")
	tags := source(t, usual(t))
	c := w.publish(key.String)
	w.stream(c, tags)
	w.await("alice", broadcast.KeyActive)
	ballast := filepath.Join(dir, "ballast")
	fill(t, ballast)
	var reason error = w.cut(c, 15*time.Second)
	if reason == nil || !strings.Contains(reason.Error(), "the server's storage is full") {
		t.Fatalf("the publisher heard %v", reason)
	}
	w.logged("publisher left")
	w.no(os.Remove(ballast))
	w.lastError("alice", "STORAGE_FULL", "the server's storage is full") // told late, but told
	w.await("alice", broadcast.KeyInactive)

	published := lastPublished(w.recorder.Log(), folder(key))
	again := w.publish(key.String) // perhaps the lease could not be released: it is taken over
	w.push(again, tags)
	w.awaitSegments("alice", published+3)
	w.eventually("the new session is shown", func() error { return fence(w.key("alice"), 2, broadcast.KeyActive) })
	w.sound(folder(key))
	var verdict string
	w.no(w.db.SQL().QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict))
	if verdict != "ok" {
		t.Errorf("the database is %s", verdict)
	}
}

// fill takes all the room that there is.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(fmt.Errorf("fill the disk: %w", err))
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
