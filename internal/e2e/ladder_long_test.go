//go:build long

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/e2e/browser"
	"github.com/roomcast/roomcast/internal/mediatest"
)

// height waits until every page shows a picture of so many lines and has
// played for some seconds since its last Reset, and answers who stalled.
func height(t *testing.T, pages map[browser.Player]*browser.Page, lines int, within time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for player, page := range pages {
		report, err := page.Await(ctx, func(r *browser.Report) bool { return r.Height == lines && r.PlayedSeconds > 4 })
		if err != nil {
			t.Fatalf("%s does not show %d lines but %d: %v", player, lines, report.Height, err)
		}
		if len(report.Fatal()) > 0 || len(report.Holes) > 0 || report.StalledSeconds > 0.1 {
			t.Errorf("%s on the way to %d lines: %v", player, lines, report)
		}
		t.Logf("%d lines: %v", lines, report)
	}
}

func TestPlayersChooseARenditionAndOutliveItsEncoder(t *testing.T) {
	m := newMachine(t)
	key := m.laddered("ada")
	show := m.newRoom("ada")
	src := mediatest.Generate(t, mediatest.Spec{BFrames: 2, Duration: 20 * time.Second, Width: 640, Height: 360, VideoKbps: 2000})
	publisher := mediatest.PublishFFmpeg(t, src, key.url())
	m.awaitKey("ada", "ACTIVE", 20*time.Second)
	live := m.roomDo(show.ID, "start", nil)
	for _, name := range []string{"master.m3u8", "v.m3u8", "180p.m3u8", "a.m3u8"} {
		if err := status(http.MethodGet, strings.Replace(*live.Playback.HLSURL, "master.m3u8", name, 1), http.StatusOK); err != nil {
			t.Error(err) // ACTIVE means that everything can be read
		}
	}
	// Who comes in the first seconds of a show has less ahead than players want:
	// three target durations (RFC 8216 6.3.3).
	eventually(t, 20*time.Second, "players begin where they want to", func() error {
		if n := strings.Count(body(t, strings.Replace(*live.Playback.HLSURL, "master.m3u8", "v.m3u8", 1)), "#EXTINF:"); n < 5 {
			return fmt.Errorf("%d segments", n)
		}
		return nil
	})
	pages := play(t, m, show.ID)
	height(t, pages, 360, 60*time.Second)
	for _, bps := range []int{800_000, 0} {
		reset(t, pages)
		for _, page := range pages {
			if err := page.Limit(context.Background(), bps); err != nil {
				t.Fatal(err)
			}
		}
		if bps > 0 {
			height(t, pages, 180, 60*time.Second)
		} else {
			height(t, pages, 360, 90*time.Second)
		}
	}

	for n, words := range []string{"started again", "failed again"} {
		reset(t, pages)
		pids := m.encoders()
		if len(pids) != 1 {
			t.Fatalf("%d encoders for one stream", len(pids))
		}
		if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		eventually(t, 20*time.Second, "the owner is told", func() error {
			if k := m.key("ada"); k.Ingest == nil || !strings.Contains(strings.Join(k.Ingest.Warnings, " "), words) {
				return fmt.Errorf("ingest %+v", k.Ingest)
			}
			return nil
		})
		plays(t, pages, 10, 40*time.Second)
		if r := m.room(show.ID); r.State != "LIVE" || n == 1 && len(m.encoders()) != 0 {
			t.Errorf("after death %d: room %s, encoders %v", n+1, r.State, m.encoders())
		}
	}
	for player, page := range pages {
		if report, err := page.Report(context.Background()); err != nil || report.StalledSeconds > 1 {
			t.Errorf("%s: %v, %v", player, report, err)
		}
	}

	if err := publisher.Stop(5 * time.Second); err != nil {
		t.Log(err)
	}
	m.awaitKey("ada", "INACTIVE_LIVE", 10*time.Second)
	ended := m.roomDo(show.ID, "end", nil)
	p := m.awaitPost(*ended.VideoPostID, "playable", 10*time.Second, func(p post) bool { return p.Playback != nil })
	if n := strings.Count(body(t, *p.Playback.HLSURL), "#EXT-X-STREAM-INF"); n != 2 {
		t.Errorf("the recording has %d renditions", n)
	}
	mediatest.DecodeStrict(t, *p.Playback.DASHURL)
}
