package rtmpout

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

func dial(t *testing.T, url string) (*Client, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := Dial(ctx, url, Options{Now: time.Now})
	if err == nil {
		t.Cleanup(c.Abort)
	}
	return c, err
}

func TestCleanPublish(t *testing.T) {
	got := make(chan []heard, 1)
	url := serve(t, func(s *script) {
		s.grant()
		s.send(2, typeUserControl, []byte{0, 6, 1, 2, 3, 4})
		s.until("deleteStream")
		got <- s.saw
	})
	c, err := dial(t, url+"?mode=CMAF")
	if err != nil {
		t.Fatal(err)
	}
	big := bytes.Repeat([]byte("0123456789"), 5000)
	for _, ts := range []uint32{0xffffff, 0, 40, 0xfffffe, 0x1000005, 20} {
		if err := c.Write(TypeVideo, ts, big); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Write(TypeVideo, 0, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
	var names []string
	media := 0
	for _, h := range <-got {
		switch {
		case h.command != "":
			names = append(names, h.command)
			if h.command == "publish" && !bytes.Contains(h.body, []byte("key?mode=CMAF")) {
				t.Errorf("publish %q", h.body)
			}
		case h.typ == TypeVideo:
			media++
			if !bytes.Equal(h.body, big) {
				t.Error("a message is damaged")
			}
		}
	}
	if want := "connect releaseStream FCPublish createStream publish FCUnpublish deleteStream"; strings.Join(names, " ") != want || media != 6 {
		t.Errorf("the server heard %v and %d messages", names, media)
	}
}

func TestRefusalsHaveCodeAndDescription(t *testing.T) {
	for name, act := range map[string]func(*script){
		"connect": func(s *script) {
			s.shake()
			s.until("connect")
			s.call("_error", 1.0, null{}, []pair{{"level", "error"}, {"code", "X.Y"}, {"description", "not here"}})
			s.drain()
		},
		"publish": func(s *script) {
			s.shake()
			s.until("connect")
			s.call("_result", 1.0, null{}, null{})
			s.until("createStream")
			s.call("_result", 4.0, null{}, 1.0)
			s.until("publish")
			s.status("error", "X.Y", "not here")
			s.drain()
		},
	} {
		_, err := dial(t, serve(t, act))
		var status *StatusError
		if !errors.As(err, &status) || *status != (StatusError{"X.Y", "not here"}) || strings.Contains(err.Error(), "key") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKickSurfacesWithItsReason(t *testing.T) {
	url := serve(t, func(s *script) {
		s.grant()
		s.in.next() //nolint:errcheck // one message of whatever kind
		s.status("error", "NetStream.Publish.BadName", "key reissued")
		s.drain()
	})
	c, err := dial(t, url)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		err = c.Write(TypeAudio, 0, make([]byte, 1000))
	}
	var status *StatusError
	if !errors.As(err, &status) || status.Description != "key reissued" {
		t.Errorf("write: %v", err)
	}
	if err := c.Close(); !errors.As(err, &status) {
		t.Errorf("close: %v", err)
	}
}

func TestLossSurfaces(t *testing.T) {
	c, err := dial(t, serve(t, func(s *script) { s.grant() }))
	if err != nil {
		t.Fatal(err)
	}
	<-c.Done()
	if c.Err() == nil || c.Write(TypeAudio, 0, []byte{1}) == nil {
		t.Error("the loss went unnoticed")
	}
}

func TestDialIsBoundedByItsContext(t *testing.T) {
	url := serve(t, func(s *script) { s.drain() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, url, Options{Now: time.Now}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestServersThatAreNone(t *testing.T) {
	for _, words := range []string{"HTTP/1.1 400 Bad Request\r\n\r\n" + strings.Repeat("x", 4000), "", "\x03short"} {
		_, err := dial(t, serve(t, func(s *script) {
			_, _ = s.conn.Write([]byte(words)) // whatever comes of it
			s.conn.(*net.TCPConn).CloseWrite() //nolint:errcheck // as above
			s.drain()
		}))
		if err == nil {
			t.Errorf("%.10q passed for a server", words)
		}
	}
}

func TestURLs(t *testing.T) {
	for raw, want := range map[string]target{
		"rtmp://h/live/key":           {"h:1935", false, "live", "rtmp://h/live", "key"},
		"rtmp://h:1/live/a/key?x=1":   {"h:1", false, "live/a", "rtmp://h:1/live/a", "key?x=1"},
		"rtmps://h/live/key":          {"h:443", true, "live", "rtmps://h/live", "key"},
		"rtmp://[::1]:7/live/k?m=a/b": {"[::1]:7", false, "live", "rtmp://[::1]:7/live", "k?m=a/b"},
	} {
		if got, err := parseURL(raw); got != want || err != nil {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	}
	for _, raw := range []string{"", "http://h/live/SECRET", "rtmp:///live/SECRET", "rtmp://h/SECRET", "rtmp://h/live/", "rtmp://h:x/live/SECRET", "rtmp://%zz/SECRET"} {
		if _, err := parseURL(raw); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}
