package console_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast/cmd/roomcast/sample"
	"github.com/roomcast/roomcast/internal/console"
	"github.com/roomcast/roomcast/internal/e2e/browser"
	"github.com/roomcast/roomcast/internal/mediatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a watch page in Chromium with a room that the test directs and a
// stream that ffmpeg packages.
type stage struct {
	t     *testing.T
	rooms *rooms
	dir   string
	base  string
	b     *browser.Browser
	runs  int
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, rooms: &rooms{}, dir: t.TempDir()}
	s.rooms.set(console.State{VideoRoomState: "SCHEDULED", Title: "Evening show", ScheduledAt: time.Now().Add(3 * time.Hour)})
	mux := http.NewServeMux()
	mux.Handle("/", newHandler(t, s.rooms, io.Discard))
	files := http.FileServer(http.Dir(s.dir))
	mux.HandleFunc("/live/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		http.StripPrefix("/live/", files).ServeHTTP(w, r)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.base = server.URL
	b, err := browser.Launch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	s.b = b
	return s
}

func (s *stage) open(o browser.Options) *browser.Page {
	s.t.Helper()
	o.Player, o.URL = browser.OwnPage, s.base+"/watch/room_1"
	p, err := s.b.Open(s.t.Context(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (s *stage) await(p *browser.Page, ok func(*browser.Report) bool) *browser.Report {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	r, err := p.Await(ctx, ok)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Log(r)
	return r
}

// show awaits what the stage says, and takes a picture where somebody wants to look.
func (s *stage) show(p *browser.Page, name, state, text string) {
	s.t.Helper()
	s.await(p, func(r *browser.Report) bool { return r.State == state })
	var shown string
	if err := p.Eval(s.t.Context(), `document.body.innerText`, &shown); err != nil {
		s.t.Fatal(err)
	}
	if !strings.Contains(shown, text) {
		s.t.Errorf("%s: %q is not on the page:\n%s", name, text, shown)
	}
	if dir := os.Getenv("SCREENSHOTS"); dir != "" {
		time.Sleep(500 * time.Millisecond) // transitions
		if err := p.Screenshot(s.t.Context(), filepath.Join(dir, name+".png")); err != nil {
			s.t.Error(err)
		}
	}
}

// publish packages the sample until the process is killed; a second run goes
// on in the same playlist, behind a discontinuity.
func (s *stage) publish() *mediatest.Proc {
	s.t.Helper()
	src := filepath.Join(s.dir, "sample.flv")
	if err := os.WriteFile(src, sample.FLV, 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.runs++
	p := mediatest.StartFFmpeg(s.t, "-hide_banner", "-nostdin", "-loglevel", "warning", "-re", "-stream_loop", "-1", "-i", src,
		"-map", "0", "-c", "copy", "-f", "hls", "-hls_time", "2", "-hls_list_size", "15", "-hls_segment_type", "fmp4",
		"-hls_fmp4_init_filename", fmt.Sprintf("init%d.mp4", s.runs),
		"-hls_flags", "program_date_time+temp_file+append_list+discont_start+omit_endlist", filepath.Join(s.dir, "v.m3u8"))
	deadline := time.Now().Add(20 * time.Second)
	for {
		list, err := os.ReadFile(filepath.Join(s.dir, "v.m3u8"))
		if err == nil && strings.Contains(string(list), fmt.Sprintf("init%d.mp4", s.runs)) && strings.Count(string(list), "#EXTINF") > 1 {
			return p
		}
		if time.Now().After(deadline) {
			s.t.Fatal("no playlist appears")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *stage) state(name, endReason string) {
	st := console.State{VideoRoomState: name, Title: "Evening show", EndReason: endReason, LiveStartedAt: time.Now().Add(-61 * time.Second)}
	if strings.HasPrefix(name, "LIVE") {
		st.Playback = &console.Playback{HLSURL: s.base + "/live/v.m3u8", DASHURL: s.base + "/live/manifest.mpd"}
	}
	s.rooms.set(st)
}

func TestWatchPageLivesThroughAWholeShow(t *testing.T) {
	s := newStage(t)
	p := s.open(browser.Options{Width: 1280, Height: 860})
	phone := s.open(browser.Options{Width: 390, Height: 844, Mobile: true})
	s.show(p, "scheduled", "SCHEDULED scheduled", "Starts soon")
	s.show(phone, "scheduled-phone", "SCHEDULED scheduled", "Planned for")

	encoder := s.publish()
	s.state("LIVE", "")
	// It starts by itself.
	r := s.await(p, func(r *browser.Report) bool { return r.PlayedSeconds > 5 && r.Frame != nil })
	s.show(p, "live", "LIVE playing", "s behind live")
	s.show(phone, "live-phone", "LIVE playing", "s behind live")
	if len(r.Fatal()) > 0 || len(r.BadResponses) > 0 || len(r.Console) > 0 {
		t.Errorf("not a clean start: %s", r)
	}
	// Two segments of 2 s behind the playlist's end, which is 2 to 4 s old.
	s.await(p, func(r *browser.Report) bool { return r.LatencySeconds != nil && *r.LatencySeconds < 7 })
	var tagged bool
	if err := p.Eval(s.t.Context(), `roomcast.player.hls.same = true`, &tagged); err != nil || !tagged {
		t.Fatal(err)
	}

	encoder.Kill()
	s.state("LIVE_INACTIVE", "")
	s.show(p, "interrupted", "LIVE_INACTIVE interrupted", "The streamer will be right back")
	s.show(phone, "interrupted-phone", "LIVE_INACTIVE interrupted", "The streamer will be right back")
	if err := p.Reset(s.t.Context()); err != nil {
		t.Fatal(err)
	}
	encoder = s.publish()
	s.state("LIVE", "")
	s.await(p, func(r *browser.Report) bool { return r.PlayedSeconds > 3 && r.State == "LIVE playing" })
	var same bool
	if err := p.Eval(s.t.Context(), `roomcast.player.hls.same === true && roomcast.player.errors.length === 0`, &same); err != nil || !same {
		t.Errorf("the player did not live through the interruption: %v", err)
	}

	// Viewers see the rest of what was sent, then the end.
	encoder.Kill()
	appendTo(t, filepath.Join(s.dir, "v.m3u8"), "#EXT-X-ENDLIST\n")
	var rest float64
	if err := p.Eval(s.t.Context(), `(() => {
		const v = document.querySelector("video");
		globalThis.seen = 0;
		v.addEventListener("timeupdate", () => { seen = Math.max(seen, v.currentTime); });
		return v.buffered.end(v.buffered.length - 1);
	})()`, &rest); err != nil {
		t.Fatal(err)
	}
	s.state("ENDED", "ENDED")
	s.show(p, "ended", "ENDED ended", "The show has ended")
	var seen float64
	if err := p.Eval(s.t.Context(), `seen`, &seen); err != nil || seen < rest-0.5 {
		t.Errorf("cut at %.2f, %.2f was there: %v", seen, rest, err)
	}
	s.show(phone, "ended-phone", "ENDED ended", "The show has ended")
}

func TestForcedEndCutsThePicture(t *testing.T) {
	s := newStage(t)
	s.publish()
	s.state("LIVE", "")
	p := s.open(browser.Options{})
	s.await(p, func(r *browser.Report) bool { return r.PlayedSeconds > 1 })
	s.state("ENDED", "FORCED")
	began := time.Now()
	s.await(p, func(r *browser.Report) bool { return r.State == "ENDED ended" })
	if d := time.Since(began); d > 10*time.Second { // the page polls every 3 s
		t.Errorf("the picture went on for %s", d)
	}
	var loaded bool
	if err := p.Eval(s.t.Context(), `document.querySelector("video").buffered.length > 0`, &loaded); err != nil || loaded {
		t.Errorf("media are still there: %v", err)
	}
}

// A server that is away for a while costs time, never the player.
func TestPlayerRecoversFromFatalErrors(t *testing.T) {
	s := newStage(t)
	s.state("LIVE", "")
	p := s.open(browser.Options{}) // the playlist is not there: fatal for hls.js
	s.await(p, func(r *browser.Report) bool { return len(r.Errors) > 0 || len(r.BadResponses) > 2 })
	s.publish()
	s.await(p, func(r *browser.Report) bool { return r.PlayedSeconds > 1 })
	if err := p.Eval(s.t.Context(), `(() => { const { player } = roomcast; player.hls.trigger(Hls.Events.ERROR, { type: "mediaError", details: "bufferAppendError", fatal: true, error: new Error("planted") }) })()`, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Reset(s.t.Context()); err != nil {
		t.Fatal(err)
	}
	s.await(p, func(r *browser.Report) bool { return r.PlayedSeconds > 2 && r.State == "LIVE playing" })
}

func TestOtherStatesAreSaid(t *testing.T) {
	s := newStage(t)
	for _, c := range []struct{ state, reason, view, text string }{
		{"CANCELLED", "", "CANCELLED ended", "This show was cancelled"},
		{"ARCHIVED", "ENDED", "ARCHIVED ended", "The recording is saved"},
		{"ENDED", "RECONNECT_TIMEOUT", "ENDED ended", "The streamer did not come back"},
	} {
		s.state(c.state, c.reason)
		p := s.open(browser.Options{})
		s.show(p, strings.ToLower(c.state), c.view, c.text)
		if err := p.Close(s.t.Context()); err != nil {
			t.Error(err)
		}
	}
	for name, path := range map[string]string{"landing": "/", "notfound": "/watch/room_9"} {
		p, err := s.b.Open(s.t.Context(), browser.Options{Player: browser.OwnPage, URL: s.base + path})
		if err != nil {
			t.Fatal(err)
		}
		if dir := os.Getenv("SCREENSHOTS"); dir != "" {
			if err := p.Screenshot(s.t.Context(), filepath.Join(dir, name+".png")); err != nil {
				t.Error(err)
			}
		}
		r, err := p.Report(s.t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range r.Console {
			if !strings.Contains(line, "404") || name != "notfound" {
				t.Errorf("%s: %s", path, line)
			}
		}
	}
	// Deleted while somebody watches.
	p := s.open(browser.Options{})
	s.rooms.mu.Lock()
	s.rooms.err = console.ErrNotFound
	s.rooms.mu.Unlock()
	if err := p.Eval(s.t.Context(), `dispatchEvent(new Event("online"))`, nil); err != nil {
		t.Fatal(err)
	}
	s.show(p, "gone", "ENDED ended", "This room is gone")
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
