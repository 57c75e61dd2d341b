package e2e

import (
	"context"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/e2e/browser"
	"github.com/roomcast/roomcast/internal/mediatest"
)

// A room without HLS plays on the watch page by HTTP-FLV, over an
// interruption, until its end; ffmpeg plays it by RTMP.
func TestALowDelayShow(t *testing.T) {
	m := newMachine(t)
	key := m.member("lena")
	show := m.newRoom("lena")
	src := source(t)
	encoder := mediatest.PublishFFmpeg(t, src, key.url()+"?mode=rtmp")
	m.awaitKey("lena", "ACTIVE", 10*time.Second)
	live := m.roomDo(show.ID, "start", nil)
	p := live.Playback
	if p == nil || p.RTMPURL == nil || p.HTTPFLVURL == nil || p.HLSURL != nil || p.DASHURL != nil {
		t.Fatalf("after start: %+v", p)
	}
	mediatest.DecodeStrict(t, *p.RTMPURL, "-t", "7") // longer than any deadline of its opening
	mediatest.DecodeStrict(t, *p.HTTPFLVURL, "-t", "2")

	b, err := browser.Launch(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	page, err := b.Open(context.Background(), browser.Options{Player: browser.OwnPage, URL: "http://" + m.http + "/watch/" + show.ID})
	if err != nil {
		t.Fatal(err)
	}
	pages := map[browser.Player]*browser.Page{browser.OwnPage: page}
	plays(t, pages, 5, 30*time.Second)

	encoder.Kill()
	m.awaitKey("lena", "INACTIVE_LIVE", 10*time.Second)
	mediatest.PublishFFmpeg(t, src, key.url()+"?mode=cmaf") // ignored: the room's mode stays
	m.awaitKey("lena", "ACTIVE_LIVE", 10*time.Second)
	reset(t, pages)
	plays(t, pages, 5, 30*time.Second)

	m.roomDo(show.ID, "end", map[string]bool{"force": true})
	eventually(t, 5*time.Second, "the stream is gone", func() error {
		return status(http.MethodHead, *p.HTTPFLVURL, http.StatusNotFound)
	})
}

// A key frame every 30 s is no reason to wait: who joins gets what leads up to
// the picture of now.
func TestAViewerDoesNotWaitForADistantKeyFrame(t *testing.T) {
	m := newMachine(t)
	key := m.member("lena")
	mediatest.PublishFFmpeg(t, mediatest.Generate(t, mediatest.Spec{GOP: 30 * 25, Duration: 60 * time.Second}), key.url()+"?mode=rtmp")
	m.awaitKey("lena", "ACTIVE", 10*time.Second)
	began := time.Now()
	time.Sleep(4 * time.Second) // into the GOP: what is tested
	p := m.key("lena").Playback
	for _, url := range []string{*p.RTMPURL, *p.HTTPFLVURL} {
		mediatest.DecodeStrict(t, url, "-t", "2")
	}
	if d := time.Since(began); d > 25*time.Second {
		t.Errorf("after %s, which says nothing", d)
	}
}

// Players that nobody here wrote, besides ffmpeg and mpegts.js: GStreamer's own
// RTMP and HTTP, and librtmp.
func TestOtherPlayersPlay(t *testing.T) {
	m := newMachine(t)
	key := m.member("lena")
	mediatest.PublishFFmpeg(t, source(t), key.url()+"?mode=rtmp")
	m.awaitKey("lena", "ACTIVE", 10*time.Second)
	p := m.key("lena").Playback
	for name, from := range map[string]string{
		"rtmp2src":    "rtmp2src location=" + *p.RTMPURL,
		"librtmp":     "rtmpsrc location=" + *p.RTMPURL,
		"souphttpsrc": "souphttpsrc is-live=true location=" + *p.HTTPFLVURL,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "got.h264")
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			pipeline := from + " ! flvdemux name=in  in.video ! queue ! h264parse ! video/x-h264,stream-format=byte-stream,alignment=au ! identity eos-after=75 ! filesink location=" + file
			cmd := exec.CommandContext(ctx, "gst-launch-1.0", strings.Fields(pipeline)...)
			cmd.WaitDelay = time.Second
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if n := len(mediatest.FrameMD5(t, file)); n < 50 {
				t.Errorf("%d pictures\n%s", n, out)
			}
		})
	}
}
