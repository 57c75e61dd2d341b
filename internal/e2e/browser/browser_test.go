package browser_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast/cmd/roomcast/sample"
	"github.com/roomcast/roomcast/internal/e2e/browser"
	"github.com/roomcast/roomcast/internal/mediatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// live packages the built-in sample as live HLS and DASH with ffmpeg, in real
// time. While broken is set, segments answer 404.
type live struct {
	base   string
	broken atomic.Bool
}

func startLive(t *testing.T) *live {
	t.Helper()
	dir := t.TempDir()
	src := filepath.Join(dir, "sample.flv")
	if err := os.WriteFile(src, sample.FLV, 0o600); err != nil {
		t.Fatal(err)
	}
	l := &live{}
	files := http.FileServer(http.Dir(dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Cache-Control", "no-cache")
		switch {
		case r.URL.Path == "/time":
			_, _ = fmt.Fprint(w, time.Now().UTC().Format(time.RFC3339Nano))
		case l.broken.Load() && strings.HasSuffix(r.URL.Path, ".m4s"):
			http.NotFound(w, r)
		default:
			files.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	l.base = server.URL
	mediatest.StartFFmpeg(t, "-hide_banner", "-nostdin", "-loglevel", "warning", "-re", "-stream_loop", "-1", "-i", src,
		"-map", "0", "-c", "copy", "-f", "hls", "-hls_time", "2", "-hls_list_size", "10", "-hls_segment_type", "fmp4",
		"-hls_flags", "program_date_time+temp_file", filepath.Join(dir, "v.m3u8"),
		"-map", "0", "-c", "copy", "-f", "dash", "-seg_duration", "2", "-window_size", "10", "-use_template", "1", "-use_timeline", "1", "-utc_timing_url", server.URL+"/time",
		filepath.Join(dir, "manifest.mpd"))
	deadline := time.Now().Add(20 * time.Second)
	for _, name := range []string{"v.m3u8", "manifest.mpd", "v3.m4s"} {
		for {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s does not appear", name)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return l
}

func launch(t *testing.T) *browser.Browser {
	t.Helper()
	b, err := browser.Launch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// One Chromium and one stream for all, they are dear.
func TestReportTellsHowItWent(t *testing.T) {
	l, b := startLive(t), launch(t)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	open := func(t *testing.T, player browser.Player, url string) *browser.Page {
		t.Helper()
		p, err := b.Open(ctx, browser.Options{Player: player, URL: url})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := p.Close(context.WithoutCancel(ctx)); err != nil {
				t.Error(err)
			}
		})
		return p
	}
	await := func(t *testing.T, p *browser.Page, ok func(*browser.Report) bool) *browser.Report {
		t.Helper()
		r, err := p.Await(ctx, ok)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(r)
		return r
	}

	t.Run("stock players play a live stream", func(t *testing.T) {
		for _, c := range []struct {
			player browser.Player
			path   string
		}{{browser.HLSJS, "/v.m3u8"}, {browser.DASHJS, "/manifest.mpd"}, {browser.Shaka, "/v.m3u8"}, {browser.Shaka, "/manifest.mpd"}} {
			t.Run(string(c.player)+c.path, func(t *testing.T) {
				t.Parallel()
				r := await(t, open(t, c.player, l.base+c.path), func(r *browser.Report) bool { return r.PlayedSeconds >= 4 && len(r.Samples) > 2 })
				if len(r.Fatal()) > 0 || len(r.BadResponses) > 0 || r.Width != 854 || r.TotalFrames < 80 {
					t.Error("not as it should be")
				}
				checkSamples(t, r)
			})
		}
	})

	t.Run("a jump counts, however long its seek takes", func(t *testing.T) {
		p := open(t, browser.HLSJS, l.base+"/v.m3u8")
		await(t, p, func(r *browser.Report) bool { return r.PlayedSeconds >= 1 })
		var to float64 // nothing is there yet
		if err := p.Eval(ctx, `(v => v.currentTime = v.currentTime + 10)(document.querySelector("video"))`, &to); err != nil {
			t.Fatal(err)
		}
		r := await(t, p, func(r *browser.Report) bool { return len(r.Jumps) > 0 || r.StalledSeconds > 3 })
		if len(r.Jumps) == 0 || r.Jumps[0].To-r.Jumps[0].From < 1 { // as far as the playlist goes
			t.Errorf("jumps %v, it went to %.2f", r.Jumps, to)
		}
	})

	t.Run("a missing stream is a fatal error", func(t *testing.T) {
		for _, player := range []browser.Player{browser.HLSJS, browser.DASHJS, browser.Shaka} {
			t.Run(string(player), func(t *testing.T) {
				t.Parallel()
				r := await(t, open(t, player, l.base+"/nothing.m3u8"), func(r *browser.Report) bool { return len(r.Fatal()) > 0 })
				if r.Started || r.PlayedSeconds > 0 || len(r.BadResponses) == 0 || r.BadResponses[0].Status != http.StatusNotFound {
					t.Error("not as it should be")
				}
			})
		}
	})

	t.Run("a broken stream stalls, and goes on when it is whole again", func(t *testing.T) {
		p := open(t, browser.HLSJS, l.base+"/v.m3u8")
		await(t, p, func(r *browser.Report) bool { return r.PlayedSeconds >= 1 })
		if err := p.Reset(ctx); err != nil {
			t.Fatal(err)
		}
		l.broken.Store(true)
		r := await(t, p, func(r *browser.Report) bool { return r.LongestStallSeconds > 1.5 })
		if r.Stalls == 0 || len(r.Errors) == 0 || len(r.BadResponses) == 0 || r.BadResponses[0].Status != http.StatusNotFound {
			t.Error("stalls, errors or answers are missing")
		}
		if r.PlayedSeconds+r.StalledSeconds > r.MeasuredSeconds+0.5 {
			t.Error("more was played and stalled than time went by")
		}
		l.broken.Store(false)
		if err := p.Reset(ctx); err != nil {
			t.Fatal(err)
		}
		await(t, p, func(r *browser.Report) bool { return r.PlayedSeconds >= 1 })
	})

	t.Run("a foreign host is not reached", func(t *testing.T) {
		p := open(t, browser.OwnPage, "data:text/html,<img src=http://example.com/x.png>")
		await(t, p, func(r *browser.Report) bool {
			return len(r.BadResponses) == 1 && r.BadResponses[0].Error == "net::ERR_NAME_NOT_RESOLVED"
		})
	})
}

func checkSamples(t *testing.T, r *browser.Report) {
	t.Helper()
	if r.Frame == nil || r.LatencySeconds == nil || *r.LatencySeconds < 0.5 || *r.LatencySeconds > 20 {
		t.Error("no frame number or no sane latency")
	}
	// The picture and the position go on together, modulo the loop.
	pairs := 0
	for i := 1; i < len(r.Samples); i++ {
		a, z := r.Samples[i-1], r.Samples[i]
		if a.Frame == nil || z.Frame == nil {
			continue
		}
		pairs++
		frames := float64((*z.Frame-*a.Frame+sample.Frames)%sample.Frames) / sample.FPS
		if d := frames - (z.CurrentTime - a.CurrentTime); d > 0.5 || d < -0.5 {
			t.Errorf("%.2f s of pictures in %.2f s of media", frames, z.CurrentTime-a.CurrentTime)
		}
	}
	if pairs == 0 {
		t.Error("no two samples with frame numbers")
	}
}

func TestRequestsThatMakeNoSenseAreErrors(t *testing.T) {
	b := launch(t)
	if _, err := b.Open(t.Context(), browser.Options{Player: "vlc"}); err == nil {
		t.Error("an unknown player was opened")
	}
	if _, err := b.Open(t.Context(), browser.Options{Player: browser.OwnPage, URL: "http://127.0.0.1:1/"}); err == nil {
		t.Error("a page that nobody serves was opened")
	}
	p, err := b.Open(t.Context(), browser.Options{Player: browser.OwnPage, URL: "data:text/html,<title>x</title>"})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := p.Report(t.Context()); err == nil {
		t.Error("a closed page reported")
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if _, err := b.Open(t.Context(), browser.Options{Player: browser.HLSJS, URL: "x"}); err == nil {
		t.Error("a closed browser opened a page")
	}
}

func TestPlayReportsAfterItsTime(t *testing.T) {
	src := mediatest.Generate(t, mediatest.Spec{Duration: 20 * time.Second, Container: "mp4"})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.ServeFile(w, r, src)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, `<video src="/v.mp4" muted autoplay>`)
	}))
	defer server.Close()
	r, err := browser.Play(t.Context(), browser.Options{Player: browser.OwnPage, URL: server.URL, For: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Started || r.PlayedSeconds < 1 || r.MeasuredSeconds < 3 || r.Frame != nil {
		t.Errorf("%s", r)
	}
}

func TestLockFilePinsWithoutNamingARegistry(t *testing.T) {
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{`"resolved"`, "registry", ".tgz"} {
		if strings.Contains(string(lock), word) {
			t.Errorf("package-lock.json contains %s: make it with npm install --omit-lockfile-registry-resolved", word)
		}
	}
	if strings.Count(string(lock), `"integrity": "sha512-`) < 20 {
		t.Error("package-lock.json has no hashes")
	}
}
