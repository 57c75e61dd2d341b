package rtmpin

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// cinema admits whoever asks for "film".
type cinema struct {
	mu    sync.Mutex
	seats []*seat
}

type seat struct {
	conn net.Conn
	done func(*Reject)
	left chan struct{}
}

func (c *cinema) Play(_ context.Context, req PlayRequest) (Viewer, error) {
	if req.Name != "film" {
		return nil, &Reject{Code: codePlayNotFound, Description: "no such film"}
	}
	s := &seat{left: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seats = append(c.seats, s)
	return s, nil
}

func (s *seat) Start(conn net.Conn, done func(*Reject)) {
	s.conn, s.done = conn, done
	go func() {
		_, _ = conn.Write([]byte("the film"))
		<-s.left
		done(nil)
	}()
}

func (s *seat) Leave()  { close(s.left) }
func (s *seat) Cancel() { close(s.left) }

func playing(app, name string) []byte {
	return cat(msg(3, typeCommandAMF0, connectCommand(app)), msg(8, typeCommandAMF0, call("play", name)))
}

func TestAViewerIsAnsweredAndGetsTheConnection(t *testing.T) {
	h := open(t, Options{Player: &cinema{}, MaxConns: 2, MaxEarlyPerAddress: 2})
	for range 5 { // viewers are no part of these limits
		c := h.dial(true)
		if err := put(c, playing("play", "film")); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(patience))
		var got []byte
		for b := make([]byte, 4096); !bytes.HasSuffix(got, []byte("the film")); {
			n, err := c.Read(b)
			if err != nil {
				t.Fatalf("%v after %q", err, got)
			}
			got = append(got, b[:n]...)
		}
		for _, want := range []string{"NetStream.Play.Start", "|RtmpSampleAccess", "\x00\x00\x04\x01\x00\x00\x00\x00\x00\x00\xea\x60"} {
			if !bytes.Contains(got, []byte(want)) {
				t.Errorf("no %q in %q", want, got)
			}
		}
	}
}

func TestAViewerIsNotCutByTheDeadlineOfItsAnswer(t *testing.T) {
	room, timeout := &cinema{}, 50*time.Millisecond
	h := open(t, Options{Player: room, WriteTimeout: timeout})
	c := h.dial(true)
	if err := put(c, playing("play", "film")); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for got, b := []byte(nil), make([]byte, 4096); !bytes.HasSuffix(got, []byte("the film")); {
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b[:n]...)
	}
	time.Sleep(2 * timeout) // the deadline is what is tested
	if _, err := room.seats[0].conn.Write([]byte("the next reel")); err != nil {
		t.Error(err)
	}
}

func TestWhatAViewerMayNotSayEndsIt(t *testing.T) {
	for what, c := range map[string]struct {
		says   []byte
		reason string
	}{
		"play twice":       {msg(8, typeCommandAMF0, call("play", "film")), "second connect, publish or play"},
		"play and publish": {msg(8, typeCommandAMF0, call("publish", "good")), "second connect, publish or play"},
		"audio":            {msg(4, 8, []byte{0xaf, 1}), "message type 8 before publish"},
		"a flood":          {bytes.Repeat(msg(2, typeAck, []byte{0, 0, 0, 1}), 3000), "too many messages"},
		"a long name":      {msg(8, typeCommandAMF0, bytes.Repeat([]byte("x"), 64<<10)), "allowed are"},
		"deleteStream":     {msg(8, typeCommandAMF0, call("deleteStream", "x")), "left"},
	} {
		t.Run(what, func(t *testing.T) {
			room := &cinema{}
			h := open(t, Options{Player: room})
			conn := h.dial(true)
			_ = put(conn, playing("play", "film"), c.says) // it may be closed in the middle
			h.logged(c.reason)
			<-room.seats[0].left
		})
	}
}

func TestOnlyFilmsAreShownAndOnlyInTheCinema(t *testing.T) {
	h := open(t, Options{Player: &cinema{}})
	for _, c := range [][2]string{{"play", "nothing"}, {"live", "film"}, {"play", "good-key"}} {
		conn := h.dial(true)
		if err := put(conn, playing(c[0], c[1])); err != nil {
			t.Fatal(err)
		}
		if got := h.shut(conn); !bytes.Contains(got, []byte(codePlayNotFound)) {
			t.Errorf("%v: %q", c, got)
		}
	}
}
