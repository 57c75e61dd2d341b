package upload_test

import (
	"bytes"
	"errors"
	"os"
	"path"
	"path/filepath"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/mediatest/check"
	"github.com/roomcast/roomcast/internal/objects/disk"
)

// What a power cut may leave (control.Durability) is made by hand here; what
// it does leave, disk's tests see on a real file system.
func TestAfterAPowerCutTheShowGoesOnFromWhatIsThere(t *testing.T) {
	short := func(names ...string) func(dir string) error {
		return func(dir string) (err error) {
			for _, name := range names {
				err = errors.Join(err, os.Truncate(filepath.Join(dir, prefix, name), 0))
			}
			return err
		}
	}
	for name, c := range map[string]struct {
		published int
		cut       func(dir string) error
		lost      int
	}{
		"nothing is lost":           {23, func(string) error { return nil }, 0},
		"the last segment is empty": {23, short("s1-0/v/23.m4s"), 1},
		"sound is cut short, pictures are not": {23, func(dir string) error {
			return os.Truncate(filepath.Join(dir, prefix, "s1-0/a/23.m4s"), 100)
		}, 1},
		"one is missing, the next is there":  {23, func(dir string) error { return os.Remove(filepath.Join(dir, prefix, "s1-0/v/22.m4s")) }, 2},
		"the other manifests are empty":      {23, short("a.m3u8", "manifest.mpd", "master.m3u8"), 0},
		"everything but the record is empty": {2, short("s1-0/v/1.m4s", "s1-0/a/2.m4s", "a.m3u8", "manifest.mpd", "master.m3u8"), 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			d, err := disk.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			s := stageOn(t, d)
			s.mustOpen(1, "v", "a").mustPlay(c.published)
			if err := errors.Join(d.Close(), c.cut(dir), os.WriteFile(filepath.Join(dir, ".boot"), []byte("another"), 0o600)); err != nil {
				t.Fatal(err)
			}
			if d, err = disk.Open(dir); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = d.Close() }() // the test is over
			records, err := d.Glob("live/*/v.m3u8")
			if err != nil || !d.Restarted() || len(records) != 1 {
				t.Fatalf("restarted %v, records %v (%v)", d.Restarted(), records, err)
			}
			before := s.store
			s.store = check.NewRecorder(d)
			lost, err := control.RepairShow(t.Context(), s.store, "p1", s.at)
			if err != nil || lost != c.lost {
				t.Fatalf("%d segments lost (%v), want %d", lost, err, c.lost)
			}
			s.at = s.at.Add(30 * time.Second)
			p, resumed, err := s.open(s.store, 2, "v", "a")
			if err != nil || resumed.LastSegment != uint64(c.published-c.lost) {
				t.Fatalf("resumed %+v, %v", resumed, err)
			}
			p.mustPlay(12)
			// From here on everything that is named is there.
			log := survivors(t, before.Log(), d)
			offset := len(log)
			for _, w := range s.store.Log() {
				w.Before += offset
				log = append(log, w)
			}
			for _, f := range check.Check(log, prefix) {
				t.Error(f)
			}
			again, err := disk.Open(dir)
			if err != nil || again.Restarted() {
				t.Errorf("restarted again: %v", err)
			}
			_ = again.Close() // only looked at
		})
	}
}

// survivors are the media of a log that are still there as they were written.
func survivors(t *testing.T, log []check.Write, d *disk.Disk) (list []check.Write) {
	t.Helper()
	for _, w := range log {
		if ext := path.Ext(w.Key); ext == ".m3u8" || ext == ".mpd" {
			continue
		}
		if body, _, err := d.Get(t.Context(), w.Key); err == nil && bytes.Equal(body, w.Body) {
			w.Before = len(list)
			list = append(list, w)
		}
	}
	return list
}
