package disk_test

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/roomcast/roomcast/internal/control"
)

func TestFullDiskRefusesAndLeavesNothingBehind(t *testing.T) {
	mount := t.TempDir()
	if err := syscall.Mount("tmpfs", mount, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatalf("mount a small disk, which only root may: run the tests as root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(mount, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	dir := filepath.Join(mount, "objects")
	d := open(t, dir)
	put(t, d, "live/p/v.m3u8", "old", control.PutOptions{})
	before := strings.Join(files(t, dir), " ")
	big := [][]byte{make([]byte, 600<<10), make([]byte, 600<<10)}
	for _, key := range []string{"live/p/v.m3u8", "live/new/s1-0/v/1.m4s"} {
		if _, err := d.Put(t.Context(), key, big, control.PutOptions{}); !errors.Is(err, control.ErrNoSpace) {
			t.Errorf("put %s: %v, want ErrNoSpace", key, err)
		}
	}
	if after := strings.Join(files(t, dir), " "); after != before {
		t.Errorf("files are %s, were %s", after, before)
	}
	if body, _, err := d.Get(t.Context(), "live/p/v.m3u8"); err != nil || string(body) != "old" {
		t.Errorf("the object is %q (%v)", body, err)
	}
	if _, err := d.Put(t.Context(), "live/p/v.m3u8", big[:1], control.PutOptions{}); err != nil {
		t.Errorf("put what fits: %v", err)
	}
}
