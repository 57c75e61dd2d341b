package job

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
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

// BenchmarkSource makes the original of a show of ten minutes, in the directory
// that one machine has for objects, where it survives a power cut.
func BenchmarkSource(b *testing.B) {
	f, _ := show(b)
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
	for b.Loop() {
		files, err := j.Source(b.Context(), sourceTask(list))
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(files[0].SizeBytes)
	}
}

// BenchmarkCopySegments is the plain baseline: the same bytes copied into one
// file, and on to the disk.
func BenchmarkCopySegments(b *testing.B) {
	_, segments := show(b)
	for b.Loop() {
		to, err := os.Create(filepath.Join(b.TempDir(), "copy"))
		if err != nil {
			b.Fatal(err)
		}
		var size int64
		for _, s := range segments {
			from, err := os.Open(s)
			if err != nil {
				b.Fatal(err)
			}
			n, err := io.Copy(to, from)
			size += n
			if err != nil || from.Close() != nil {
				b.Fatal(err)
			}
		}
		if err := errors.Join(to.Sync(), to.Close()); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(size)
	}
}
