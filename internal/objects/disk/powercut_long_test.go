//go:build long && linux

package disk_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/objects/disk"
)

// volume is an ext4 file system in an image. A copy of the image is what a
// power cut at that moment leaves: what had not gone from the page cache to the
// block device is not in it.
type volume struct {
	t     *testing.T
	image string
	dir   string
}

func newVolume(t *testing.T) *volume {
	t.Helper()
	v := &volume{t: t, image: filepath.Join(t.TempDir(), "image")}
	v.run("truncate", "-s", "64M", v.image)
	v.run("mkfs.ext4", "-q", v.image)
	v.dir = mount(t, v.image)
	return v
}

func (v *volume) run(name string, args ...string) {
	v.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		v.t.Fatalf("%s %v, which only root may: %v\n%s", name, args, err, out)
	}
}

func mount(t *testing.T, image string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		t.Fatalf("mount an image, which only root may: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	return dir
}

// cut answers the directory as it is after a power cut now.
func (v *volume) cut() string {
	v.t.Helper()
	image := filepath.Join(v.t.TempDir(), "after")
	v.run("cp", "--sparse=always", v.image, image)
	return filepath.Join(mount(v.t, image), "media")
}

// sizeOf is that of an object's file; -1: there is none.
func sizeOf(dir, key string) int64 {
	info, err := os.Stat(filepath.Join(dir, key))
	if err != nil {
		return -1
	}
	return info.Size()
}

// Each durability keeps its word on a real file system, and a real power cut
// does take what may be taken: else this would prove nothing.
func TestWhatAPowerCutTakes(t *testing.T) {
	const size = 300_000
	body := make([]byte, size)
	write := func(t *testing.T, d *disk.Disk, n int, durability control.Durability) string {
		t.Helper()
		key := fmt.Sprintf("live/p/s1-0/v/%d.m4s", n)
		if _, err := d.Put(t.Context(), key, [][]byte{body}, control.PutOptions{IfNoneMatch: true, Durability: durability}); err != nil {
			t.Fatal(err)
		}
		return key
	}
	begin := func(t *testing.T) (*volume, *disk.Disk) {
		t.Helper()
		v := newVolume(t)
		d := open(t, filepath.Join(v.dir, "media"))
		write(t, d, 0, control.Durable) // the directories
		return v, d
	}
	t.Run("a fleeting object may be gone", func(t *testing.T) {
		v, d := begin(t)
		key := write(t, d, 1, control.Fleeting)
		if got := sizeOf(v.cut(), key); got == size {
			t.Error("it is there: the cut cuts nothing")
		}
	})
	t.Run("but not after a second", func(t *testing.T) {
		v, d := begin(t)
		key := write(t, d, 1, control.Fleeting)
		time.Sleep(3 * time.Second) // disk's flushAfter and a slow disk: it is a real clock's promise
		if got := sizeOf(v.cut(), key); got != size {
			t.Errorf("it has %d bytes", got)
		}
	})
	t.Run("a durable object is there, and all before it", func(t *testing.T) {
		v, d := begin(t)
		keys := []string{write(t, d, 1, control.Fleeting), write(t, d, 2, control.Whole), write(t, d, 3, control.Durable)}
		after := v.cut()
		for _, key := range keys {
			if got := sizeOf(after, key); got != size {
				t.Errorf("%s has %d bytes", key, got)
			}
		}
	})
	t.Run("a whole object is one of its versions", func(t *testing.T) {
		v, d := begin(t)
		for n := range 20 {
			text := fmt.Appendf(nil, "version %05d", n)
			if _, err := d.Put(t.Context(), "live/p/v.m3u8", [][]byte{text}, control.PutOptions{Durability: control.Whole}); err != nil {
				t.Fatal(err)
			}
			write(t, d, n+1, control.Fleeting)
			after := v.cut()
			got, err := os.ReadFile(filepath.Join(after, "live/p/v.m3u8"))
			if len(got) != len(text) && !(errors.Is(err, os.ErrNotExist) && n < 3) {
				t.Errorf("after version %d: %q (%v)", n, got, err)
			}
		}
	})
	t.Run("a closed directory is whole", func(t *testing.T) {
		v, d := begin(t)
		key := write(t, d, 1, control.Fleeting)
		other, err := disk.Open(filepath.Join(v.dir, "other"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := other.Put(t.Context(), "x", [][]byte{body}, control.PutOptions{Durability: control.Fleeting}); err != nil {
			t.Fatal(err)
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		if after := v.cut(); sizeOf(after, key) != size || sizeOf(filepath.Dir(after), "other/x") != size {
			t.Errorf("%d and %d bytes", sizeOf(after, key), sizeOf(filepath.Dir(after), "other/x"))
		}
	})
}
