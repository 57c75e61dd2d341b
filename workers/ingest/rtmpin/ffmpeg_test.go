package rtmpin

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// publishWithFFmpeg runs ffmpeg for seconds of picture and sound.
func publishWithFFmpeg(t *testing.T, url string, seconds string, more ...string) (stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	args := append([]string{
		"-hide_banner", "-loglevel", "warning", "-re",
		"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
		"-t", seconds, "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-c:a", "aac", "-flvflags", "no_duration_filesize",
	}, more...)
	cmd := exec.CommandContext(ctx, "ffmpeg", append(args, "-f", "flv", url)...)
	var out bytes.Buffer
	cmd.Stderr = &out
	err = cmd.Run()
	return out.String(), err
}

func TestFFmpegPublishes(t *testing.T) {
	h := open(t, Options{})
	stderr, err := publishWithFFmpeg(t, h.url("good?mode=CMAF"), "2")
	if err != nil || stderr != "" {
		t.Errorf("%v\n%s", err, stderr)
	}
	if cause, err := h.ends("good"); cause != EndUnpublish || err != nil {
		t.Errorf("ended as %v, %v", cause, err)
	}
	if req := h.asked[0]; req.App != "live" || req.Mode != "CMAF" || !strings.Contains(req.Software, "Lavf") {
		t.Errorf("asked with %+v", req)
	}
	count := map[MessageType]int{}
	last := map[MessageType]uint32{}
	for _, m := range h.guests["good"].messages {
		count[m.Type]++
		if m.TimestampMS < last[m.Type] {
			t.Errorf("type %d goes back from %d to %d", m.Type, last[m.Type], m.TimestampMS)
		}
		last[m.Type] = m.TimestampMS
	}
	// 50 pictures, sequence header and end of sequence; 93 AAC frames of 1024 samples and the configuration.
	if count[TypeVideo] < 51 || count[TypeAudio] < 90 || count[TypeData] < 1 || last[TypeVideo] < 1900 {
		t.Errorf("got %v up to %v", count, last)
	}
}

func TestFFmpegSaysModeBehindTheApp(t *testing.T) {
	h := open(t, Options{})
	stderr, err := publishWithFFmpeg(t, "rtmp://"+h.addr+"/live?mode=CMAF/good", "0.2")
	if err != nil {
		t.Errorf("%v\n%s", err, stderr)
	}
	if req := h.asked[0]; req.App != "live" || req.Mode != "CMAF" || req.StreamKey != "good" {
		t.Errorf("asked with %+v", req)
	}
}

func TestFFmpegIsToldWhyItIsRefused(t *testing.T) {
	h := open(t, Options{})
	stderr, err := publishWithFFmpeg(t, h.url("bad"), "2")
	if err == nil || !strings.Contains(stderr, "no such stream key") {
		t.Errorf("%v\n%s", err, stderr)
	}
}

func TestFFmpegIsEndedByAKick(t *testing.T) {
	h := open(t, Options{})
	done := make(chan string)
	go func() {
		stderr, _ := publishWithFFmpeg(t, h.url("good"), "20")
		done <- stderr
	}()
	h.until("media", func() bool { return h.guests["good"] != nil && len(h.guests["good"].messages) > 10 })
	began := time.Now()
	h.guests["good"].conn.Kick("NetStream.Publish.BadName", "the room was ended by force")
	stderr := <-done
	if took := time.Since(began); took > 3*time.Second || !strings.Contains(stderr, "the room was ended by force") {
		t.Errorf("after %v:\n%s", took, stderr)
	}
}
