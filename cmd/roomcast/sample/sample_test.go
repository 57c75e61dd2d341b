package sample_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os/exec"
	"testing"

	"github.com/roomcast/roomcast/cmd/roomcast/sample"
	"github.com/roomcast/roomcast/internal/mediatest"
)

func TestSampleIsSmallEnoughToBeCommitted(t *testing.T) {
	if n := len(sample.FLV); n > 1_500_000 {
		t.Fatalf("the sample has %d bytes", n)
	}
}

// tag is one FLV tag (Adobe Flash Video File Format 10.1, annex E.4.1).
type tag struct {
	kind byte
	ms   uint32
	body []byte
}

func tags(t *testing.T, flv []byte) []tag {
	t.Helper()
	var all []tag
	for b := flv[13:]; len(b) > 0; {
		size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		ms := uint32(b[7])<<24 | uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6])
		if got := binary.BigEndian.Uint32(b[11+size:]); int(got) != size+11 {
			t.Fatalf("tag %d: previous tag size %d, want %d", len(all), got, size+11)
		}
		all = append(all, tag{b[0], ms, b[11 : 11+size]})
		b = b[15+size:]
	}
	return all
}

func TestSampleLoopsWithoutASeam(t *testing.T) {
	var video, audio []uint32
	for i, g := range tags(t, sample.FLV) {
		switch {
		case g.kind == 9 && g.body[1] == 1:
			if key := g.body[0]>>4 == 1; key != (len(video)%60 == 0) {
				t.Fatalf("frame %d: key frame %v", len(video), key)
			}
			video = append(video, g.ms)
		case g.kind == 9 && g.body[1] == 2:
			t.Fatalf("tag %d ends the sequence", i)
		case g.kind == 8 && g.body[1] == 1:
			audio = append(audio, g.ms)
		}
	}
	if len(video) != sample.Frames || len(audio) != sample.AudioFrames {
		t.Fatalf("%d video and %d audio frames, want %d and %d", len(video), len(audio), sample.Frames, sample.AudioFrames)
	}
	loop := uint32(sample.Loop.Milliseconds())
	for name, s := range map[string]struct {
		ms       []uint32
		min, max uint32
	}{"video": {video, 33, 34}, "audio": {audio, 21, 22}} {
		for i := range s.ms {
			next := s.ms[0] + loop
			if i+1 < len(s.ms) {
				next = s.ms[i+1]
			}
			if d := next - s.ms[i]; d < s.min || d > s.max {
				t.Errorf("%s frame %d lasts %d ms", name, i, d)
			}
		}
	}
	if video[0] != 0 {
		t.Errorf("the first frame's decoding time is %d ms", video[0])
	}
}

func TestEveryPictureShowsItsFrameNumber(t *testing.T) {
	for _, size := range []struct{ w, h int }{{854, 480}, {427, 240}} {
		cmd := exec.Command("ffmpeg", "-v", "error", "-xerror", "-i", "-",
			"-vf", "scale="+fmt.Sprintf("%d:%d", size.w, size.h), "-fps_mode", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo", "-")
		cmd.Stdin = bytes.NewReader(sample.FLV)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		frame := make([]byte, size.w*size.h)
		for i := range sample.Frames {
			if _, err := io.ReadFull(out, frame); err != nil {
				t.Fatalf("picture %d: %v", i, err)
			}
			if n, ok := mediatest.FrameNumber(frame, size.w, size.h); !ok || n != i {
				t.Errorf("%dx%d: picture %d reads %d, %v", size.w, size.h, i, n, ok)
			}
		}
		if n, _ := io.Copy(io.Discard, out); n != 0 {
			t.Errorf("%d bytes after the last picture", n)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}
