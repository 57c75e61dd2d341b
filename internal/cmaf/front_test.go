package cmaf_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/cmaf"
	"github.com/roomcast/roomcast/internal/media"
	"github.com/roomcast/roomcast/internal/mediatest"
)

// cutFront is CutFront's answer in one piece.
func cutFront(t *testing.T, segment []byte, from media.Ticks, key bool) ([]byte, media.Ticks) {
	t.Helper()
	body, first, err := cmaf.CutFront(segment, from, key)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(body...), first
}

func TestTheFrontOfASegmentIsCutOffAtAKeyFrame(t *testing.T) {
	head, body := segment(90_000, 12, 3600, 7200) // key frames are 0, 5 and 10
	whole := append(head, body...)
	pts := func(i int) media.Ticks { return 90_000 + 3600*media.Ticks(i) + 7200*media.Ticks(1+i%2) }
	for _, c := range []struct {
		from media.Ticks
		key  bool
		at   int // the first that is left; -1 = none
	}{
		{0, true, 0},
		{pts(0), true, 0},
		{pts(0) + 1, true, 5},
		{pts(5), true, 5},
		{pts(5) + 1, true, 10},
		{pts(10) + 1, true, -1},
		{pts(2), false, 1}, // decoded before, shown later
		{1 << 40, false, -1},
	} {
		got, first := cutFront(t, whole, c.from, c.key)
		if c.at < 0 {
			if len(got) > 0 {
				t.Errorf("from %d: %d bytes", c.from, len(got))
			}
			continue
		}
		// What is left is what a segment of it would be, but for what is shown before.
		m := cmaf.NewMovie(0)
		init, err := cmaf.Init(configs(t)["avc"])
		if err != nil {
			t.Fatal(err)
		}
		if err := m.AddTrack(init); err != nil {
			t.Fatal(err)
		}
		from, size, err := m.Add(0, got, 0, int64(len(got)))
		if err != nil {
			t.Fatal(err)
		}
		var want []byte
		for i := c.at; i < 12; i++ {
			if pts(i) >= pts(c.at) {
				want = append(want, bytes.Repeat([]byte{byte(i + 1)}, 10+i)...)
			}
		}
		if first != pts(c.at) || !bytes.Equal(got[from:from+size], want) {
			t.Errorf("from %d: it begins at %d, want %d, with %x", c.from, first, pts(c.at), got[from:from+size])
		}
	}
}

// cutByFFmpeg cuts a track of a source into segments of about two seconds.
func cutByFFmpeg(t *testing.T, src, stream string) (init []byte, segments [][]byte) {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-i", src, "-map", "0:"+stream, "-c", "copy",
		"-f", "dash", "-seg_duration", "2", "-format_options", "use_editlist=0", "-init_seg_name", "init", "-media_seg_name", "n$Number$",
		filepath.Join(dir, "x.mpd")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if init, err = os.ReadFile(filepath.Join(dir, "init")); err != nil {
		t.Fatal(err)
	}
	for n := 1; ; n++ {
		b, err := os.ReadFile(filepath.Join(dir, fmt.Sprint("n", n)))
		if err != nil {
			return init, segments
		}
		segments = append(segments, b)
	}
}

// A decoder shows what is left as it shows the end of the whole.
func TestWhatIsLeftOfASegmentIsDecoded(t *testing.T) {
	const gop = 10
	src := mediatest.Generate(t, mediatest.Spec{BFrames: 2, GOP: gop, SampleRate: 44_100, Duration: 4 * time.Second, Container: "mp4"})
	write := func(name string, parts ...[]byte) string {
		path := filepath.Join(t.TempDir(), name+".mp4")
		if err := os.WriteFile(path, slices.Concat(parts...), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	init, segments := cutByFFmpeg(t, src, "v")
	frames := mediatest.FrameMD5(t, write("whole", slices.Concat([][]byte{init}, segments)...))
	for _, at := range []int{1, 2, 4} {
		part, first := cutFront(t, segments[0], media.Ticks(12_800*gop*at/25), true) // ffmpeg's timescale, decode times from 0
		path := write("v", slices.Concat([][]byte{init, part}, segments[1:])...)
		mediatest.DecodeStrict(t, path)
		if got := mediatest.FrameMD5(t, path); !slices.Equal(got, frames[gop*at:]) {
			t.Errorf("from key frame %d, %d ticks, on there are %d frames, want %d", at, first, len(got), len(frames)-gop*at)
		}
	}
	init, segments = cutByFFmpeg(t, src, "a")
	part, first := cutFront(t, segments[0], 44_100, false)
	if first < 44_100 || first >= 44_100+1024 {
		t.Errorf("sound begins at %d", first)
	}
	mediatest.DecodeStrict(t, write("a", slices.Concat([][]byte{init, part}, segments[1:])...))
}

func TestTheFrontOfStrangeBytesIsAnError(t *testing.T) {
	head, body := segment(90_000, 6, 3600, 0)
	whole := append(bytes.Clone(head), body...)
	for name, bad := range map[string]func(b []byte) []byte{
		"nothing":               func([]byte) []byte { return nil },
		"its head alone":        func(b []byte) []byte { return b[:len(head)] },
		"a byte is missing":     func(b []byte) []byte { return b[:len(b)-1] },
		"a byte more":           func(b []byte) []byte { return append(b, 0) },
		"two segments":          func(b []byte) []byte { return append(b, whole...) },
		"other sizes":           func(b []byte) []byte { b[len(head)-17]++; return b },
		"shown before decoding": func(b []byte) []byte { b[len(head)-12] = 0xff; return b },
	} {
		if body, _, err := cmaf.CutFront(bad(bytes.Clone(whole)), 0, true); err == nil {
			t.Errorf("%s: %d pieces", name, len(body))
		}
	}
}

func FuzzCutFront(f *testing.F) {
	head, body := segment(90_000, 6, 3600, 7200)
	f.Add(append(head, body...), int64(100_000), true)
	f.Fuzz(func(t *testing.T, b []byte, from int64, key bool) {
		parts, first, err := cmaf.CutFront(b, media.Ticks(from), key)
		if err != nil || parts == nil {
			return
		}
		// It is a segment of the same kind, with nothing in front.
		again, same, err := cmaf.CutFront(slices.Concat(parts...), first, key)
		if err != nil || same != first || !bytes.Equal(slices.Concat(again...), slices.Concat(parts...)) {
			t.Errorf("%d, %v after %d", same, err, first)
		}
	})
}
