package mediatest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast/internal/mediatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type stream struct {
	CodecName  string `json:"codec_name"`
	Width      int    `json:"width"`
	Height     int    `json:"height"`
	FrameRate  string `json:"r_frame_rate"`
	BFrames    int    `json:"has_b_frames"`
	SampleRate string `json:"sample_rate"`
	Channels   int    `json:"channels"`
}

func probe(t *testing.T, path string) []stream {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-show_streams", "-of", "json", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var p struct{ Streams []stream }
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	return p.Streams
}

func TestSourceIsAsSpecified(t *testing.T) {
	for _, c := range []struct {
		spec mediatest.Spec
		want []stream
	}{
		{mediatest.Spec{Duration: time.Second}, []stream{
			{CodecName: "h264", Width: 320, Height: 180, FrameRate: "25/1"},
			{CodecName: "aac", FrameRate: "0/0", SampleRate: "48000", Channels: 2},
		}},
		{mediatest.Spec{Duration: time.Second, FPS: 30, BFrames: 3, Width: 640, Height: 360, SampleRate: 44_100, Channels: 1}, []stream{
			{CodecName: "h264", Width: 640, Height: 360, FrameRate: "30/1", BFrames: 2},
			{CodecName: "aac", FrameRate: "0/0", SampleRate: "44100", Channels: 1},
		}},
		{mediatest.Spec{Duration: time.Second, NoAudio: true}, []stream{{CodecName: "h264", Width: 320, Height: 180, FrameRate: "25/1"}}},
		{mediatest.Spec{Duration: time.Second, NoVideo: true}, []stream{{CodecName: "aac", FrameRate: "0/0", SampleRate: "48000", Channels: 2}}},
		{mediatest.Spec{Duration: time.Second, NoAudio: true, HEVC: true}, []stream{{CodecName: "hevc", Width: 320, Height: 180, FrameRate: "25/1"}}},
	} {
		path := mediatest.Generate(t, c.spec)
		if got := probe(t, path); !slices.Equal(got, c.want) {
			t.Errorf("%+v:\ngot  %+v\nwant %+v", c.spec, got, c.want)
		}
		if again := mediatest.Generate(t, c.spec); again != path {
			t.Errorf("the second call made %s, the first %s", again, path)
		}
		mediatest.DecodeStrict(t, path)
	}
}

func TestFrameHashesFollowThePictures(t *testing.T) {
	src := mediatest.Generate(t, mediatest.Spec{Duration: time.Second, BFrames: 2})
	remuxed := filepath.Join(t.TempDir(), "remuxed.mp4")
	if err := mediatest.StartFFmpeg(t, "-v", "error", "-i", src, "-c", "copy", remuxed).Wait(); err != nil {
		t.Fatal(err)
	}
	a, b := mediatest.FrameMD5(t, src), mediatest.FrameMD5(t, remuxed)
	if len(a) != 25 || !slices.Equal(a, b) {
		t.Errorf("%d hashes of the source, %d of its copy, equal: %v", len(a), len(b), slices.Equal(a, b))
	}
	other := mediatest.FrameMD5(t, mediatest.Generate(t, mediatest.Spec{Duration: time.Second, BFrames: 2, VideoKbps: 100}))
	if slices.Equal(a, other) {
		t.Error("another encoding has the same pictures")
	}
}

func TestDecodeFindsADamagedFrame(t *testing.T) {
	data, err := os.ReadFile(mediatest.Generate(t, mediatest.Spec{Duration: time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	for i := len(data) / 2; i < len(data)/2+2000; i++ {
		data[i] ^= 0x55
	}
	broken := filepath.Join(t.TempDir(), "broken.flv")
	if err := os.WriteFile(broken, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if mediatest.Decode(broken) == nil {
		t.Error("nothing was found")
	}
}

// An encoder is paced by the clock, says goodbye when it is stopped and not
// when it is killed; the server here takes anything.
func TestPublisherIsPacedAndCanBeStopped(t *testing.T) {
	src := mediatest.Generate(t, mediatest.Spec{Duration: time.Second})
	info, err := os.Stat(src)
	if err != nil {
		t.Fatal(err)
	}
	for _, kill := range []bool{false, true} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p := mediatest.PublishFFmpeg(t, src, fmt.Sprintf("tcp://%s", ln.Addr()))
		conn, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		// More than one round of the source can only come from the loop.
		began := time.Now()
		if _, err := io.CopyN(io.Discard, conn, info.Size()*3/2); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d < 500*time.Millisecond {
			t.Errorf("1.5 s of media came in %s", d)
		}
		if kill {
			p.Kill()
			if p.Wait() == nil {
				t.Error("a killed encoder ended well")
			}
		} else {
			rest := make(chan struct{})
			go func() { defer close(rest); _, _ = io.Copy(io.Discard, conn) }() // until it hangs up
			if err := p.Stop(10 * time.Second); err != nil {
				t.Error(err)
			}
			<-rest
		}
		_ = conn.Close() // nothing was written
		_ = ln.Close()
	}
}
