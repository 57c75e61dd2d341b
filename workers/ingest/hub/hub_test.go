package hub_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast/workers/ingest/hub"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

func TestMain(m *testing.M) {
	if address := os.Getenv(drainEnv); address != "" {
		drain(address)
		return
	}
	goleak.VerifyTestMain(m)
}

// directory says where streams are; what is not in it is not known.
type directory struct {
	mu     sync.Mutex
	places map[string]hub.Place
	asked  int
	slow   chan struct{} // not nil: each answer waits for it
}

func (d *directory) Find(_ context.Context, id string) (hub.Place, error) {
	if d.slow != nil {
		<-d.slow
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	p, ok := d.places[id]
	if !ok {
		return p, hub.ErrNotFound
	}
	return p, nil
}

func (d *directory) set(id string, p *hub.Place) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.places == nil {
		d.places = map[string]hub.Place{}
	}
	delete(d.places, id)
	if p != nil {
		d.places[id] = *p
	}
}

// speed is how much faster than the real one a test's clock runs.
type clock struct {
	from  time.Time
	speed time.Duration
}

func (c clock) now() time.Time { return c.from.Add(c.speed * time.Since(c.from)) }

func (c clock) sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d / c.speed)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func newHub(t *testing.T, speed time.Duration, change func(*hub.Options)) (*hub.Hub, *directory) {
	t.Helper()
	c, d := clock{time.Now(), speed}, &directory{}
	o := hub.Options{Worker: "w", Directory: d, Now: c.now, Sleep: c.sleep, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	h := hub.New(o)
	t.Cleanup(h.Close)
	return h, d
}

// watcher is a viewer on a real socket that reads tags.
type watcher struct {
	conn   net.Conn
	ticket *hub.Ticket
	closed chan error
	in     *bufio.Reader
}

// pair is a TCP connection's two ends.
func pair(t testing.TB) (server, client net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	done := make(chan struct{})
	go func() { defer close(done); server, _ = ln.Accept() }()
	client, err = net.Dial("tcp", ln.Addr().String())
	<-done
	if err != nil || server == nil {
		t.Fatal("no connection", err)
	}
	t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
	return server, client
}

func watch(t testing.TB, h *hub.Hub, id string, f hub.Format) *watcher {
	t.Helper()
	server, client := pair(t)
	ticket, err := h.Admit(t.Context(), id, client.LocalAddr())
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{conn: client, in: bufio.NewReaderSize(client, 32<<10), ticket: ticket, closed: make(chan error, 1)}
	sink, stop := hub.Connection(server, time.Now)
	ticket.Start(f, sink, func(why error) { stop(); w.closed <- why })
	return w
}

func (w *watcher) reason(t testing.TB, within time.Duration) error {
	t.Helper()
	select {
	case err := <-w.closed:
		return err
	case <-time.After(within):
		t.Fatal("the viewer was not closed")
		return nil
	}
}

type tag struct {
	typ     byte
	at      uint32
	payload []byte
}

func (t tag) String() string { return fmt.Sprintf("%d@%d %.8x", t.typ, t.at, t.payload) }

// flv reads the file header.
func (w *watcher) flv(t testing.TB) byte {
	t.Helper()
	var b [13]byte
	w.read(t, b[:])
	if string(b[:4]) != "FLV\x01" || binary.BigEndian.Uint32(b[5:]) != 9 {
		t.Fatalf("file header %x", b)
	}
	return b[4]
}

func (w *watcher) read(t testing.TB, b []byte) {
	t.Helper()
	_ = w.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(w.in, b); err != nil {
		t.Fatal(err)
	}
}

// next reads a tag and checks its frame.
func (w *watcher) next(t testing.TB) tag {
	t.Helper()
	var b [11]byte
	w.read(t, b[:])
	size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	body := make([]byte, size+4)
	w.read(t, body)
	if got := binary.BigEndian.Uint32(body[size:]); got != uint32(size+11) {
		t.Fatalf("previous tag size %d, want %d", got, size+11)
	}
	return tag{b[0], uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6]) | uint32(b[7])<<24, body[:size]}
}

// The messages of an encoder.
func video(at uint32, key bool, n int) rtmpin.Message {
	p := append([]byte{0x27, 1, 0, 0, 0}, make([]byte, 20)...)
	if key {
		p[0] = 0x17
	}
	binary.BigEndian.PutUint32(p[5:], uint32(n))
	return rtmpin.Message{Type: rtmpin.TypeVideo, TimestampMS: at, Payload: p}
}

// number is that of a video frame; -1 = it is none.
func number(t tag) int {
	if t.typ != 9 || t.payload[1] != 1 {
		return -1
	}
	return int(binary.BigEndian.Uint32(t.payload[5:]))
}

