package disk_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/roomcast/roomcast/internal/control"
)

type answer struct {
	status int
	header http.Header
	body   string
}

func ask(t *testing.T, server *httptest.Server, method, path string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if origin := resp.Header.Get("Access-Control-Allow-Origin"); origin != "*" {
		t.Errorf("%s %s: open to %q, want every origin", method, path, origin)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func (a answer) want(t *testing.T, what string, status int, body string, header ...string) {
	t.Helper()
	if a.status != status || a.body != body {
		t.Errorf("%s: %d %q, want %d %q", what, a.status, a.body, status, body)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if got := a.header.Get(header[i]); got != header[i+1] {
			t.Errorf("%s: %s is %q, want %q", what, header[i], got, header[i+1])
		}
	}
}

func TestServesWhatACDNWould(t *testing.T) {
	d := open(t, t.TempDir())
	server := httptest.NewServer(d.Handler())
	t.Cleanup(server.Close)
	etag, err := d.Put(t.Context(), "live/p/v.m3u8", [][]byte{[]byte("0123456789")}, control.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	get := ask(t, server, "GET", "/live/p/v.m3u8")
	get.want(t, "GET", 200, "0123456789", "Content-Type", "application/vnd.apple.mpegurl",
		"Cache-Control", "max-age=0, s-maxage=1", "ETag", etag, "Accept-Ranges", "bytes", "Content-Length", "10")
	modified := get.header.Get("Last-Modified")
	if _, err := http.ParseTime(modified); err != nil {
		t.Errorf("Last-Modified: %v", err)
	}
	ask(t, server, "HEAD", "/live/p/v.m3u8").want(t, "HEAD", 200, "", "Content-Length", "10", "ETag", etag)
	ask(t, server, "GET", "/live/p/v.m3u8?x=1", "Range", "bytes=2-4").want(t, "range", 206, "234",
		"Content-Range", "bytes 2-4/10", "ETag", etag)
	ask(t, server, "GET", "/live/p/v.m3u8", "Range", "bytes=-3").want(t, "suffix", 206, "789")
	if a := ask(t, server, "GET", "/live/p/v.m3u8", "Range", "bytes=99-"); a.status != 416 {
		t.Errorf("a range outside: %d", a.status)
	}
	ask(t, server, "GET", "/live/p/v.m3u8", "If-None-Match", etag).want(t, "known", 304, "", "ETag", etag,
		"Cache-Control", "max-age=0, s-maxage=1")
	ask(t, server, "GET", "/live/p/v.m3u8", "If-None-Match", `"other"`).want(t, "another", 200, "0123456789")
	ask(t, server, "GET", "/live/p/v.m3u8", "If-Modified-Since", modified).want(t, "not modified", 304, "")
	ask(t, server, "OPTIONS", "/live/p/v.m3u8", "Access-Control-Request-Headers", "range").want(t, "preflight", 204, "",
		"Access-Control-Allow-Methods", "GET, HEAD, OPTIONS", "Access-Control-Allow-Headers", "*")
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
		if a := ask(t, server, method, "/live/p/v.m3u8"); a.status != 405 || a.header.Get("Allow") != "GET, HEAD, OPTIONS" {
			t.Errorf("%s: %d, Allow %q", method, a.status, a.header.Get("Allow"))
		}
	}
	put(t, d, "posts/1/x", "odd", control.PutOptions{ContentType: "text/odd", CacheControl: "private"})
	ask(t, server, "GET", "/posts/1/x").want(t, "odd headers", 200, "odd", "Content-Type", "text/odd", "Cache-Control", "private")
}

func TestServesNothingButObjects(t *testing.T) {
	d := open(t, t.TempDir())
	server := httptest.NewServer(d.Handler())
	t.Cleanup(server.Close)
	put(t, d, "live/p/1.m4s", "x", control.PutOptions{ContentType: "text/x"})
	for _, path := range []string{
		"/", "/live", "/live/", "/live/p", "/live/p/", "/live/p/2.m4s", "/.tmp", "/.tmp/", "/.meta/live/p/1.m4s", "/live/p/1.m4s/",
		"//live/p/1.m4s", "/live/%2e%2e/live/p/1.m4s", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd", "/live/p/1.m4s%00", "/live%5cp%5c1.m4s", "/%ff",
	} {
		ask(t, server, "GET", path).want(t, path, 404, "not found\n", "Cache-Control", "max-age=0, s-maxage=1")
	}
}

func TestReadableTheMomentPutReturned(t *testing.T) {
	d := open(t, t.TempDir())
	server := httptest.NewServer(d.Handler())
	t.Cleanup(server.Close)
	for n := range 50 {
		path, body := fmt.Sprintf("live/p/s1-0/v/%d.m4s", n), fmt.Sprint("segment ", n)
		ask(t, server, "GET", "/"+path).want(t, path, 404, "not found\n")
		put(t, d, path, body, control.PutOptions{})
		ask(t, server, "GET", "/"+path).want(t, path, 200, body, "Content-Type", "video/mp4",
			"Cache-Control", "public, max-age=31536000, immutable")
		put(t, d, "live/p/v.m3u8", body, control.PutOptions{})
		ask(t, server, "GET", "/live/p/v.m3u8").want(t, "playlist", 200, body)
	}
}
