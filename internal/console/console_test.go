package console_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/console"
)

// rooms is a console.Rooms with one room, "room_1".
type rooms struct {
	mu    sync.Mutex
	state console.State
	err   error
}

func (r *rooms) WatchState(_ context.Context, id string) (console.State, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return console.State{}, r.err
	}
	if id != "room_1" {
		return console.State{}, fmt.Errorf("room %s: %w", id, console.ErrNotFound)
	}
	return r.state, nil
}

func (r *rooms) set(s console.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = s
}

func newHandler(t *testing.T, r *rooms, log io.Writer, origins ...string) *console.Handler {
	t.Helper()
	h, err := console.New(console.Options{
		Rooms: r, Now: time.Now, Log: slog.New(slog.NewTextHandler(log, nil)), MediaOrigins: origins,
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestStateIsTheRoomAsTheAPIWouldSayIt(t *testing.T) {
	started := time.Date(2026, 3, 1, 12, 0, 0, 7_000_000, time.FixedZone("", 3600))
	r := &rooms{}
	h := newHandler(t, r, io.Discard)
	for _, c := range []struct {
		state console.State
		want  string
	}{
		{
			console.State{VideoRoomState: "SCHEDULED"},
			`{"videoRoomState":"SCHEDULED","title":null,"playback":null,"endReason":null,"scheduledAt":null,"liveStartedAt":null,`,
		},
		{
			console.State{VideoRoomState: "LIVE", Title: "</script>", LiveStartedAt: started, Playback: &console.Playback{HLSURL: "/h", DASHURL: "/d"}},
			`{"videoRoomState":"LIVE","title":"\u003c/script\u003e","playback":{"hlsURL":"/h","dashURL":"/d","rtmpURL":null,"httpFlvURL":null},"endReason":null,"scheduledAt":null,"liveStartedAt":"2026-03-01T11:00:00.007Z",`,
		},
		{
			console.State{VideoRoomState: "ENDED", EndReason: "FORCED"},
			`{"videoRoomState":"ENDED","title":null,"playback":null,"endReason":"FORCED","scheduledAt":null,"liveStartedAt":null,`,
		},
	} {
		r.set(c.state)
		w := get(h, "/watch/room_1/state")
		if w.Code != 200 || !strings.HasPrefix(w.Body.String(), c.want) {
			t.Errorf("status %d\ngot  %s\nwant %s", w.Code, w.Body, c.want)
		}
		if !regexp.MustCompile(`"serverTime":"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"}$`).Match(w.Body.Bytes()) {
			t.Errorf("no server time: %s", w.Body)
		}
	}
}

func TestPageCarriesTheFirstStateAndEscapesIt(t *testing.T) {
	r := &rooms{state: console.State{VideoRoomState: "LIVE", Title: `</script><script>alert("1")</script>`}}
	w := get(newHandler(t, r, io.Discard), "/watch/room_1")
	if w.Code != 200 || strings.Contains(w.Body.String(), "<script>alert") {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	m := regexp.MustCompile(`(?s)id="first-state">(.*?)</script>`).FindSubmatch(w.Body.Bytes())
	if m == nil {
		t.Fatal("no first state")
	}
	var s struct{ VideoRoomState, Title string }
	if err := json.Unmarshal(m[1], &s); err != nil || s.VideoRoomState != "LIVE" || s.Title != r.state.Title {
		t.Errorf("%+v, %v: %s", s, err, m[1])
	}
}

func TestUnknownRoomIsAFriendlyPageAndAProblem(t *testing.T) {
	h := newHandler(t, &rooms{}, io.Discard)
	for _, path := range []string{"/watch/room_2", "/watch/", "/watch/room_1/x", "/nothing", "/watch/%2e%2e", "/watch/a%2fb"} {
		if w := get(h, path); w.Code != 404 || !strings.Contains(w.Body.String(), "Nothing to watch here") {
			t.Errorf("%s: status %d: %s", path, w.Code, w.Body)
		}
	}
	w := get(h, "/watch/room_2/state")
	var p struct{ ErrorCode string }
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 404 || p.ErrorCode != "VIDEO_ROOM_NOT_FOUND" ||
		w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("status %d, %v: %s", w.Code, err, w.Body)
	}
}

func TestBrokenStoreIs503LoggedOnceAndTellsNothing(t *testing.T) {
	var log bytes.Buffer
	h := newHandler(t, &rooms{err: errors.New("disk of the database is on fire")}, &log)
	for _, path := range []string{"/watch/room_1", "/watch/room_1/state"} {
		log.Reset()
		w := get(h, path)
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "fire") {
			t.Errorf("%s: status %d: %s", path, w.Code, w.Body)
		}
		if strings.Count(log.String(), "fire") != 1 || !strings.Contains(log.String(), "room_1") {
			t.Errorf("%s: logged %q", path, log.String())
		}
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	h := newHandler(t, &rooms{}, io.Discard)
	for path, want := range map[string]int{"/watch/room_1": 405, "/": 405, "/assets/x": 405, "/v1/members": 404, "/watch/": 404} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, nil))
		if w.Code != want || (w.Header().Get("Allow") == "GET, HEAD") != (want == 405) || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: status %d, %v: %s", path, w.Code, w.Header(), w.Body)
		}
	}
}

