package packager_test

import (
	"slices"
	"testing"
	"time"

	"github.com/roomcast/roomcast/workers/ingest/segment"
)

// TestEveryAccessUnitComesOutAsItCame takes real encoders' output through the
// whole pipeline: same bytes, one offset for both tracks, same decoded frames.
func TestEveryAccessUnitComesOutAsItCame(t *testing.T) {
	t.Parallel()
	clip := func(rate, size, seconds string) []string {
		return []string{"-f", "lavfi", "-i", "testsrc2=r=" + rate + ":s=" + size + ":d=" + seconds}
	}
	tone := func(hz, seconds string) []string {
		return []string{"-f", "lavfi", "-i", "sine=f=440:r=" + hz + ":d=" + seconds}
	}
	x264 := func(gop string) []string {
		return []string{"-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", gop, "-keyint_min", gop, "-sc_threshold", "0", "-pix_fmt", "yuv420p"}
	}
	aac := func(channels string) []string { return []string{"-c:a", "aac", "-ac", channels} }
	cases := map[string]struct {
		args     [][]string
		target   time.Duration
		segments int // 0: not judged
		forced   bool
	}{
		"B-frames and 48 kHz stereo, 2 s GOP": {args: [][]string{clip("25", "320x180", "9"), tone("48000", "9"), x264("50"), aac("2")}, target: 2 * time.Second, segments: 5},
		"44.1 kHz mono, 1 s GOP":              {args: [][]string{clip("30", "320x180", "8"), tone("44100", "8"), x264("30"), aac("1")}, target: 2 * time.Second, segments: 4},
		"23.976 fps":                          {args: [][]string{clip("24000/1001", "320x180", "8"), tone("48000", "8"), x264("48"), aac("2")}, target: 2 * time.Second},
		"50 fps":                              {args: [][]string{clip("50", "320x180", "6"), tone("48000", "6"), x264("100"), aac("2")}, target: 2 * time.Second, segments: 3},
		"59.94 fps":                           {args: [][]string{clip("60000/1001", "320x180", "6"), tone("48000", "6"), x264("60"), aac("2")}, target: 2 * time.Second},
		"0.5 s GOP":                           {args: [][]string{clip("30", "320x180", "6"), tone("48000", "6"), x264("15"), aac("2")}, target: 2 * time.Second, segments: 3},
		"8.3 s GOP":                           {args: [][]string{clip("30", "160x90", "20"), tone("48000", "20"), x264("249"), aac("2")}, target: 8 * time.Second, segments: 3},
		"12 s GOP":                            {args: [][]string{clip("30", "160x90", "26"), tone("48000", "26"), x264("360"), aac("2")}, target: 10 * time.Second, forced: true},
		"video only":                          {args: [][]string{clip("25", "320x180", "7"), x264("50")}, target: 2 * time.Second, segments: 4},
		"audio only":                          {args: [][]string{tone("44100", "7"), aac("2")}, target: 2 * time.Second, segments: 4},
		"odd size, no B-frames":               {args: [][]string{clip("25", "322x182", "5"), tone("48000", "5"), {"-c:v", "libx264", "-tune", "zerolatency", "-g", "50", "-pix_fmt", "yuv420p"}, aac("2")}, target: 2 * time.Second},
		"scene cuts":                          {args: [][]string{{"-f", "lavfi", "-i", "testsrc2=r=25:s=320x180:d=12"}, tone("48000", "12"), {"-c:v", "libx264", "-preset", "veryfast", "-g", "75", "-force_key_frames", "0.4,2.9,3.2,5.7,6.0,8.8,9.1", "-pix_fmt", "yuv420p"}, aac("2")}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := generate(t, "source.flv", slices.Concat(c.args...)...)
			messages := readFLV(t, path)
			got := publish(t, messages, segment.Options{})
			got.checkRules(t)
			if len(got.inits) != 1 {
				t.Fatalf("%d runs", len(got.inits))
			}
			if c.target != 0 && got.inits[0].TargetDuration != c.target {
				t.Errorf("target duration %v, want %v", got.inits[0].TargetDuration, c.target)
			}
			if c.segments != 0 && len(got.segments) != c.segments {
				t.Errorf("%d segments, want %d", len(got.segments), c.segments)
			}
			if got.warned(segment.WarnKeyFrames) != c.forced {
				t.Errorf("warnings %v", got.warnings)
			}
			checkSource(t, got, path)
		})
	}
}

func checkSource(t *testing.T, got *collector, path string) {
	t.Helper()
	video, audio := source(readFLV(t, path))
	least, most := 1e18, -1e18
	for i, tr := range got.inits[0].Tracks {
		want := video
		if tr.Name == "a" {
			want = audio
		}
		l, m := sameUnits(t, got.samples(t, 0, tr.Name), want, float64(tr.Config.Timescale))
		least, most = min(least, l), max(most, m)
		stream := "v:0"
		if tr.Name == "a" {
			stream = "a:0"
		}
		decoded := hashes(t, path, stream)
		if len(decoded) < len(want)*9/10 {
			t.Errorf("the source of %d units decodes to %d frames", len(want), len(decoded))
		}
		if !slices.Equal(hashes(t, got.file(t, 0, tr.Name), "0"), decoded) {
			t.Errorf("track %d decodes to other frames than the source", i)
		}
	}
	// RTMP's milliseconds are rounded; the count of samples is not.
	if most-least > 2 {
		t.Errorf("offsets between %.2f and %.2f ms: not one for both tracks", least, most)
	}
}
