package mediatest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Spec describes a source. The zero value of a field stands for its default.
type Spec struct {
	// Duration of both tracks, default 6 s.
	Duration time.Duration
	// NoVideo and NoAudio leave a track out; not both.
	NoVideo, NoAudio bool
	// Width and Height in pixels, default 320x180, both even.
	Width, Height int
	// FPS is the number of frames per second, default 25.
	FPS int
	// GOP is the distance of IDR frames in frames, default 2 s. There are no
	// scene-cut key frames.
	GOP int
	// BFrames is the greatest number of consecutive B-frames, default 0.
	BFrames int
	// HEVC codes the video with H.265 instead of H.264.
	HEVC bool
	// SampleRate in Hz, default 48,000.
	SampleRate int
	// Channels is 1 or 2, default 2.
	Channels int
	// VideoKbps is the video's average bit rate, default 400.
	VideoKbps int
	// Container is the file name's ending, default "flv" ("mp4" for HEVC,
	// which the installed ffmpeg does not write to FLV).
	Container string
}

func (s Spec) withDefaults() Spec {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	if s.Duration == 0 {
		s.Duration = 6 * time.Second
	}
	def(&s.Width, 320)
	def(&s.Height, 180)
	def(&s.FPS, 25)
	def(&s.GOP, 2*s.FPS)
	def(&s.SampleRate, 48_000)
	def(&s.Channels, 2)
	def(&s.VideoKbps, 400)
	if s.Container == "" {
		s.Container = "flv"
		if s.HEVC {
			s.Container = "mp4"
		}
	}
	return s
}

// args are ffmpeg's arguments up to the output.
func (s Spec) args() []string {
	secs := fmt.Sprintf("%.6f", s.Duration.Seconds())
	args := []string{"-hide_banner", "-loglevel", "error", "-nostdin", "-y"}
	if !s.NoVideo {
		args = append(args, "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=%dx%d:rate=%d:duration=%s", s.Width, s.Height, s.FPS, secs))
	}
	if !s.NoAudio {
		args = append(args, "-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=660:beep_factor=2:sample_rate=%d:duration=%s", s.SampleRate, secs))
	}
	if !s.NoVideo {
		gop := fmt.Sprint(s.GOP)
		codec := []string{"-c:v", "libx264", "-profile:v", "high", "-x264-params", "open-gop=0"}
		if s.HEVC {
			codec = []string{"-c:v", "libx265", "-tag:v", "hvc1", "-x265-params", "open-gop=0:scenecut=0:log-level=error:keyint=" + gop + ":min-keyint=" + gop}
		}
		args = append(args, codec...)
		args = append(args, "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", gop, "-keyint_min", gop, "-sc_threshold", "0",
			"-bf", fmt.Sprint(s.BFrames), "-b:v", fmt.Sprintf("%dk", s.VideoKbps))
	}
	if !s.NoAudio {
		args = append(args, "-c:a", "aac", "-b:a", "96k", "-ac", fmt.Sprint(s.Channels), "-ar", fmt.Sprint(s.SampleRate))
	}
	return append(args, "-map_metadata", "-1", "-fflags", "+bitexact")
}

// Generate makes the source that s describes and returns the file's path. The
// same Spec gives the same file, shared by all tests of the machine: do not
// change it.
func Generate(tb testing.TB, s Spec) string {
	tb.Helper()
	s = s.withDefaults()
	if s.NoVideo && s.NoAudio {
		tb.Fatal("a source needs a track")
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%+v %q", s, s.args()))
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("roomcast-mediatest-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(dir, hex.EncodeToString(sum[:10])+"."+s.Container)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	// Packages test in parallel: each makes a file of its own, and the
	// last rename wins with the same bytes.
	work, err := os.MkdirTemp(dir, "new-")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(work) }() // best effort, in the temporary directory
	made := filepath.Join(work, "source."+s.Container)
	if out, err := exec.Command("ffmpeg", append(s.args(), made)...).CombinedOutput(); err != nil { //nolint:gosec // fixed program, arguments from the test's Spec
		tb.Fatalf("make source %+v: %v\n%s", s, err, out)
	}
	if err := os.Rename(made, path); err != nil {
		tb.Fatal(err)
	}
	return path
}
