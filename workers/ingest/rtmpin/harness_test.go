package rtmpin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast/internal/rtmpout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 5 * time.Second

// house is a running server with its handler; keys that begin with "good" are admitted.
type house struct {
	t      *testing.T
	addr   string
	server *Server
	log    *lockedBuffer
	served chan error

	mu      sync.Mutex
	ask     func(context.Context, PublishRequest, Conn) error // before the key is looked at
	message func(key string, m Message) error                 // before the message is recorded
	asked   []PublishRequest
	guests  map[string]*guest
	changed chan struct{} // closed and replaced at every change
}

// guest is an admitted publisher.
type guest struct {
	house    *house
	key      string
	conn     Conn
	messages []Message
	ended    bool
	cause    EndCause
	err      error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// open starts a house that is closed, and checked for leaks, when the test ends.
func open(t *testing.T, opts Options) *house {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return openOn(t, opts, ln)
}

func openOn(t *testing.T, opts Options, ln net.Listener) *house {
	t.Helper()
	h := &house{
		t: t, addr: ln.Addr().String(), log: &lockedBuffer{},
		served: make(chan error, 1), guests: map[string]*guest{}, changed: make(chan struct{}),
	}
	opts.Logger = slog.New(slog.NewTextHandler(h.log, nil))
	opts.Now = time.Now
	s, err := New(opts, h)
	if err != nil {
		t.Fatal(err)
	}
	h.server = s
	go func() { h.served <- s.Serve(context.Background(), ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-h.served; err != nil {
			t.Error(err)
		}
		if strings.Contains(h.log.String(), "good") {
			t.Errorf("a stream key is in the log:\n%s", h.log)
		}
	})
	return h
}

func (h *house) Publish(ctx context.Context, req PublishRequest, conn Conn) (Publisher, error) {
	h.mu.Lock()
	h.asked = append(h.asked, req)
	ask := h.ask
	h.poke()
	h.mu.Unlock()
	if ask != nil {
		if err := ask(ctx, req, conn); err != nil {
			return nil, err
		}
	}
	if !strings.HasPrefix(req.StreamKey, "good") {
		return nil, &Reject{Code: codeBadName, Description: "no such stream key"}
	}
	g := &guest{house: h, key: req.StreamKey, conn: conn}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.guests[req.StreamKey] = g
	h.poke()
	return g, nil
}

func (g *guest) Message(m Message) error {
	g.house.mu.Lock()
	hook := g.house.message
	g.house.mu.Unlock()
	if hook != nil {
		if err := hook(g.key, m); err != nil {
			return err
		}
	}
	g.house.mu.Lock()
	defer g.house.mu.Unlock()
	g.messages = append(g.messages, m)
	g.house.poke()
	return nil
}

func (g *guest) End(cause EndCause, err error) {
	g.house.mu.Lock()
	defer g.house.mu.Unlock()
	if g.ended {
		g.house.t.Error("End was called twice")
	}
	g.ended, g.cause, g.err = true, cause, err
	g.house.poke()
}

func (h *house) poke() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// until waits for a condition on the house, which it evaluates under its lock.
func (h *house) until(what string, ok func() bool) {
	h.t.Helper()
	deadline := time.After(patience)
	for {
		h.mu.Lock()
		good, changed := ok(), h.changed
		h.mu.Unlock()
		if good {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			h.t.Fatalf("waited in vain: %s\n%s", what, h.log)
		}
	}
}

// ends waits for a guest's end.
func (h *house) ends(key string) (EndCause, error) {
	h.t.Helper()
	h.until(key+" ends", func() bool { return h.guests[key] != nil && h.guests[key].ended })
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.guests[key].cause, h.guests[key].err
}

func (h *house) url(key string) string { return "rtmp://" + h.addr + "/live/" + key }

// publish connects a well-behaved publisher.
func (h *house) publish(key string) *rtmpout.Client {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	c, err := rtmpout.Dial(ctx, h.url(key), rtmpout.Options{Now: time.Now})
	if err != nil {
		h.t.Fatalf("%v\n%s", err, h.log)
	}
	h.t.Cleanup(c.Abort)
	return c
}

// neighbour publishes during whatever else the test does. When the test is
// over it must have arrived whole, in time, and still be on.
func (h *house) neighbour() {
	c := h.publish("good-neighbour")
	stop, done := make(chan struct{}), make(chan struct{})
	sent, slowest := 0, time.Duration(0)
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			began := time.Now()
			if err := c.Write(rtmpout.TypeVideo, uint32(sent), bytes.Repeat([]byte{byte(sent)}, 3000)); err != nil {
				h.t.Errorf("the neighbour noticed: %v", err)
				return
			}
			sent++
			h.until("the neighbour's message", func() bool { return len(h.guests["good-neighbour"].messages) >= sent })
			slowest = max(slowest, time.Since(began))
		}
	}()
	h.t.Cleanup(func() {
		close(stop)
		<-done
		if err := c.Close(); err != nil {
			h.t.Errorf("the neighbour noticed: %v", err)
		}
		cause, _ := h.ends("good-neighbour")
		if cause != EndUnpublish || slowest > 2*time.Second {
			h.t.Errorf("the neighbour ended as %v; its slowest message took %v", cause, slowest)
		}
		for i, m := range h.guests["good-neighbour"].messages {
			if m.TimestampMS != uint32(i) || !bytes.Equal(m.Payload, bytes.Repeat([]byte{byte(i)}, 3000)) {
				h.t.Fatalf("the neighbour's message %d is damaged", i)
			}
		}
	})
}

