package manifest_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"

	"github.com/roomcast/roomcast/internal/manifest"
	"github.com/roomcast/roomcast/internal/media"
)

// show publishes a live show and answers what a recording of it is made from:
// every segment's index entry, through the bytes of an index object.
func show(t *testing.T, additions []manifest.Addition) []manifest.IndexSegment {
	t.Helper()
	p := empty()
	var list []manifest.IndexSegment
	for _, a := range additions {
		p = publish(t, p, a)
		body, err := json.Marshal(manifest.Index{Version: 1, First: p.Last(), Segments: []manifest.IndexSegment{p.IndexOf(p.Last())}})
		if err != nil {
			t.Fatal(err)
		}
		x, err := manifest.ParseIndex(body)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, x.Segments...)
	}
	return list
}

// twoSessions is a show of two sessions with 20 s between them: five segments
// of video and audio, then three of audio alone, two of both.
func twoSessions() (list []manifest.Addition) {
	for i := range 5 {
		list = append(list, both(3, 0, i, began.Add(time.Duration(2*i)*time.Second)))
	}
	back := began.Add(30 * time.Second)
	for i := range 3 {
		list = append(list, only(1, 4, 0, i, back.Add(time.Duration(2*i)*time.Second)))
	}
	for i := range 2 {
		list = append(list, both(4, 1, i, back.Add(time.Duration(6+2*i)*time.Second)))
	}
	return list
}

func record(t *testing.T, list []manifest.IndexSegment) (*manifest.Recording, map[string]string) {
	t.Helper()
	r := manifest.NewRecording("../../live/play/")
	for _, s := range list {
		if err := r.Add(s); err != nil {
			t.Fatal(err)
		}
	}
	files, err := r.Files()
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, f := range files {
		texts[f.Name] = string(f.Body)
	}
	return r, texts
}

func TestTheRecordingsTexts(t *testing.T) {
	r, texts := record(t, show(t, twoSessions())[2:])
	for name, text := range texts {
		golden(t, "recording/"+name, []byte(text))
	}
	// 3 × 2 s of video, 3 × 86 audio frames, 2 × 2 s: interruptions take no time.
	audio := 3 * 86 * 1024 * time.Second / 44_100
	// Video begins 67 ms after audio, twice.
	if want := 10*time.Second + audio + 2*67*time.Millisecond; (r.Duration() - want).Abs() > 10*time.Millisecond {
		t.Errorf("duration %v, want about %v", r.Duration(), want)
	}
	if _, err := mpd.MPDFromBytes([]byte(texts[manifest.MPDName])); err != nil {
		t.Error(err)
	}
}

// Playlist and MPD name the same objects, each once, and only those of the
// recording.
func TestTheRecordingNamesEverySegmentOnce(t *testing.T) {
	list := show(t, twoSessions())
	list = append(list[1:3:3], list[4:]...) // number 4 is missing
	_, texts := record(t, list)
	want := map[string]bool{}
	for _, s := range list {
		for _, track := range s.Tracks {
			_, key := s.Object(track.Name)
			want["../../live/play/"+key] = true
		}
	}
	got := map[string]bool{}
	for _, name := range []string{"v.m3u8", "a.m3u8"} {
		gap := false
		for line := range strings.Lines(texts[name]) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "#") {
				gap = gap || line == "#EXT-X-GAP"
				continue
			}
			if !gap && (!want[line] || got[line]) {
				t.Errorf("%s names %s, which is not in the recording or there twice", name, line)
			}
			got[line] = got[line] || !gap
			gap = false
		}
	}
	for key := range want {
		if !got[key] {
			t.Errorf("no playlist names %s", key)
		}
	}
	inMPD := mpdNames(t, texts[manifest.MPDName])
	for key := range want {
		if inMPD[key] != 1 {
			t.Errorf("the MPD names %s %d times", key, inMPD[key])
		}
	}
	if len(inMPD) != len(want) {
		t.Errorf("the MPD names %d objects, want %d", len(inMPD), len(want))
	}
}

// A recording that begins within a segment names what is left of it, and goes
// on with the next one: as one piece in HLS, in a Period of its own in DASH.
func TestTheRecordingBeginsWithinASegment(t *testing.T) {
	list := show(t, twoSessions())[1:]
	opening := &list[0]
	opening.Opening, opening.Tracks = true, append([]manifest.IndexTrack{}, opening.Tracks...)
	for i := range opening.Tracks {
		o := &opening.Tracks[i]
		o.PTS, o.Duration, o.SizeBytes = o.PTS+o.Duration*9/10, o.Duration/10, o.SizeBytes/4
	}
	r, texts := record(t, list)
	_, want := opening.Object("v")
	if want != "s3-0/v/2-live.m4s" {
		t.Errorf("its name is %s", want)
	}
	v, whole := texts["v.m3u8"], strings.Split(texts["v.m3u8"], "#EXT-X-DISCONTINUITY\n")
	if !strings.Contains(v, "#EXTINF:0.200000,\n../../live/play/"+want+"\n#EXT-X-PROGRAM") || strings.Contains(v, "/2.m4s") || !strings.Contains(whole[0], "/v/5.m4s") || strings.Count(whole[0], "EXT-X-MAP") != 1 {
		t.Errorf("it is\n%s", v)
	}
	names := mpdNames(t, texts[manifest.MPDName])
	if names["../../live/play/"+want] != 1 || names["../../live/play/s3-0/v/2.m4s"] != 0 || names["../../live/play/s3-0/v/3.m4s"] != 1 {
		t.Errorf("the MPD names %v", names)
	}
	all, _ := record(t, show(t, twoSessions())[2:])
	if got := r.Duration() - all.Duration() - 200*time.Millisecond; got < -time.Millisecond || got > 80*time.Millisecond { // sound begins 67 ms before pictures
		t.Errorf("it is longer than the rest by 200 ms and %v", got)
	}
	// So short a segment says nothing of the bit rate.
	_, rest := record(t, list[1:])
	if texts[manifest.MasterName] != rest[manifest.MasterName] {
		t.Errorf("with its opening:\n%s\nwithout:\n%s", texts[manifest.MasterName], rest[manifest.MasterName])
	}
}

