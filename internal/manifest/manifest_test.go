package manifest_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"
	"github.com/google/go-cmp/cmp"

	"github.com/roomcast/roomcast/internal/manifest"
	"github.com/roomcast/roomcast/internal/media"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var began = time.Date(2026, 3, 1, 12, 0, 0, 250_000_000, time.UTC)

func empty() manifest.Presentation {
	return manifest.Presentation{
		Epoch: 3, TargetDuration: 2 * time.Second, Window: 30 * time.Second,
		TimeURL: "https://live.example/time?a=1&b=2",
	}
}

func videoTrack() manifest.Track {
	return manifest.Track{Timescale: 90_000, Rendition: manifest.Rendition{
		Name: "v", Kind: media.Video, Codecs: "avc1.64001f", WidthPixels: 1280, HeightPixels: 720,
	}}
}

func audioTrack(rateHz int) manifest.Track {
	return manifest.Track{Timescale: uint32(rateHz), Rendition: manifest.Rendition{
		Name: "a", Kind: media.Audio, Codecs: "mp4a.40.2", SampleRateHz: rateHz, Channels: 2,
	}}
}

// both is segment i of a run with video and 44.1 kHz audio: 2 s of video,
// 86 audio frames; the video begins 67 ms late (reorder delay).
func both(epoch uint64, run, i int, at time.Time) manifest.Addition {
	return manifest.Addition{
		Epoch: epoch, Run: run, Start: at, Tracks: []manifest.Track{videoTrack(), audioTrack(44_100)},
		Spans: []manifest.Span{
			{PTS: media.Ticks(6_000 + 180_000*i), Duration: 180_000, SizeBytes: int64(640_000 + i)},
			{PTS: media.Ticks(86 * 1024 * i), Duration: 86 * 1024, SizeBytes: 32_000},
		},
	}
}

func only(track int, epoch uint64, run, i int, at time.Time) manifest.Addition {
	a := both(epoch, run, i, at)
	a.Tracks, a.Spans = a.Tracks[track:track+1], a.Spans[track:track+1]
	return a
}

// publish appends one segment as upload does.
func publish(t *testing.T, p manifest.Presentation, a manifest.Addition) manifest.Presentation {
	t.Helper()
	if p.IndexDue() {
		_, _, p = p.NextIndex()
	}
	p, err := p.Version(a.Epoch, a.Start).Append(a)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (- golden, + got; make golden rewrites it):\n%s", name, d)
	}
}

// interrupted is 14 segments, a reconnect with a pause of 10 s, 4 segments of
// video only, then a changed codec: three periods, the window has slid.
func interrupted(t *testing.T) manifest.Presentation {
	t.Helper()
	p := empty()
	for i := range 14 {
		p = publish(t, p, both(3, 0, i, began.Add(time.Duration(2*i)*time.Second)))
	}
	for i := range 4 {
		p = publish(t, p, only(0, 4, 0, i, began.Add(time.Duration(38+2*i)*time.Second)))
	}
	a := both(4, 1, 0, began.Add(46*time.Second))
	a.Dependent = true
	a.Tracks[1] = audioTrack(48_000)
	return publish(t, p, a)
}

