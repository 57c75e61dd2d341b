package e2e

import (
	"context"
	"net/http"
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
