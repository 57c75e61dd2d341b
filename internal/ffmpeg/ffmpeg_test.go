package ffmpeg

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast/internal/ladder"
	"github.com/roomcast/roomcast/internal/mediatest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestArguments(t *testing.T) {
	r := ladder.Rendition{Name: "720p", WidthPixels: 1280, HeightPixels: 720, FrameRate: 29.97, BitrateBPS: 2_800_000}
	var b strings.Builder
	for _, c := range []struct {
		name string
		args []string
	}{
		{"live", Live([]ladder.Rendition{r, {Name: "360p", WidthPixels: 640, HeightPixels: 360, BitrateBPS: 800_000}})},
		{"encode", Encode("in.mp4", r, 29.97, 4, "out.mp4")},
		{"encode a faster source", Encode("in.mp4", r, 59.94, 4, "out.mp4")},
		{"unite", Unite([]Part{
			{"1.mp4", Media{Video: &VideoTrack{WidthPixels: 640, HeightPixels: 360}, Audio: &AudioTrack{SampleRateHz: 44_100}}},
			{"2.mp4", Media{Duration: 1500 * time.Millisecond, Video: &VideoTrack{WidthPixels: 1280, HeightPixels: 720}}},
			{"3.mp4", Media{Duration: time.Minute, Audio: &AudioTrack{SampleRateHz: 48_000}}},
		}, "out.mp4")},
		{"unite sound", Unite([]Part{
			{"1.mp4", Media{Audio: &AudioTrack{SampleRateHz: 44_100}}}, {"2.mp4", Media{Audio: &AudioTrack{SampleRateHz: 48_000}}},
		}, "out.mp4")},
		{"audio", EncodeAudio("in.mp4", 128_000, "out.mp4")},
		{"join", Join([]string{"v.mp4", "a.mp4"}, "out.mp4")},
		{"package", Package([]string{"v.mp4", "w.mp4", "a.mp4"}, 2, 4, "out/manifest.mpd")},
		{"package audio", Package([]string{"a.mp4"}, 0, 4, "out/manifest.mpd")},
		{"thumbnail", Thumbnail("in.mp4", Box{WidthPixels: 1280}, "out.jpg")},
		{"first picture", FirstPicture("in.mp4", Box{WidthPixels: 1280}, "out.jpg")},
		{"preview", Preview("in.mp4", 12.5, Box{WidthPixels: 320}, "out.webp")},
		{"preview in a box", Preview("in.mp4", 0, Box{320, 180}, "out.webp")},
		{"sprite", Sprite("in.mp4", 2, 10, 3, 160, 90, "out.jpg")},
	} {
		b.WriteString(c.name + ":\n  " + strings.Join(c.args, " ") + "\n")
	}
	path := filepath.Join("testdata", "arguments.txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != b.String() {
		t.Errorf("arguments changed (%v); make golden and read the diff:\n%s", err, b.String())
	}
}

func TestProgressRisesToTheEnd(t *testing.T) {
	defer goleak.VerifyNone(t)
	const length = 20 * time.Second
	src := mediatest.Generate(t, mediatest.Spec{Container: "mp4", Duration: length})
	out := filepath.Join(t.TempDir(), "out.mp4")
	var seen []time.Duration
	r := ladder.Rendition{WidthPixels: 640, HeightPixels: 360, FrameRate: 25, BitrateBPS: 200_000}
	if err := New(t.Context()).Run(t.Context(), Encode(src, r, 25, 2, out), func(d time.Duration) { seen = append(seen, d) }); err != nil {
		t.Fatal(err)
	}
	if len(seen) < 2 || !slices.IsSorted(seen) || seen[len(seen)-1] < length/3 || seen[len(seen)-1] > length+time.Second {
		t.Errorf("progress %v", seen)
	}
	m, err := New(t.Context()).Probe(t.Context(), out)
	if err != nil || m.Video == nil || m.Video.WidthPixels != 640 || m.Audio != nil || m.Video.FrameRate != 25 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestAnEndWithAnErrorSaysWhatFFmpegSaid(t *testing.T) {
	defer goleak.VerifyNone(t)
	err := New(t.Context()).Run(t.Context(), []string{"-i", "/nowhere.mp4", "-f", "null", "-"}, nil)
	var e *Error
	if !errors.As(err, &e) || !strings.Contains(e.Error(), "/nowhere.mp4") || strings.Contains(e.Error(), "\n") {
		t.Errorf("%v", err)
	}
}

func TestTheChildDiesWithItsContext(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(t.Context())
	endless := []string{"-re", "-f", "lavfi", "-i", "testsrc2", "-f", "null", "-"}
	err := New(t.Context()).Run(ctx, endless, func(time.Duration) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestWithoutFFmpegEverythingIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	tool := New(t.Context())
	if len(tool.Missing()) != 2 {
		t.Errorf("missing %v", tool.Missing())
	}
	if err := tool.Run(t.Context(), nil, nil); err == nil {
		t.Error("it ran")
	}
	if _, err := tool.Probe(t.Context(), "x"); err == nil {
		t.Error("it probed")
	}
}

func FuzzParseProbe(f *testing.F) {
	f.Add([]byte(`{"streams":[{"codec_type":"video","width":640,"avg_frame_rate":"25/1"}],"format":{"duration":"1.5"}}`))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = parseProbe(b) })
}