func TestEveryFileThatAPageNamesIsServedAndCachedForAYear(t *testing.T) {
	h := newHandler(t, &rooms{state: console.State{VideoRoomState: "LIVE"}}, io.Discard)
	seen := 0
	for _, page := range []string{"/", "/watch/room_1", "/nothing"} {
		for _, m := range regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"`).FindAllStringSubmatch(get(h, page).Body.String(), -1) {
			seen++
			plain, packed := get(h, m[1]), get(h, m[1], "Accept-Encoding", "gzip")
			if plain.Code != 200 || !strings.Contains(plain.Header().Get("Cache-Control"), "immutable") {
				t.Errorf("%s: status %d, %s", m[1], plain.Code, plain.Header().Get("Cache-Control"))
			}
			if packed.Header().Get("Content-Encoding") == "gzip" {
				z, err := gzip.NewReader(packed.Body)
				if err != nil {
					t.Fatal(err)
				}
				if body, err := io.ReadAll(z); err != nil || !bytes.Equal(body, plain.Body.Bytes()) {
					t.Errorf("%s: packed and plain differ: %v", m[1], err)
				}
			}
		}
	}
	if seen < 8 {
		t.Errorf("pages name %d files", seen)
	}
	for _, path := range []string{"/assets/0123456789abcdef/watch.js", "/assets/", "/assets/../console.go"} {
		if w := get(h, path); w.Code != 404 {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
}

func TestNoForeignHostAndNoInlineCode(t *testing.T) {
	r := &rooms{state: console.State{VideoRoomState: "LIVE"}}
	h := newHandler(t, r, io.Discard, "https://cdn.example.com")
	w := get(h, "/watch/room_1")
	csp := w.Header().Get("Content-Security-Policy")
	want := "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
		"connect-src 'self' https://cdn.example.com; media-src blob: 'self' https://cdn.example.com; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
	if csp != want {
		t.Errorf("policy %q", csp)
	}
	files, err := filepath.Glob("static/assets/*")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("static/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(files, pages...) {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`https?://[^"' ]+| style="| on[a-z]+="`).FindAllString(string(body), -1) {
			if m != "http://www.w3.org/2000/svg" {
				t.Errorf("%s contains %q", name, m)
			}
		}
	}
	for _, bad := range []string{"cdn.example.com", "https://cdn.example.com/path", "https://a b", "https://a;script-src *", "ftp://x", ""} {
		if _, err := console.New(console.Options{Rooms: r, Now: time.Now, Log: slog.Default(), MediaOrigins: []string{bad}}); err == nil {
			t.Errorf("media origin %q was taken", bad)
		}
	}
}

// What ships is what the npm package of the pinned version contains, licence
// included; `make deps` installs it.
func TestVendoredHLSJSIsTheNPMPackages(t *testing.T) {
	const from, to = "../e2e/browser/node_modules/hls.js", "static/vendor/hls.js"
	for pkg, ours := range map[string]string{"dist/hls.min.js": "hls.min.js", "LICENSE": "LICENSE"} {
		want, err := os.ReadFile(filepath.Join(from, pkg))
		if err != nil {
			t.Fatalf("run `make deps`: %v", err)
		}
		got, err := os.ReadFile(filepath.Join(to, ours))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s/%s differs from the package's %s", to, ours, pkg)
		}
	}
}