// dial opens a connection and, unless told otherwise, does the handshake.
func (h *house) dial(handshake bool) net.Conn {
	h.t.Helper()
	c, err := net.DialTimeout("tcp", h.addr, patience)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	if handshake {
		shake(h.t, c)
	}
	return c
}

func shake(t *testing.T, c net.Conn) {
	t.Helper()
	hello := make([]byte, 1537)
	hello[0] = 3
	if _, err := c.Write(hello); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 1537+1536)
	if _, err := io.ReadFull(c, answer); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(answer[1:1537]); err != nil {
		t.Fatal(err)
	}
}

// put sends what may find the door closed.
func put(c net.Conn, parts ...[]byte) error {
	for _, p := range parts {
		if _, err := c.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// shut waits until the server has closed the connection; it returns what came before.
func (h *house) shut(c net.Conn) []byte {
	h.t.Helper()
	got, err := io.ReadAll(c)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		h.t.Fatalf("the connection stays open\n%s", h.log)
	}
	_ = c.Close() // as a client does that was told
	return got
}

// logged waits for a log line.
func (h *house) logged(text string) {
	h.t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(h.log.String(), text); runtime.Gosched() {
		if time.Now().After(deadline) {
			h.t.Fatalf("no log line with %q:\n%s", text, h.log)
		}
		time.Sleep(time.Millisecond)
	}
}

// msg is a message in chunks of 128 bytes.
func msg(id int, typ uint8, body []byte) []byte { return appendMessage(id, 1, typ, body, 128) }

func connectCommand(app string) []byte {
	body := appendAMFString(nil, "connect")
	body = append(body, amfNumber, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, amfObject)
	body = appendAMFString(appendAMFText(body, "app"), app)
	return append(body, 0, 0, amfObjectEnd)
}

// call is a command with transaction id 2, a null and texts.
func call(name string, texts ...string) []byte {
	body := appendAMFString(nil, name)
	body = append(body, amfNumber, 0x40, 0, 0, 0, 0, 0, 0, 0, amfNull)
	for _, s := range texts {
		body = appendAMFString(body, s)
	}
	return body
}

// granted connects and publishes by hand, up to Publish.Start.
func (h *house) granted(key string) net.Conn {
	h.t.Helper()
	c := h.dial(true)
	if err := put(c, msg(3, typeCommandAMF0, connectCommand("live")),
		msg(3, typeCommandAMF0, call("createStream")), msg(3, typeCommandAMF0, call("publish", key, "live"))); err != nil {
		h.t.Fatal(err)
	}
	h.until("publish of "+key, func() bool { return h.guests[key] != nil })
	var got []byte
	for one := make([]byte, 1); !bytes.Contains(got, []byte("Start publishing\x00\x00\x09")); {
		if _, err := c.Read(one); err != nil {
			h.t.Fatal(err)
		}
		got = append(got, one...)
	}
	return c
}

// heap returns a check that the test's peers did not leave or make the
// server keep more than limit bytes.
func heap(t *testing.T, limit uint64) (check func()) {
	t.Helper()
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	return func() {
		t.Helper()
		runtime.GC()
		runtime.ReadMemStats(&now)
		if now.HeapAlloc > before.HeapAlloc+limit {
			t.Errorf("heap grew from %d to %d bytes", before.HeapAlloc, now.HeapAlloc)
		}
	}
}