// mpdNames counts the segments that an MPD of ours names.
func mpdNames(t *testing.T, text string) map[string]int {
	t.Helper()
	names := map[string]int{}
	base := regexp.MustCompile(`<BaseURL>(.*)</BaseURL>`).FindStringSubmatch(text)[1]
	var number int
	var pattern string
	for line := range strings.Lines(text) {
		if m := regexp.MustCompile(`startNumber="(\d+)".* media="([^"]+)"`).FindStringSubmatch(line); m != nil {
			pattern = m[2]
			if _, err := fmt.Sscan(m[1], &number); err != nil {
				t.Fatal(err)
			}
		}
		if !strings.Contains(line, "<S ") {
			continue
		}
		repeat := 0
		if m := regexp.MustCompile(` r="(\d+)"`).FindStringSubmatch(line); m != nil {
			if _, err := fmt.Sscan(m[1], &repeat); err != nil {
				t.Fatal(err)
			}
		}
		for range repeat + 1 {
			names[base+strings.Replace(pattern, "$Number$", fmt.Sprint(number), 1)]++
			number++
		}
	}
	return names
}

// Twelve hours in one pass: what is kept of a segment is small.
func TestTwelveHoursFitIntoAFewMegabytes(t *testing.T) {
	const n = 21_600
	segment := func(i int) manifest.IndexSegment {
		return manifest.IndexSegment{
			Number: uint64(i + 1), Run: "s3-0", StartedAt: began.Add(time.Duration(2*i) * time.Second), Independent: true,
			Tracks: []manifest.IndexTrack{
				{Name: "v", Kind: media.Video, Codecs: "avc1.64001f", Timescale: 90_000, PTS: media.Ticks(180_000 * i), Duration: 180_000, SizeBytes: 640_000},
				{Name: "a", Kind: media.Audio, Codecs: "mp4a.40.2", Timescale: 48_000, PTS: media.Ticks(96_000 * i), Duration: 96_000, SizeBytes: 32_000},
			},
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := manifest.NewRecording("../../live/play/")
	for i := range n {
		if err := r.Add(segment(i)); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 300*n {
		t.Errorf("%d bytes are kept of each segment", kept/n)
	}
	files, err := r.Files()
	if err != nil || r.Duration() != 12*time.Hour || r.Len() != n {
		t.Fatalf("%v, %d segments, %v", r.Duration(), r.Len(), err)
	}
	for _, f := range files {
		if len(f.Body) > 200*n {
			t.Errorf("%s has %d bytes", f.Name, len(f.Body))
		}
	}
}

func TestBadIndexEntriesAreRefused(t *testing.T) {
	good := show(t, twoSessions()[:1])[0]
	for name, spoil := range map[string]func(*manifest.IndexSegment){
		"no tracks":       func(s *manifest.IndexSegment) { s.Tracks = nil },
		"a path as run":   func(s *manifest.IndexSegment) { s.Run = "../s3-0" },
		"no time scale":   func(s *manifest.IndexSegment) { s.Tracks[0].Timescale = 0 },
		"no duration":     func(s *manifest.IndexSegment) { s.Tracks[0].Duration = 0 },
		"a negative time": func(s *manifest.IndexSegment) { s.Tracks[0].PTS = -1 },
		"a path as name":  func(s *manifest.IndexSegment) { s.Tracks[0].Name = "../v" },
		"text in codecs":  func(s *manifest.IndexSegment) { s.Tracks[0].Codecs = "avc1\n#EXT" },
		"a track twice":   func(s *manifest.IndexSegment) { s.Tracks[1] = s.Tracks[0] },
	} {
		bad := good
		bad.Tracks = append([]manifest.IndexTrack{}, good.Tracks...)
		spoil(&bad)
		if err := manifest.NewRecording("").Add(bad); err == nil {
			t.Errorf("%s: added", name)
		}
		body, err := json.Marshal(manifest.Index{Version: 1, First: 1, Segments: []manifest.IndexSegment{bad}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := manifest.ParseIndex(body); err == nil {
			t.Errorf("%s: parsed", name)
		}
	}
	r := manifest.NewRecording("")
	if _, err := r.Files(); err == nil {
		t.Error("a recording of nothing has files")
	}
	if err := r.Add(good); err != nil {
		t.Fatal(err)
	}
	if err := r.Add(good); err == nil {
		t.Error("the same segment was added twice")
	}
}

func FuzzParseIndex(f *testing.F) {
	f.Add([]byte(`{"version":1,"first":1,"segments":[{"number":1,"run":"s3-0","period":0,"startedAt":"2026-03-01T12:00:00.25Z","independent":true,"tracks":[{"name":"v","codecs":"avc1.64001f","timescale":90000,"pts":6000,"duration":180000,"sizeBytes":640000}]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		x, err := manifest.ParseIndex(body)
		if err != nil || len(x.Segments) == 0 {
			return
		}
		r := manifest.NewRecording("../")
		for _, s := range x.Segments {
			if err := r.Add(s); err != nil {
				t.Fatalf("parsed, but not added: %v", err)
			}
		}
		if _, err := r.Files(); err != nil {
			t.Fatal(err)
		}
	})
}
