package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/mediatest"
	"github.com/roomcast/roomcast/internal/mediatest/enhanced"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

// publishTags sends messages as their time comes, and says goodbye.
func publishTags(tags []rtmpout.Tag, url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := rtmpout.Dial(ctx, url, rtmpout.Options{Now: time.Now})
	if err != nil {
		return err
	}
	began := time.Now()
	for _, g := range tags {
		time.Sleep(time.Until(began.Add(time.Duration(g.TimestampMS) * time.Millisecond))) // an encoder is paced
		if err := c.Write(g.Type, g.TimestampMS, g.Payload); err != nil {
			return errors.Join(err, c.Close())
		}
	}
	return c.Close()
}

// codec is the name of the codec of a file's pictures.
func codec(t *testing.T, input string) string {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "csv=p=0", "-show_entries", "stream=codec_name", input).Output()
	if err != nil {
		t.Fatalf("ffprobe %s: %v", input, err)
	}
	return strings.Trim(strings.Split(string(out), "\n")[0], ",\r ")
}

// HEVC comes over enhanced RTMP. The original keeps it, frame by frame; the post
// is transcoded to what every browser plays.
func TestAShowInHEVCIsRecordedAndTranscoded(t *testing.T) {
	const fps = 25
	src := mediatest.Generate(t, mediatest.Spec{HEVC: true, BFrames: 2, Duration: 8 * time.Second})
	m := newMachine(t)
	key, show := m.member("ada"), m.newRoom("ada")
	tags, sent := enhanced.Tags(t, src), make(chan error, 1)
	go func() { sent <- publishTags(tags, key.url()) }()
	m.awaitKey("ada", "ACTIVE", 15*time.Second)
	m.roomDo(show.ID, "start", nil)
	eventually(t, 10*time.Second, "the owner sees the codec", func() error {
		if k := m.key("ada"); k.Ingest == nil || !strings.HasPrefix(k.Ingest.VideoCodec, "hvc1.") {
			return fmt.Errorf("ingest %+v", k.Ingest)
		}
		return nil
	})
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	m.awaitKey("ada", "INACTIVE_LIVE", 15*time.Second)
	r := m.roomDo(show.ID, "end", nil)
	p := m.awaitPost(*r.VideoPostID, "playable", 15*time.Second, func(p post) bool { return p.Playback != nil })
	frames := mediatest.FrameMD5(t, src)
	recorded := runsOf(t, media(*p.Playback.HLSURL))
	all, want, _ := m.live(t, playID(t, media(*p.Playback.HLSURL)), r.LiveStartedAt)
	sameFrames(t, "what was live", all, frames)
	sameFrames(t, "HLS", recorded, want)
	mediatest.DecodeStrict(t, *p.Playback.DASHURL)

	done := m.awaitPost(p.ID, "processed", 3*time.Minute, func(p post) bool { return p.State == "PROCESSED" })
	if done.Source == nil {
		t.Fatalf("no original: %+v", done)
	}
	sameFrames(t, "the original", mediatest.FrameMD5(t, done.Source.URL), want)
	mediatest.DecodeStrict(t, done.Source.URL)
	synced(t, src, done.Source.URL, 1)
	lasts(t, done.Source.URL, float64(len(want))/fps, fps)
	for url, is := range map[string]string{
		done.Source.URL: "hevc", *done.Playback.MP4URL: "h264", *done.Playback.HLSURL: "h264", *done.Playback.DASHURL: "h264",
	} {
		if got := codec(t, url); got != is {
			t.Errorf("%s is %s, want %s", url, got, is)
		}
	}
	for _, url := range []string{*done.Playback.MP4URL, *done.Playback.HLSURL, *done.Playback.DASHURL} {
		mediatest.DecodeStrict(t, url)
		beginsAs(t, url, done.Source.URL)
		if n := len(mediatest.FrameMD5(t, url)); n != len(want) {
			t.Errorf("%s has %d frames, want %d", url, n, len(want))
		}
	}
}