func TestGoldenManifests(t *testing.T) {
	cases := map[string]manifest.Presentation{
		"first":       publish(t, empty(), both(3, 0, 0, began)),
		"interrupted": interrupted(t),
		"audio-only":  publish(t, publish(t, empty(), only(1, 3, 0, 0, began)), only(1, 3, 0, 1, began.Add(2*time.Second))),
		"video-only":  publish(t, empty(), only(0, 3, 0, 0, began)),
	}
	for name, p := range cases {
		for _, f := range p.Files() {
			golden(t, name+"/"+f.Name, f.Body)
		}
	}
	closed, err := manifest.Close(cases["interrupted"].Playlist("v"), began.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range closed {
		golden(t, "closed/"+f.Name, f.Body)
	}
	p := cases["first"]
	for i := 1; i < 10; i++ {
		p = publish(t, p, both(3, 0, i, began))
	}
	name, body, _ := p.NextIndex()
	golden(t, name, body)
}

func TestTheRecordAloneGivesBackThePresentation(t *testing.T) {
	want := interrupted(t)
	got, err := manifest.ParseRecord(want.Playlist("v"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want.Files(), got.Files()); d != "" {
		t.Error(d)
	}
}

func TestClosingTwiceGivesTheSameBytes(t *testing.T) {
	once, err := manifest.Close(interrupted(t).Playlist("v"), began.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	again, err := manifest.Close(once[0].Body, began.Add(2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(once, again); d != "" {
		t.Error(d)
	}
}

func TestClosedManifestsAreWhole(t *testing.T) {
	files, err := manifest.Close(interrupted(t).Playlist("v"), began.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files[:2] {
		if list, err := manifest.ParsePlaylist(f.Body); err != nil || !list.Ended {
			t.Errorf("%s: %v, ended %v", f.Name, err, list.Ended)
		}
	}
	doc, err := mpd.MPDFromBytes(files[len(files)-1].Body)
	if err != nil {
		t.Fatal(err)
	}
	if *doc.Type != "static" || doc.MinimumUpdatePeriod != nil || doc.MediaPresentationDuration == nil {
		t.Errorf("type %s, update period %v, duration %v", *doc.Type, doc.MinimumUpdatePeriod, doc.MediaPresentationDuration)
	}
}

func TestAnotherParserReadsTheMPD(t *testing.T) {
	doc, err := mpd.MPDFromBytes(interrupted(t).MPD())
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Periods) != 3 || len(doc.UTCTimings) != 1 {
		t.Fatalf("%d periods, %d UTCTiming", len(doc.Periods), len(doc.UTCTimings))
	}
	for i, sets := range []int{2, 1, 2} {
		if got := len(doc.Periods[i].AdaptationSets); got != sets {
			t.Errorf("period %d has %d adaptation sets, want %d", i, got, sets)
		}
	}
	if got := doc.UTCTimings[0].Value; got != "https://live.example/time?a=1&b=2" {
		t.Errorf("UTCTiming %s", got)
	}
}

func TestAPeriodNeverBeginsBeforeTheEndOfTheOneBefore(t *testing.T) {
	p := publish(t, empty(), both(3, 0, 0, began))
	p = publish(t, p, both(4, 0, 0, began.Add(time.Second))) // the clock was set back
	// The first one ends with its video, at 6000/90000 + 2 s, rounded up to a millisecond.
	if got, want := p.Periods[1].Start, 2067*time.Millisecond; got != want {
		t.Errorf("the period starts at %v, want %v", got, want)
	}
}

func TestAFailedAppendLeavesTheOldStateWhole(t *testing.T) {
	p := interrupted(t)
	before := p.Files()
	a := both(4, 1, 1, began.Add(48*time.Second))
	a.Spans[1].Duration = -1
	if _, err := p.Append(a); err == nil {
		t.Fatal("a negative duration was taken")
	}
	if _, err := p.Append(both(5, 0, 0, began.Add(50*time.Second))); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, p.Files()); d != "" {
		t.Error(d)
	}
}

func TestTwoNextVersionsDoNotShareMemory(t *testing.T) {
	p := empty()
	for i := range 40 {
		p = publish(t, p, both(3, 0, i, began))
		one, err := p.Append(both(3, 0, i+1, began))
		if err != nil {
			t.Fatal(err)
		}
		want := one.Playlist("v")
		if _, err := p.Append(only(0, 4, 0, 7, began)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, one.Playlist("v")) {
			t.Fatalf("after %d segments: a second Append changed what the first one made", i+1)
		}
	}
}

func TestDiscontinuitySequenceCountsTheTagsThatLeft(t *testing.T) {
	p := empty()
	want := map[uint64]uint64{} // segment number → discontinuity number, as first seen
	for i := range 120 {
		p = publish(t, p, both(3, i/7, i%7, began.Add(time.Duration(2*i)*time.Second)))
		list, err := manifest.ParsePlaylist(p.Playlist("a"))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list.Entries {
			if n, seen := want[e.Number]; seen && n != e.Discontinuity {
				t.Fatalf("segment %d had discontinuity number %d, now %d", e.Number, n, e.Discontinuity)
			}
			want[e.Number] = e.Discontinuity
		}
	}
	if len(want) != 120 || want[120] != 17 {
		t.Errorf("%d segments, the last has discontinuity number %d", len(want), want[120])
	}
}

func TestTheWindowWaitsForTheIndex(t *testing.T) {
	p := empty()
	for i := range 30 {
		var err error
		if p, err = p.Version(3, began).Append(both(3, 0, i, began)); err != nil {
			t.Fatal(err)
		}
	}
	if p.First != 1 {
		t.Fatalf("segments left before they were indexed: the first is %d", p.First)
	}
	_, _, p = p.NextIndex()
	if p, _ = p.Append(both(3, 0, 30, began)); p.First != 11 {
		t.Errorf("the first is %d, want 11", p.First)
	}
}

func TestEveryCutRecordIsRefused(t *testing.T) {
	body := interrupted(t).Playlist("v")
	for i := range body {
		if _, err := manifest.ParseRecord(body[:i]); err == nil {
			t.Fatalf("the first %d of %d bytes were taken", i, len(body))
		}
	}
	if _, err := manifest.ParseRecord(bytes.Repeat([]byte("#\n"), 4<<20)); err == nil {
		t.Error("8 MiB were taken")
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add(publishF(empty(), both(3, 0, 0, began)).Playlist("v"))
	f.Add(publishF(empty(), only(1, 3, 0, 0, began)).Playlist("v"))
	f.Add([]byte("#EXTM3U\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := manifest.ParseRecord(body)
		if err != nil {
			return
		}
		again, err := manifest.ParseRecord(p.Playlist("v"))
		if err != nil {
			t.Fatalf("what was rendered is not read: %v", err)
		}
		if d := cmp.Diff(p.Files(), again.Files()); d != "" {
			t.Fatal(d)
		}
		if _, err := manifest.Close(body, began); err != nil {
			t.Fatal(err)
		}
		if p.IndexDue() {
			_, _, p = p.NextIndex()
		}
		_, _ = p.Append(both(p.Epoch, 0, 0, began)) // any answer, no panic
	})
}

func publishF(p manifest.Presentation, a manifest.Addition) manifest.Presentation {
	p, err := p.Version(a.Epoch, a.Start).Append(a)
	if err != nil {
		panic(err)
	}
	return p
}
