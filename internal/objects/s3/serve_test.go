package s3_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/roomcast/roomcast/internal/awsretry/awsfault"
	"github.com/roomcast/roomcast/internal/control"
)

func TestObjectsAreServedWithTheHeadersThatTheyWerePutWith(t *testing.T) {
	b := open(t, deployed(t))
	const body = "0123456789"
	etag, err := put(b, "live/p/v.m3u8", []byte(body), control.PutOptions{ContentType: "application/vnd.apple.mpegurl", CacheControl: "max-age=0, s-maxage=1"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(b.Handler())
	t.Cleanup(server.Close)
	for name, c := range map[string]struct {
		method, path string
		header       [2]string
		status       int
		body         string
	}{
		"whole":         {"GET", "/live/p/v.m3u8", [2]string{}, 200, body},
		"head":          {"HEAD", "/live/p/v.m3u8", [2]string{}, 200, ""},
		"range":         {"GET", "/live/p/v.m3u8", [2]string{"Range", "bytes=2-4"}, 206, "234"},
		"suffix":        {"GET", "/live/p/v.m3u8", [2]string{"Range", "bytes=-3"}, 206, "789"},
		"beyond":        {"GET", "/live/p/v.m3u8", [2]string{"Range", "bytes=50-"}, 416, ""},
		"other unit":    {"GET", "/live/p/v.m3u8", [2]string{"Range", "lines=1-2"}, 200, body},
		"not modified":  {"GET", "/live/p/v.m3u8", [2]string{"If-None-Match", etag}, 304, ""},
		"missing":       {"GET", "/live/p/none.m4s", [2]string{}, 404, ""},
		"no key":        {"GET", "/live//p/../../x", [2]string{}, 404, ""},
		"no listing":    {"GET", "/live/", [2]string{}, 404, ""},
		"preflight":     {"OPTIONS", "/live/p/v.m3u8", [2]string{}, 204, ""},
		"nothing comes": {"PUT", "/live/p/v.m3u8", [2]string{}, 405, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.header[0] != "" {
				r.Header.Set(c.header[0], c.header[1])
			}
			answer, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if err != nil || answer.StatusCode != c.status || answer.StatusCode < 300 && string(got) != c.body {
				t.Fatalf("%d %q, %v; want %d %q", answer.StatusCode, got, err, c.status, c.body)
			}
			if answer.Header.Get("Access-Control-Allow-Origin") != "*" {
				t.Error("not for every origin")
			}
			if answer.StatusCode == 200 && (answer.Header.Get("Content-Type") != "application/vnd.apple.mpegurl" ||
				answer.Header.Get("Cache-Control") != "max-age=0, s-maxage=1" || answer.Header.Get("ETag") != etag || answer.ContentLength != 10) {
				t.Errorf("headers %v", answer.Header)
			}
		})
	}
}

func TestAFileGoesThereAndBack(t *testing.T) {
	opt := deployed(t)
	b := open(t, opt)
	name := filepath.Join(t.TempDir(), "file")
	content := bytes.Repeat([]byte("0123456789"), 100_000)
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	faulty := opt
	faulty.AWS = awsfault.Inject(opt.AWS, "PutObject", 1, awsfault.Lost)
	if _, err := open(t, faulty).PutFrom(t.Context(), "posts/p/original.mp4", f, control.PutOptions{ContentType: "video/mp4"}); err != nil {
		t.Fatal(err)
	}
	faulty.AWS = awsfault.Inject(opt.AWS, "GetObject", 3, awsfault.Torn)
	var back bytes.Buffer
	if err := open(t, faulty).GetTo(t.Context(), "posts/p/original.mp4", &back); err != nil || !bytes.Equal(back.Bytes(), content) {
		t.Fatalf("%d bytes, %v", back.Len(), err)
	}
	// In parts, of which one is lost; and what cannot be finished is aborted.
	long := bytes.Repeat(content, 20)
	faulty.AWS = awsfault.Inject(opt.AWS, "UploadPart", 1, awsfault.Lost)
	if _, err := open(t, faulty).PutFrom(t.Context(), "posts/p/long.mp4", bytes.NewReader(long), control.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	back.Reset()
	if err := b.GetTo(t.Context(), "posts/p/long.mp4", &back); err != nil || !bytes.Equal(back.Bytes(), long) {
		t.Fatalf("%d bytes, %v", back.Len(), err)
	}
	faulty.AWS = awsfault.Inject(opt.AWS, "UploadPart", 1, answers(403, "AccessDenied"))
	aborted := 0
	faulty.AWS = awsfault.Watch(faulty.AWS, "AbortMultipartUpload", func(*smithyhttp.Request) { aborted++ })
	if _, err := open(t, faulty).PutFrom(t.Context(), "posts/p/never.mp4", bytes.NewReader(long), control.PutOptions{}); err == nil || aborted != 1 {
		t.Errorf("%v, aborted %d times", err, aborted)
	}
}
