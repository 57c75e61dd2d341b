package upload_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/manifest"
	"github.com/roomcast/roomcast/workers/ingest/segment"
	"github.com/roomcast/roomcast/workers/ingest/upload"
)

func TestALongSessionIsSound(t *testing.T) {
	s := newStage(t)
	p := s.mustOpen(1, "v", "a")
	if ack := p.mustPlay(1); !ack.First || ack.LastSegment != 1 {
		t.Errorf("the first acknowledgement is %+v", ack)
	}
	if ack := p.mustPlay(44); ack.First || ack.LastSegment != 45 {
		t.Errorf("the last acknowledgement is %+v", ack)
	}
	s.sound()
}

func TestEverythingIsReadableWhenTheFirstSegmentIsAcknowledged(t *testing.T) {
	s := newStage(t)
	s.mustOpen(7, "v", "a").mustPlay(1)
	for _, name := range []string{
		"s7-0/v-init.mp4", "s7-0/a-init.mp4", "s7-0/v/1.m4s", "s7-0/a/1.m4s",
		"v.m3u8", "a.m3u8", "master.m3u8", "manifest.mpd",
	} {
		s.get(name)
	}
	var order []string
	for _, w := range s.store.Log()[4:] {
		order = append(order, strings.TrimPrefix(w.Key, prefix))
	}
	if got := strings.Join(order, " "); got != "v.m3u8 a.m3u8 master.m3u8 manifest.mpd" {
		t.Errorf("manifests were written in the order %s", got)
	}
}

func TestAResumedSessionGoesOn(t *testing.T) {
	s := newStage(t)
	s.mustOpen(1, "v", "a").mustPlay(20)
	s.at = s.at.Add(time.Minute)
	p, resumed, err := s.open(s.store, 2, "v", "a")
	if err != nil {
		t.Fatal(err)
	}
	if resumed.LastSegment != 20 || resumed.TargetDuration != 2*time.Second {
		t.Errorf("resumed %+v", resumed)
	}
	if ack := p.mustPlay(12); ack.LastSegment != 32 {
		t.Errorf("the last segment is %d, want 32", ack.LastSegment)
	}
	s.sound()
	for _, name := range []string{"v.m3u8", "a.m3u8"} {
		if n := strings.Count(s.get(name), "#EXT-X-DISCONTINUITY\n"); n != 1 {
			t.Errorf("%s has %d discontinuities, want 1", name, n)
		}
	}
	if n := strings.Count(s.get("manifest.mpd"), "<Period "); n != 2 {
		t.Errorf("%d periods, want 2", n)
	}
}

func TestTracksMayComeAndGo(t *testing.T) {
	cases := map[string][][]string{
		"video only":          {{"v"}},
		"audio only":          {{"a"}},
		"both, then video":    {{"v", "a"}, {"v"}},
		"both, then audio":    {{"v", "a"}, {"a"}},
		"audio, then both":    {{"a"}, {"v", "a"}},
		"video, audio, video": {{"v"}, {"a"}, {"v"}},
	}
	for name, sessions := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			for i, tracks := range sessions {
				s.mustOpen(uint64(i+1), tracks...).mustPlay(9)
				s.at = s.at.Add(5 * time.Second)
			}
			s.sound()
		})
	}
}

func TestVideoThatStopsIsAGapInAPeriodOfItsOwn(t *testing.T) {
	s := newStage(t)
	p := s.mustOpen(1, "v", "a")
	p.mustPlay(3)
	p.mustPlay(2, "v")
	p.mustPlay(3)
	// The sample's DTS go on behind the gap: one run, three periods.
	s.sound()
	v := s.get("v.m3u8")
	if strings.Count(v, "#EXT-X-GAP\n") != 2 || strings.Count(v, "#EXT-X-DISCONTINUITY\n") != 2 {
		t.Errorf("no two gaps between two discontinuities:\n%s", v)
	}
	if n := strings.Count(s.get("manifest.mpd"), "contentType=\"video\""); n != 2 {
		t.Errorf("video in %d periods, want 2", n)
	}
}

func TestANewRunIsADiscontinuityAndItsTagsAreCountedWhenTheyLeave(t *testing.T) {
	s := newStage(t)
	p := s.mustOpen(1, "v", "a")
	for range 9 {
		if err := p.out.Init(t.Context(), p.nextInit()); err != nil {
			t.Fatal(err)
		}
		p.mustPlay(5)
	}
	s.sound()
	list, err := manifest.ParsePlaylist([]byte(s.get("v.m3u8")))
	if err != nil {
		t.Fatal(err)
	}
	if last := list.Entries[len(list.Entries)-1]; last.Discontinuity != 8 || list.DiscontinuitySequence == 0 {
		t.Errorf("sequence %d, last %d", list.DiscontinuitySequence, last.Discontinuity)
	}
}

func TestTheRecordingIsIndexObjectsAndTheLiveTail(t *testing.T) {
	s := newStage(t)
	s.mustOpen(1, "v", "a").mustPlay(23)
	s.mustOpen(2, "v", "a").mustPlay(24)
	var numbers []uint64
	var size int64
	for first := uint64(1); first <= 31; first += 10 {
		var x manifest.Index
		if err := json.Unmarshal([]byte(s.get(manifest.IndexName(first))), &x); err != nil {
			t.Fatal(err)
		}
		for _, e := range x.Segments {
			numbers = append(numbers, e.Number)
			for _, tr := range e.Tracks {
				body := s.get(fmt.Sprintf("%s/%s/%d.m4s", e.Run, tr.Name, e.Number))
				if int64(len(body)) != tr.SizeBytes {
					t.Errorf("segment %d of %s has %d bytes, indexed %d", e.Number, tr.Name, len(body), tr.SizeBytes)
				}
				size += tr.SizeBytes
			}
		}
	}
	tail, err := manifest.ParseRecord([]byte(s.get("v.m3u8")))
	if err != nil {
		t.Fatal(err)
	}
	if len(numbers) != 40 || tail.First > 41 || tail.Last() != 47 || size == 0 {
		t.Errorf("%d indexed, live from %d to %d", len(numbers), tail.First, tail.Last())
	}
	for i, n := range numbers {
		if n != uint64(i+1) {
			t.Fatalf("entry %d is segment %d", i, n)
		}
	}
}