func audio(at uint32) rtmpin.Message {
	return rtmpin.Message{Type: rtmpin.TypeAudio, TimestampMS: at, Payload: []byte{0xaf, 1, 1, 2, 3, 4, 5, 6, 7, 8}}
}

func heads(version byte) []rtmpin.Message {
	return []rtmpin.Message{
		{Type: rtmpin.TypeData, Payload: []byte("\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData\x08" + string(version))},
		{Type: rtmpin.TypeVideo, Payload: []byte{0x17, 0, 0, 0, 0, version}},
		{Type: rtmpin.TypeAudio, Payload: []byte{0xaf, 0, version}},
	}
}

func send(f *hub.Feed, all ...rtmpin.Message) {
	for _, m := range all {
		f.Message(m)
	}
}

func TestAViewerBeginsAtTheNewestKeyFrameWithEverythingItNeeds(t *testing.T) {
	h, _ := newHub(t, 1, nil)
	f := h.Publish("p", nil)
	send(f, heads(1)...)
	for n := range 25 {
		send(f, video(uint32(n*40), n%10 == 0, n), audio(uint32(n*40+5)))
	}
	w := watch(t, h, "p", hub.FLV)
	if flags := w.flv(t); flags != 5 {
		t.Errorf("flags %d", flags)
	}
	meta, vh, ah, first := w.next(t), w.next(t), w.next(t), w.next(t)
	if !bytes.HasPrefix(meta.payload, []byte("\x02\x00\x0aonMetaData")) || vh.payload[1] != 0 || ah.payload[1] != 0 {
		t.Errorf("ahead of the first frame: %v %v %v", meta, vh, ah)
	}
	if first.payload[0] != 0x17 || number(first) != 20 {
		t.Errorf("the first frame is %v number %d, want the key frame 20", first, number(first))
	}
	for want := 21; want < 25; {
		if g := w.next(t); g.typ == 9 {
			if number(g) != want {
				t.Fatalf("frame %d, want %d", number(g), want)
			}
			want++
		}
	}
	send(f, video(1000, false, 25))
	for g := w.next(t); ; g = w.next(t) {
		if g.typ == 9 {
			if number(g) != 25 || g.at != 1000 {
				t.Errorf("live: %v", g)
			}
			break
		}
	}
}

func TestAnUnknownIDIsRefusedAndALimitSaysSo(t *testing.T) {
	h, d := newHub(t, 1, func(o *hub.Options) { o.MaxPerAddress = 2 })
	here := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5}
	if _, err := h.Admit(t.Context(), "nothing", here); !errors.Is(err, hub.ErrNotFound) {
		t.Errorf("unknown: %v", err)
	}
	d.set("cmaf", &hub.Place{Worker: "w"})
	if _, err := h.Admit(t.Context(), "cmaf", here); !errors.Is(err, hub.ErrNotFound) {
		t.Errorf("a stream without these outputs: %v", err)
	}
	h.Publish("p", nil)
	var last *hub.Ticket
	for range 2 {
		var err error
		if last, err = h.Admit(t.Context(), "p", here); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Admit(t.Context(), "p", here); !errors.Is(err, hub.ErrFull) {
		t.Errorf("one too many: %v", err)
	}
	if _, err := h.Admit(t.Context(), "p", &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2)}); err != nil {
		t.Errorf("another address: %v", err)
	}
	last.Cancel()
	last.Cancel()
	if _, err := h.Admit(t.Context(), "p", here); err != nil {
		t.Errorf("after one has left: %v", err)
	}
}

func TestViewersWhoComeAllAtOnceAreLookedUpOnce(t *testing.T) {
	h, d := newHub(t, 1, nil)
	d.slow = make(chan struct{})
	d.set("p", &hub.Place{Playable: true, Worker: "elsewhere"})
	var wg sync.WaitGroup
	come := func(ctx context.Context, want error) {
		wg.Go(func() {
			ticket, err := h.Admit(ctx, "p", &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)})
			if !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
			if ticket != nil {
				ticket.Cancel()
			}
		})
	}
	for range 100 {
		come(t.Context(), nil)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	come(gone, context.Canceled) // who leaves waits no longer
	for range 100 {
		runtime.Gosched()
	}
	time.Sleep(50 * time.Millisecond) // all of them wait
	close(d.slow)
	wg.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.asked > 10 { // one, and those of the keeper
		t.Errorf("looked up %d times", d.asked)
	}
}

