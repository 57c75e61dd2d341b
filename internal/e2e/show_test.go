package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/e2e/browser"
	"github.com/roomcast/roomcast/internal/mediatest"
)

func source(t *testing.T) string {
	t.Helper()
	return mediatest.Generate(t, mediatest.Spec{BFrames: 2, Duration: 20 * time.Second})
}

// play opens pages of stock players, and the watch page, on a live room.
func play(t *testing.T, m *machine, id string) map[browser.Player]*browser.Page {
	t.Helper()
	p := m.room(id).Playback
	b, err := browser.Launch(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	pages := map[browser.Player]*browser.Page{}
	for player, url := range map[browser.Player]string{
		browser.HLSJS: *p.HLSURL, browser.DASHJS: *p.DASHURL, browser.OwnPage: "http://" + m.http + "/watch/" + id,
	} {
		page, err := b.Open(context.Background(), browser.Options{Player: player, URL: url})
		if err != nil {
			t.Fatal(err)
		}
		pages[player] = page
	}
	return pages
}

// plays waits until every page has played for that long since its last Reset,
// without a fatal error.
func plays(t *testing.T, pages map[browser.Player]*browser.Page, seconds float64, within time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for player, page := range pages {
		report, err := page.Await(ctx, func(r *browser.Report) bool { return r.PlayedSeconds >= seconds })
		if err != nil {
			t.Fatalf("%s did not play %v s within %s: %v\n%v", player, seconds, within, err, report)
		}
		if fatal := report.Fatal(); len(fatal) > 0 {
			t.Fatalf("%s: fatal errors %v\n%v", player, fatal, report)
		}
		t.Logf("%v", report)
	}
}

func reset(t *testing.T, pages map[browser.Player]*browser.Page) {
	t.Helper()
	for _, page := range pages {
		if err := page.Reset(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

func body(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return string(b)
}

func media(hlsURL string) string { return strings.Replace(hlsURL, "master.m3u8", "v.m3u8", 1) }

func TestAShowFromTheFirstPictureToTheNextRoom(t *testing.T) {
	m := newMachine(t)
	key := m.member("alice")
	show := m.newRoom("alice")
	m.refused("STREAM_KEY_STATE_NOT_ACTIVE", http.MethodPost, "/v2/apps/me/video-rooms/"+show.ID+"/start", nil)

	encoder := mediatest.PublishFFmpeg(t, source(t), key.url())
	seen := m.awaitKey("alice", "ACTIVE", 15*time.Second)
	if want := []string{"INACTIVE", "ACTIVE_PREP", "ACTIVE"}; !slices.Equal(seen, want) {
		t.Errorf("the key went %v, want %v", seen, want)
	}
	live := m.roomDo(show.ID, "start", nil)
	if live.State != "LIVE" || live.Playback == nil || live.Playback.RTMPURL != nil {
		t.Fatalf("after start: %+v", live)
	}
	if k := m.key("alice"); k.State != "ACTIVE_LIVE" || k.VideoRoomID == nil || *k.VideoRoomID != show.ID {
		t.Fatalf("after start: %+v", k)
	}
	for _, url := range []string{*live.Playback.HLSURL, *live.Playback.DASHURL} {
		if err := status(http.MethodGet, url, http.StatusOK); err != nil {
			t.Fatal(err)
		}
		mediatest.DecodeStrict(t, url, "-t", "5")
	}

	pages := play(t, m, show.ID)
	plays(t, pages, 20, 45*time.Second)
	for player, page := range pages {
		report, err := page.Report(context.Background())
		if err != nil || report.StalledSeconds > 0.5 {
			t.Errorf("%s rebuffered: %v, %v", player, report, err)
		}
	}

	encoder.Kill()
	m.awaitKey("alice", "INACTIVE_LIVE", 8*time.Second)
	dropped := m.room(show.ID)
	if dropped.State != "LIVE_INACTIVE" || fmt.Sprint(*dropped.Playback.HLSURL) != *live.Playback.HLSURL {
		t.Fatalf("after the drop: %+v", dropped)
	}
	if strings.Contains(body(t, media(*live.Playback.HLSURL)), "#EXT-X-ENDLIST") {
		t.Fatal("the playlist ended while the show goes on")
	}

	encoder = mediatest.PublishFFmpeg(t, source(t), key.url())
	m.awaitKey("alice", "ACTIVE_LIVE", 15*time.Second)
	if again := m.room(show.ID); again.State != "LIVE" || *again.Playback.HLSURL != *live.Playback.HLSURL {
		t.Fatalf("after the return: %+v", again)
	}
	reset(t, pages)
	plays(t, pages, 8, 40*time.Second)

	if err := encoder.Stop(5 * time.Second); err != nil {
		t.Log(err)
	}
	m.awaitKey("alice", "INACTIVE_LIVE", 8*time.Second)
	ended := m.roomDo(show.ID, "end", nil)
	if ended.State != "ENDED" || ended.Playback != nil || ended.EndReason == nil || *ended.EndReason != "ENDED" {
		t.Fatalf("after the end: %+v", ended)
	}
	eventually(t, 2*time.Second, "playlist and manifest are closed", func() error {
		if !strings.Contains(body(t, media(*live.Playback.HLSURL)), "#EXT-X-ENDLIST") {
			return fmt.Errorf("no ENDLIST")
		}
		if !strings.Contains(body(t, *live.Playback.DASHURL), `type="static"`) {
			return fmt.Errorf("the MPD is dynamic")
		}
		return nil
	})
	if k := m.key("alice"); k.State != "INACTIVE" || k.VideoRoomID != nil {
		t.Fatalf("after the end: %+v", k)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	page := pages[browser.OwnPage]
	if report, err := page.Await(ctx, func(r *browser.Report) bool { return strings.HasSuffix(r.State, " ended") }); err != nil {
		t.Errorf("the watch page does not say that the show is over: %v, %v", err, report)
	}

	next := m.newRoom("alice")
	mediatest.PublishFFmpeg(t, source(t), key.url())
	m.awaitKey("alice", "ACTIVE", 15*time.Second)
	nextLive := m.roomDo(next.ID, "start", nil)
	if nextLive.State != "LIVE" || *nextLive.Playback.HLSURL == *live.Playback.HLSURL {
		t.Fatalf("the next room: %+v", nextLive)
	}
}

func TestForceEndCutsThePublisherAndReplacesTheKey(t *testing.T) {
	m := newMachine(t)
	key := m.member("bob")
	show := m.newRoom("bob")
	encoder := mediatest.PublishFFmpeg(t, source(t), key.url())
	m.awaitKey("bob", "ACTIVE", 15*time.Second)
	live := m.roomDo(show.ID, "start", nil)

	begin := time.Now()
	ended := m.roomDo(show.ID, "end", map[string]bool{"force": true})
	if ended.State != "ENDED" || !ended.Forcibly || *ended.EndReason != "FORCED" {
		t.Fatalf("after the force end: %+v", ended)
	}
	select {
	case <-encoder.Done():
		t.Logf("the publisher was cut after %s", time.Since(begin).Round(10*time.Millisecond))
	case <-time.After(3 * time.Second):
		t.Fatal("the publisher was not cut within 3 s")
	}
	fresh := m.key("bob")
	if fresh.StreamKey == key.StreamKey || fresh.State != "INACTIVE" {
		t.Fatalf("the key afterwards: %+v", fresh)
	}
	thief := mediatest.PublishFFmpeg(t, source(t), key.url())
	select {
	case <-thief.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("the old key was not refused")
	}
	eventually(t, 2*time.Second, "the playlist is closed", func() error {
		if !strings.Contains(body(t, media(*live.Playback.HLSURL)), "#EXT-X-ENDLIST") {
			return fmt.Errorf("no ENDLIST")
		}
		return nil
	})
	mediatest.PublishFFmpeg(t, source(t), fresh.url())
	m.awaitKey("bob", "ACTIVE", 15*time.Second)
}

func TestAPowerCutWhileLiveLosesNoViewer(t *testing.T) {
	m := newMachine(t)
	key := m.member("carol")
	show := m.newRoom("carol")
	encoder := mediatest.PublishFFmpeg(t, source(t), key.url())
	m.awaitKey("carol", "ACTIVE", 15*time.Second)
	live := m.roomDo(show.ID, "start", nil)
	pages := play(t, m, show.ID)
	plays(t, pages, 6, 30*time.Second)

	m.kill()
	encoder.Kill()
	m.start()
	if m.startedIn > 2*time.Second {
		t.Errorf("started again in %s", m.startedIn)
	}
	// Nobody publishes: the new process says so before anybody returns.
	m.awaitKey("carol", "INACTIVE_LIVE", 5*time.Second)
	mediatest.PublishFFmpeg(t, source(t), key.url())
	m.awaitKey("carol", "ACTIVE_LIVE", 15*time.Second)
	if again := m.room(show.ID); again.State != "LIVE" || *again.Playback.HLSURL != *live.Playback.HLSURL {
		t.Fatalf("after the return: %+v", again)
	}
	reset(t, pages)
	plays(t, pages, 8, 45*time.Second)

	took := m.stop()
	if took > 10*time.Second {
		t.Errorf("SIGTERM took %s", took)
	}
	m.start()
	m.awaitKey("carol", "INACTIVE_LIVE", 5*time.Second)
}
