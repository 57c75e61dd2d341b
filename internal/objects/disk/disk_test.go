package disk_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/objects/disk"
	"github.com/roomcast/roomcast/internal/objects/objectstest"
)

func open(t testing.TB, dir string) *disk.Disk {
	t.Helper()
	d, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func put(t testing.TB, d *disk.Disk, key, body string, opt control.PutOptions) {
	t.Helper()
	if _, err := d.Put(t.Context(), key, [][]byte{[]byte(body)}, opt); err != nil {
		t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	objectstest.Run(t, func(t *testing.T) control.Objects {
		outside := t.TempDir()
		dir := filepath.Join(outside, "objects")
		d := open(t, dir)
		t.Cleanup(func() {
			entries, err := os.ReadDir(outside)
			if err != nil || len(entries) != 1 {
				t.Errorf("something was written outside: %v %v", entries, err)
			}
		})
		return d
	})
}

// files lists what is in dir, directories too.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if path != dir {
			names = append(names, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestMediaArePlainFilesAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	put(t, d, "live/p/v.m3u8", "#EXTM3U", control.PutOptions{ContentType: "application/vnd.apple.mpegurl", CacheControl: "max-age=0, s-maxage=1"})
	put(t, d, "live/p/a/1.m4s", "x", control.PutOptions{ContentType: "audio/mp4", CacheControl: "public, max-age=31536000, immutable"})
	if got := strings.Join(files(t, dir), " "); got != ".boot .tmp live live/p live/p/a live/p/a/1.m4s live/p/v.m3u8" {
		t.Errorf("files: %s", got)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "live/p/v.m3u8")); err != nil || string(b) != "#EXTM3U" {
		t.Errorf("the file is %q (%v)", b, err)
	}
	put(t, d, "live/p/odd.m4s", "x", control.PutOptions{ContentType: "text/plain"})
	for _, key := range []string{"live/p/v.m3u8", "live/p/a/1.m4s", "live/p/odd.m4s"} {
		if err := d.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(files(t, dir), " "); got != ".boot .tmp" {
		t.Errorf("after all is deleted: %s", got)
	}
}

func TestReopenedObjectsAreTheSameAndLeftoversAreGone(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	put(t, first, "k/1.m4s", "body", control.PutOptions{ContentType: "text/x", CacheControl: "max-age=7"})
	_, before, err := first.Get(t.Context(), "k/1.m4s")
	if err != nil {
		t.Fatal(err)
	}
	// What a crash leaves: half a file that was not renamed yet.
	if err := os.WriteFile(filepath.Join(dir, ".tmp", "17"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	second := open(t, dir)
	if left, err := os.ReadDir(filepath.Join(dir, ".tmp")); err != nil || len(left) != 0 {
		t.Errorf("left over: %v %v", left, err)
	}
	_, after, err := second.Get(t.Context(), "k/1.m4s")
	if err != nil || after != before {
		t.Errorf("reopened: %+v (%v), want %+v", after, err, before)
	}
	if _, err := second.Put(t.Context(), "k/1.m4s", nil, control.PutOptions{IfMatch: before.ETag}); err != nil {
		t.Errorf("conditional put after reopening: %v", err)
	}
}

// A crash between the two renames of a put with odd headers: the object is
// still the old one, and so are its headers.
func TestHeadersOfAnUnfinishedPutAreNotMixedUp(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	put(t, d, "k/1.m4s", "old", control.PutOptions{ContentType: "text/old"})
	put(t, d, "k/2.m4s", "new", control.PutOptions{ContentType: "text/new"})
	from, err := filepath.Glob(filepath.Join(dir, ".meta/k/2.m4s/*"))
	if err != nil || len(from) != 1 {
		t.Fatal(from, err)
	}
	if err := os.Rename(from[0], filepath.Join(dir, ".meta/k/1.m4s", filepath.Base(from[0]))); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir)
	if _, info, err := again.Get(t.Context(), "k/1.m4s"); err != nil || info.ContentType != "text/old" {
		t.Errorf("the object has type %q (%v), want text/old", info.ContentType, err)
	}
	put(t, again, "k/1.m4s", "new", control.PutOptions{})
	if _, info, err := again.Get(t.Context(), "k/1.m4s"); err != nil || info.ContentType != "video/mp4" {
		t.Errorf("the object has type %q (%v), want that of its name", info.ContentType, err)
	}
}

func TestDirectoriesThatSomebodyRemovedAreMadeAgain(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	put(t, d, "live/p/1.m4s", "x", control.PutOptions{ContentType: "text/x"})
	for _, name := range []string{"live", ".meta"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, d, "live/p/1.m4s", "x", control.PutOptions{ContentType: "text/x"})
}

func TestPutInThePlaceOfADirectoryLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	put(t, d, "a/b/c", "x", control.PutOptions{})
	before := strings.Join(files(t, dir), " ")
	for _, key := range []string{"a/b", "a/b/c/d"} {
		if _, err := d.Put(t.Context(), key, nil, control.PutOptions{}); err == nil {
			t.Errorf("put %s was accepted", key)
		}
	}
	if after := strings.Join(files(t, dir), " "); after != before {
		t.Errorf("files are %s, were %s", after, before)
	}
}

func TestETagIsThatOfTheFileAsItIs(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	put(t, d, "k", "one", control.PutOptions{})
	_, before, err := d.Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "k"), []byte("two"), 0o600); err != nil { // by a person
		t.Fatal(err)
	}
	later := before.ModifiedAt.Add(time.Second)
	if err := os.Chtimes(filepath.Join(dir, "k"), later, later); err != nil {
		t.Fatal(err)
	}
	if _, after, err := d.Get(t.Context(), "k"); err != nil || after.ETag == before.ETag {
		t.Errorf("the ETag is still %s (%v)", after.ETag, err)
	}
}

