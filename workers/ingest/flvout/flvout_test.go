package flvout_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast/workers/ingest/flvout"
	"github.com/roomcast/roomcast/workers/ingest/hub"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type nowhere struct{}

func (nowhere) Find(context.Context, string) (hub.Place, error) { return hub.Place{}, hub.ErrNotFound }

// serve starts a server with the stream "p".
func serve(t *testing.T, viewers int) (*httptest.Server, *hub.Hub) {
	t.Helper()
	h := hub.New(hub.Options{
		Worker: "w", Directory: nowhere{}, Now: time.Now, Log: slog.New(slog.DiscardHandler), MaxViewers: viewers,
		Sleep: func(ctx context.Context, d time.Duration) error {
			t := time.NewTimer(d)
			defer t.Stop()
			select {
			case <-t.C:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	})
	f := h.Publish("p", nil)
	f.Message(rtmpin.Message{Type: rtmpin.TypeVideo, Payload: []byte{0x17, 0, 0, 0, 0, 1}})
	f.Message(rtmpin.Message{Type: rtmpin.TypeVideo, Payload: []byte{0x17, 1, 0, 0, 0, 9, 9}})
	s := httptest.NewServer(flvout.New(flvout.Options{Hub: h, Now: time.Now, Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(func() { h.Close(); s.Close() })
	return s, h
}

// ask sends a raw request and answers what comes up to the first tag.
func ask(t *testing.T, s *httptest.Server, request string) (*http.Response, []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 30)
	n, _ := io.ReadFull(resp.Body, body)
	return resp, body[:n]
}

func TestAStreamIsServedByEveryVersionOfHTTP1(t *testing.T) {
	s, h := serve(t, 0)
	for version, chunked := range map[string]bool{"HTTP/1.1": true, "HTTP/1.0": false} {
		resp, body := ask(t, s, "GET /flv/p.flv "+version+"\r\nHost: x\r\n\r\n")
		if resp.StatusCode != 200 || !strings.HasPrefix(string(body), "FLV\x01\x01") || (len(resp.TransferEncoding) == 1) != chunked {
			t.Errorf("%s: %s %q %v", version, resp.Status, body, resp.TransferEncoding)
		}
		for name, want := range map[string]string{
			"Content-Type": "video/x-flv", "Cache-Control": "no-store", "Access-Control-Allow-Origin": "*",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s: %q, want %q", version, name, got, want)
			}
		}
	}
	if n := h.Viewers(); n != 2 {
		t.Errorf("%d viewers", n)
	}
}

func TestRequestsAreAnsweredRightWhateverTheyAsk(t *testing.T) {
	s, h := serve(t, 0)
	for request, want := range map[string]int{
		"HEAD /flv/p.flv":         200,
		"HEAD /flv/q.flv":         404,
		"OPTIONS /flv/p.flv":      204,
		"POST /flv/p.flv":         405,
		"DELETE /flv/p.flv":       405,
		"GET /flv/q.flv":          404,
		"GET /flv/":               404,
		"GET /flv/.flv":           404,
		"GET /flv/p":              404,
		"GET /flv/p.flv/":         404,
		"GET /flv/../p.flv":       404,
		"GET /flv/%2e%2e%2fp.flv": 404,
		"GET /flv/%00.flv":        404,
		"GET /flv//p.flv":         404,
		"GET /flv/p.flv.flv":      404,
		"GET /flv/" + strings.Repeat("a", 8000) + ".flv": 404,
		"GET /relay/p.flv": 403, // no secret is configured
	} {
		resp, _ := ask(t, s, request+" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
		if resp.StatusCode != want {
			t.Errorf("%.40s: %s, want %d", request, resp.Status, want)
		}
	}
	if n := h.Viewers(); n != 0 {
		t.Errorf("%d viewers are counted", n)
	}
}

func TestOneViewerTooManyIsToldToComeLater(t *testing.T) {
	s, _ := serve(t, 1)
	if resp, _ := ask(t, s, "GET /flv/p.flv HTTP/1.1\r\nHost: x\r\n\r\n"); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	resp, body := ask(t, s, "GET /flv/p.flv HTTP/1.1\r\nHost: x\r\n\r\n")
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !strings.HasPrefix(string(body), "too many viewers") {
		t.Errorf("%s %v %q", resp.Status, resp.Header, body)
	}
}
