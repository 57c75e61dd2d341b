package httpapi

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// listening is the real server on a socket.
func (w *world) listening(change func(*http.Server)) string {
	w.t.Helper()
	server := Server(w.handler)
	if change != nil {
		change(server)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = server.Serve(l); close(done) }() // it ends with Close
	w.t.Cleanup(func() { _ = server.Close(); <-done })
	return l.Addr().String()
}

// speak sends bytes and reads the answer's status; 0 = the connection was cut.
func (w *world) speak(address, request string) int {
	w.t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, _ = c.Write([]byte(request)) // the server may have cut it
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	_ = res.Body.Close() // nothing of it is read
	return res.StatusCode
}

func TestHeadersAreBoundedAndComeInTime(t *testing.T) {
	w := newWorld(t)
	head := func(extra string) string {
		return "GET /v2/apps/me HTTP/1.1\r\nHost: x\r\nAuthorization: " + w.acme.basic() + "\r\n" + extra + "\r\n"
	}
	address := w.listening(func(s *http.Server) { s.ReadHeaderTimeout = 200 * time.Millisecond })
	for extra, want := range map[string]int{
		"": 200,
		"X-Large: " + strings.Repeat("x", 30<<10) + "\r\n":    200,
		"X-Large: " + strings.Repeat("x", 64<<10) + "\r\n":    431,
		strings.Repeat("X-Many: x\r\n", 8000):                 431,
		"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n": 200, // RFC 9112, 6.3: the length is ignored
		"Content-Length: 3\r\nContent-Length: 4\r\n":          400,
		"Transfer-Encoding: gzip\r\n":                         501,
		"X Space: x\r\n":                                      400,
	} {
		if extra != "" && strings.Contains(extra, "chunked") {
			extra += "\r\n0\r\n"
		}
		if got := w.speak(address, head(extra)); got != want {
			t.Errorf("%.40q: %d, want %d", extra, got, want)
		}
	}
	if got := w.speak(address, "GET /v2/apps/me HTTP/1.1\r\nHost: x\r\n"); got != 0 && got != http.StatusRequestTimeout {
		t.Errorf("a header that does not end is answered %d", got)
	}
	if s := Server(nil); s.ReadHeaderTimeout != 5*time.Second || s.ReadTimeout != 15*time.Second || s.IdleTimeout != 75*time.Second || s.MaxHeaderBytes != 32<<10 {
		t.Errorf("limits: %v %v %v %d", s.ReadHeaderTimeout, s.ReadTimeout, s.IdleTimeout, s.MaxHeaderBytes)
	}
}

// What people write comes back as they wrote it: composed or not, beyond the
// BMP, right to left, with joiners, and what JSON has to escape.
func TestUnicodeIsKeptAsSent(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	for _, title := range []string{
		"아리의 방송", "한글" /* decomposed */, "é e\u0301", "👩‍👩‍👧‍👦 🇰🇷", "𝄞 \u200f שלום", "\u0000\u001f\u2028\"\\/<>&", strings.Repeat("가", 200),
	} {
		body := fmt.Sprintf(`{"type":"BROADCAST_RTMP","appUserId":"kim","scheduledAt":"2026-03-01T00:00:00Z","title":%s}`, quoted(title))
		id := w.want(w.send("POST", "/v2/apps/me/video-rooms", w.acme.basic(), body), 201, "").text("id")
		if got := w.ok(w.send("GET", "/v2/apps/me/video-rooms/"+id, w.acme.basic(), "")).text("title"); got != title {
			t.Errorf("sent %q, got %q", title, got)
		}
	}
}

// A time has a zone and comes back in UTC with milliseconds.
func TestTimesAreTakenWithAZoneAndGivenInUTC(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	for sent, want := range map[string]string{
		"2026-03-01T21:00:00+09:00": "2026-03-01T12:00:00.000Z", "2026-03-01T12:00:00Z": "2026-03-01T12:00:00.000Z",
		"2026-03-01T12:00:00.123456789-00:30": "2026-03-01T12:30:00.123Z", "2024-02-29T23:59:59.5Z": "2024-02-29T23:59:59.500Z",
		"1000-01-01T00:00:00Z": "1000-01-01T00:00:00.000Z", "9999-12-31T23:59:59Z": "9999-12-31T23:59:59.000Z",
		"0001-01-01T00:00:00Z": "", "0999-12-31T23:59:59Z": "", "9999-12-31T23:59:59-01:00": "",
		"2026-03-01T12:00:00": "", "2026-03-01 12:00:00Z": "", "2026-02-29T00:00:00Z": "", "1772366400": "", "2026-03-01T24:00:00Z": "", "2026-03-01T12:00:00 09:00": "",
	} {
		body := fmt.Sprintf(`{"type":"BROADCAST_RTMP","appUserId":"kim","scheduledAt":%q}`, sent)
		a := w.send("POST", "/v2/apps/me/video-rooms", w.acme.basic(), body)
		if want == "" {
			w.want(a, 422, "INVALID_FIELD")
		} else if got := w.want(a, 201, "").text("scheduledAt"); got != want {
			t.Errorf("%s became %s, want %s", sent, got, want)
		}
	}
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