func TestViewersLiveThroughAnInterruption(t *testing.T) {
	h, d := newHub(t, 1, nil)
	d.set("p", &hub.Place{Playable: true})
	f := h.Publish("p", nil)
	send(f, heads(1)...)
	send(f, video(5000, true, 0), audio(5000), video(5040, false, 1))
	w := watch(t, h, "p", hub.FLV)
	w.flv(t)
	var last tag
	for last = w.next(t); number(last) != 1; last = w.next(t) {
	}
	f.End()
	send(f, video(5080, false, 99)) // a session that does not know it yet
	late := watch(t, h, "p", hub.FLV)
	time.Sleep(700 * time.Millisecond) // the gap is what is tested

	f = h.Publish("p", nil)
	send(f, video(4577, false, 50)) // before its key frame; another time base, not far away
	send(f, heads(2)...)
	send(f, video(4600, true, 2), video(4640, false, 3))
	headers := 0
	for g := w.next(t); ; g = w.next(t) {
		if g.at < last.at || number(g) >= 0 && g.at < last.at+600 || g.at > last.at+3000 {
			t.Errorf("%v is %d ms behind %v, the gap was 700", g, int(g.at)-int(last.at), last)
		}
		if g.typ == 9 && g.payload[1] == 0 {
			headers++
		} else if g.typ == 9 && number(g) == 3 {
			break
		}
	}
	if headers != 1 {
		t.Errorf("%d video headers", headers)
	}
	late.flv(t)
	for g := late.next(t); ; g = late.next(t) {
		if g.typ == 9 && g.payload[1] == 1 {
			if number(g) != 2 {
				t.Errorf("who came during the gap begins with %d", number(g))
			}
			break
		}
	}
}

// What ends a silence does not wait for more to join it.
func TestTheFirstPictureAfterASilenceGoesOutAtTheNextLook(t *testing.T) {
	const look = 200 * time.Millisecond
	h, _ := newHub(t, 1, func(o *hub.Options) { o.Coalesce = look })
	f := h.Publish("p", nil)
	send(f, heads(1)...)
	send(f, video(0, true, 0))
	w := watch(t, h, "p", hub.FLV)
	w.flv(t)
	arrived := func(n int) {
		for g := w.next(t); number(g) != n; g = w.next(t) {
		}
	}
	arrived(0)
	for n := 1; n <= 8; n++ { // at any moment between two looks
		time.Sleep(2*look + time.Duration(n)*look/8)
		begun := time.Now()
		send(f, video(uint32(n*500), true, n))
		arrived(n)
		if took := time.Since(begun); took > look+look/4 {
			t.Errorf("picture %d took %s, there is a look each %s", n, took, look)
		}
	}
}

func TestViewersAreClosedWhenThePlayIDIsAndHeldNoLongerThanTheGrace(t *testing.T) {
	h, d := newHub(t, 10, nil)
	d.set("ends", &hub.Place{Playable: true})
	d.set("stays", &hub.Place{Playable: true})
	ends, stays := h.Publish("ends", nil), h.Publish("stays", nil)
	a, b := watch(t, h, "ends", hub.FLV), watch(t, h, "stays", hub.RTMP)
	begin := time.Now()
	stays.End()
	d.set("ends", nil)
	ends.End()
	if err := a.reason(t, time.Second); !errors.Is(err, hub.ErrEnded) {
		t.Errorf("closed: %v", err)
	}
	if err := b.reason(t, 10*time.Second); !errors.Is(err, hub.ErrGone) {
		t.Errorf("never came back: %v", err)
	}
	if held := 10 * time.Since(begin); held < 29*time.Second || held > 45*time.Second {
		t.Errorf("held for %v", held)
	}
}

func TestReadyComesOnceWithThePictureOrWithSoundAlone(t *testing.T) {
	h, _ := newHub(t, 1, nil)
	n := 0
	f := h.Publish("video", func() { n++ })
	send(f, heads(1)...)
	send(f, audio(0), audio(5000), video(5000, false, 1))
	if n != 0 {
		t.Fatal("ready without a key frame")
	}
	send(f, video(5040, true, 2), video(5080, true, 3))
	if n != 1 {
		t.Errorf("ready %d times", n)
	}
	n = 0
	f = h.Publish("audio", func() { n++ })
	send(f, heads(1)[2])
	for at := range uint32(100) {
		send(f, audio(at*30))
		if want := at*30 >= 2000; (n == 1) != want {
			t.Fatalf("ready %d times at %d ms", n, at*30)
		}
	}
	w := watch(t, h, "audio", hub.FLV)
	if flags := w.flv(t); flags != 4 {
		t.Errorf("flags %d, want audio", flags)
	}
	if g := w.next(t); g.payload[1] != 0 {
		t.Errorf("first %v, want the header", g)
	}
	w.next(t)
	n = 0
	f = h.Publish("nothing", func() { n++ })
	for range 100 {
		send(f, heads(1)[0], rtmpin.Message{Type: rtmpin.TypeVideo}, rtmpin.Message{Type: rtmpin.TypeAudio, Payload: []byte{0xaf}})
	}
	if n != 0 {
		t.Error("ready with nothing but metadata")
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
