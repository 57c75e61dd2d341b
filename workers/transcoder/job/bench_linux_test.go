package job

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/ffmpeg"
	"github.com/roomcast/roomcast/internal/mediatest"
	"github.com/roomcast/roomcast/internal/objects/disk"
)

// benchMinutes is how long the benchmarks' show is, at 2.5 Mbit/s.
const benchMinutes = 10

// show is a recorded show in a folder.
func show(b *testing.B) (*folder, []string) {
	b.Helper()
	clip := mediatest.Generate(b, mediatest.Spec{Duration: 20 * time.Second, Width: 1280, Height: 720, VideoKbps: 2400, Container: "mp4"})
	long := filepath.Join(b.TempDir(), "long.mp4")
	out, err := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-stream_loop", "29", "-i", clip, "-t", "600", "-c", "copy", long).CombinedOutput()
	if err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	f := &folder{dir: b.TempDir()}
	f.run(b, long, "s1-0", 1, benchMinutes*30)
	var segments []string
	for _, track := range []string{"v", "a"} {
		list, err := filepath.Glob(f.path("live/p/s1-0/" + track + "/*.m4s"))
		if err != nil {
			b.Fatal(err)
		}
		segments = append(segments, list...)
	}
	return f, segments
}

// copied copies files into one, and on to the disk: the plain baseline.
func copied(b *testing.B, segments []string) {
	b.Helper()
	to, err := os.Create(filepath.Join(b.TempDir(), "copy"))
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range segments {
		from, err := os.Open(s)
		if err != nil {
			b.Fatal(err)
		}
		if _, err = io.Copy(to, from); err != nil || from.Close() != nil {
			b.Fatal(err)
		}
	}
	if err := errors.Join(to.Sync(), to.Close(), os.Remove(to.Name())); err != nil {
		b.Fatal(err)
	}
}

// peakMB is the most memory that the process had since the last call.
func peakMB(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err == nil {
		err = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kB, err := strconv.Atoi(strings.Fields(v)[0])
			if err != nil {
				b.Fatal(err)
			}
			return float64(kB) * 1024 / 1e6
		}
	}
	return 0
}

// BenchmarkOriginal makes the original of a show of ten minutes, in the
// directory that one machine has for objects, where it survives a power cut,
// and copies the same bytes, by turns: medians, and times-cp is their ratio
// (docs/bench/recording.md).
func BenchmarkOriginal(b *testing.B) {
	f, segments := show(b)
	list := index("s1-0", 1, benchMinutes*30)
	d, err := disk.Open(f.dir)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := d.Close(); err != nil {
			b.Error(err)
		}
	})
	j := New(Options{Tool: ffmpeg.New(b.Context()), Objects: d, Scratch: b.TempDir()})
	const rounds = 10
	for b.Loop() {
		var plain, ours []time.Duration
		var peak float64
		for range rounds {
			began := time.Now()
			copied(b, segments)
			plain = append(plain, time.Since(began))
			_ = peakMB(b)
			began = time.Now()
			files, err := j.Source(b.Context(), sourceTask(list))
			if err != nil {
				b.Fatal(err)
			}
			ours = append(ours, time.Since(began))
			peak = max(peak, peakMB(b))
			if err := d.Delete(b.Context(), files[0].Key); err != nil {
				b.Fatal(err)
			}
		}
		slices.Sort(plain)
		slices.Sort(ours)
		b.ReportMetric(plain[rounds/2].Seconds(), "cp-s")
		b.ReportMetric(ours[rounds/2].Seconds(), "original-s")
		b.ReportMetric(float64(ours[rounds/2])/float64(plain[rounds/2]), "times-cp")
		b.ReportMetric(peak, "peak-MB")
	}
	b.ReportMetric(0, "ns/op")
}