func TestWrongCallsAreRefused(t *testing.T) {
	s := newStage(t)
	for _, id := range []string{"", "a/b", "..", `a\b`} {
		if _, _, err := upload.Open(t.Context(), s.store, id, 1, s.options()); err == nil {
			t.Errorf("play id %q was taken", id)
		}
	}
	p := s.mustOpen(1, "v")
	in := p.nextInit()
	if _, err := s.mustOpen(1, "v").out.Segment(t.Context(), p.nextSegment()); err == nil {
		t.Error("a segment without an init was taken")
	}
	in.Run.Epoch = 2
	if err := p.out.Init(t.Context(), in); err == nil {
		t.Error("a run of another epoch was taken")
	}
	s = newStage(t)
	s.mustOpen(1, "v").mustPlay(1)
	p = s.mustOpen(2, "v")
	in = p.nextInit()
	in.TargetDuration = 4 * time.Second
	if err := p.out.Init(t.Context(), in); err == nil {
		t.Error("another target duration was taken")
	}
}

func TestAStoredManifestThatIsNotOursIsAClearError(t *testing.T) {
	s := newStage(t)
	if _, err := s.store.Put(t.Context(), prefix+"v.m3u8", [][]byte{[]byte("#EXTM3U\n")}, control.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.open(s.store, 1, "v")
	if err == nil || !strings.Contains(err.Error(), "v.m3u8") {
		t.Errorf("error %v", err)
	}
}

func TestTheEndIsTheEnd(t *testing.T) {
	s := newStage(t)
	p := s.mustOpen(1, "v", "a")
	p.mustPlay(3)
	end := func() {
		files, err := manifest.Close([]byte(s.get("v.m3u8")), s.at)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			_, info, err := s.store.Get(t.Context(), prefix+f.Name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.store.Put(t.Context(), prefix+f.Name, [][]byte{f.Body}, control.PutOptions{
				ContentType: f.ContentType, CacheControl: manifest.CacheControl, IfMatch: info.ETag,
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	end()
	if _, err := p.play(1); !errors.Is(err, upload.ErrEnded) {
		t.Errorf("a segment after the end: %v", err)
	}
	if _, _, err := s.open(s.store, 2, "v"); !errors.Is(err, upload.ErrEnded) {
		t.Errorf("a session after the end: %v", err)
	}
	end() // the archiver's second try
	s.sound()
}

func TestADeletedPresentationEndsTheSession(t *testing.T) {
	s := newStage(t)
	p := s.mustOpen(1, "v")
	p.mustPlay(1)
	if err := s.store.Delete(t.Context(), prefix+"v.m3u8"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.play(1); !errors.Is(err, upload.ErrEnded) {
		t.Errorf("error %v", err)
	}
}

func TestACancelledSessionStops(t *testing.T) {
	s := newStage(t)
	p := s.mustOpen(1, "v")
	p.mustPlay(1)
	ctx, cancel := context.WithCancel(t.Context())
	f := &faults{Objects: s.store, before: func(int, string) error { cancel(); return errors.New("out") }}
	out, _, err := upload.Open(ctx, f, "p1", 2, s.options())
	if out != nil || !errors.Is(err, context.Canceled) && err == nil {
		t.Errorf("error %v", err)
	}
	if f.puts != 1 {
		t.Errorf("%d tries after the end of the context", f.puts)
	}
}

// TestWhoComesBackWaitsForOneReadAndOneWrite: before its first picture, that is.
// What else a new session does to what it goes on with is done while its first
// segment is collected, and leaves the first segment nothing to look up.
func TestWhoComesBackWaitsForOneReadAndOneWrite(t *testing.T) {
	s := newStage(t)
	s.mustOpen(1, "v", "a").mustPlay(3)
	c := &counted{Objects: s.store}
	out, _, err := upload.Open(t.Context(), c, "p1", 2, s.options())
	if err != nil {
		t.Fatal(err)
	}
	if c.gets != 1 || c.puts != 1 {
		t.Errorf("%d reads and %d writes before the first picture", c.gets, c.puts)
	}
	c.gets, c.puts = 0, 0
	if err := out.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.gets != 4 || c.puts != 3 {
		t.Errorf("%d reads and %d writes for three manifests", c.gets, c.puts)
	}
	c.gets, c.puts = 0, 0
	p := &publisher{s: s, out: out, run: segment.Run{Epoch: 2, Index: -1}, tracks: []string{"v", "a"}}
	p.mustPlay(1)
	if c.gets != 0 || c.puts != 7 {
		t.Errorf("%d reads and %d writes for the first segment, its two init segments and three manifests", c.gets, c.puts)
	}
	s.sound()
}

// counted counts calls. One writer.
type counted struct {
	control.Objects
	mu         sync.Mutex
	gets, puts int
}

func (c *counted) Get(ctx context.Context, key string) ([]byte, control.ObjectInfo, error) {
	c.mu.Lock()
	c.gets++
	c.mu.Unlock()
	return c.Objects.Get(ctx, key)
}

func (c *counted) Put(ctx context.Context, key string, body [][]byte, o control.PutOptions) (string, error) {
	c.mu.Lock()
	c.puts++
	c.mu.Unlock()
	return c.Objects.Put(ctx, key, body, o)
}