// zeros are n bytes.
func zeros(n int64) io.Reader { return io.LimitReader(nothing{}, n) }

type nothing struct{}

func (nothing) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A recording of gigabytes is not read for its ETag, also after a restart.
func TestALargeObjectIsNotReadForItsETag(t *testing.T) {
	const size = 1 << 20
	dir := t.TempDir()
	write := func(d *disk.Disk) string {
		t.Helper()
		etag, err := d.PutFrom(t.Context(), "posts/p/source.mp4", zeros(size), control.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return etag
	}
	is := func(d *disk.Disk) string {
		t.Helper()
		list, err := d.List(t.Context(), "posts/", "", 10)
		if err != nil || len(list) != 1 || list[0].SizeBytes != size {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0].ETag
	}
	first := open(t, dir)
	etag := write(first)
	if got := is(first); got != etag {
		t.Errorf("it has ETag %s, was written with %s", got, etag)
	}
	// Other bytes, by somebody who hides it: who reads them sees it.
	path := filepath.Join(dir, "posts/p/source.mp4")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt([]byte("x"), size/2)
		err = errors.Join(err, f.Close(), os.Chtimes(path, info.ModTime(), info.ModTime()))
	}
	if err != nil {
		t.Fatal(err)
	}
	second := open(t, dir)
	if got := is(second); got != etag {
		t.Errorf("after a restart it has ETag %s, not %s: it was read", got, etag)
	}
	if again := write(second); again == etag || is(second) != again {
		t.Errorf("another version has ETag %s, %s when asked; before %s", again, is(second), etag)
	}
}

// The kernel's clock stands still for milliseconds.
func TestNoTwoVersionsOfALargeObjectHaveOneETag(t *testing.T) {
	d := open(t, t.TempDir())
	seen := map[string]bool{}
	body := make([]byte, 150_000)
	for i := range 300 {
		body[0] = byte(i)
		etag, err := d.Put(t.Context(), "live/p/1.m4s", [][]byte{body}, control.PutOptions{Durability: control.Fleeting})
		if err != nil || seen[etag] {
			t.Fatalf("version %d has ETag %s, as one before it (%v)", i, etag, err)
		}
		seen[etag] = true
	}
}

func TestLinksDoNotLeadOutside(t *testing.T) {
	outside := t.TempDir()
	dir := filepath.Join(outside, "objects")
	d := open(t, dir)
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../secret", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..", filepath.Join(dir, "up")); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"link", "up/secret"} {
		if body, _, err := d.Get(t.Context(), key); err == nil {
			t.Errorf("get %s answered %q", key, body)
		}
	}
	if _, err := d.Put(t.Context(), "up/planted", nil, control.PutOptions{}); err == nil {
		t.Error("put followed a link outside")
	}
}

func TestOddKeysAreRefused(t *testing.T) {
	d := open(t, t.TempDir())
	for _, key := range []string{
		".tmp/1", ".meta/x", "a/.hidden", `a\b`, "a\x00b", "a\nb", "\xff", strings.Repeat("x", 256), strings.Repeat("x/", 600) + "x",
	} {
		_, err := d.Put(t.Context(), key, nil, control.PutOptions{})
		if err == nil || errors.Is(err, control.ErrNoSpace) || errors.Is(err, control.ErrConflict) {
			t.Errorf("put %q: %v", key, err)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprintf("segment/writers=%d", writers), func(b *testing.B) {
			d := open(b, b.TempDir())
			body := [][]byte{make([]byte, 640<<10)}
			b.SetBytes(640 << 10)
			next := make(chan int)
			done := make(chan error, writers)
			for w := range writers {
				go func() {
					var err error
					for n := range next {
						if err == nil {
							_, err = d.Put(b.Context(), fmt.Sprintf("live/p%d/s1-0/v/%d.m4s", w, n), body, control.PutOptions{})
						}
					}
					done <- err
				}()
			}
			for n := 0; b.Loop(); n++ {
				next <- n
			}
			close(next)
			for range writers {
				if err := <-done; err != nil {
					b.Error(err)
				}
			}
		})
	}
}
