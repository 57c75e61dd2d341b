//go:build long

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/e2e/browser"
	"github.com/roomcast/roomcast/internal/mediatest"
)

// laddered gives a member's key a live profile of 360 and 180 lines.
func (m *machine) laddered(user string) streamKey {
	m.t.Helper()
	type stream struct {
		Name    string `json:"name"`
		Width   int    `json:"width"`
		Height  int    `json:"height"`
		Bitrate int    `json:"bitrate"`
	}
	var made struct{ ID string }
	m.call(http.MethodPost, "/v2/apps/me/transcoding-profiles", map[string]any{
		"type": "BROADCAST_RTMP", "name": "two steps", "profile": map[string]any{
			"segmentDuration": 2, "videoStreams": []stream{{"360p", 640, 360, 1_000_000}, {"180p", 320, 180, 200_000}},
			"audioStream": map[string]int{"bitrate": 96_000},
		},
	}, &made)
	key := m.member(user)
	m.call(http.MethodPatch, "/v2/apps/me/stream-keys/"+key.ID, map[string]string{"transcodingProfileId": made.ID}, nil)
	return m.key(user)
}

// encoders are the children of the process that run ffmpeg.
func (m *machine) encoders() (pids []int) {
	m.t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		m.t.Fatal(err)
	}
	for _, s := range stats {
		b, _ := os.ReadFile(s) // it may have ended
		if _, rest, ok := strings.Cut(string(b), "(ffmpeg) "); ok && len(strings.Fields(rest)) > 1 && strings.Fields(rest)[1] == strconv.Itoa(m.cmd.Process.Pid) && !strings.HasPrefix(rest, "Z") {
			pid, err := strconv.Atoi(strings.Split(s, "/")[2])
			if err != nil {
				m.t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

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
		if len(report.Fatal()) > 0 || len(report.Holes) > 0 || report.StalledSeconds > 0.5 {
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
	pages := play(t, m, show.ID)
	delete(pages, browser.OwnPage)
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
