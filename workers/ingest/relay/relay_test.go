package relay_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast/workers/ingest/flvout"
	"github.com/roomcast/roomcast/workers/ingest/hub"
	"github.com/roomcast/roomcast/workers/ingest/relay"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "of the installation"

// leases stand for the store: one truth for all workers.
type leases struct {
	mu     sync.Mutex
	places map[string]hub.Place
}

func (l *leases) Find(_ context.Context, id string) (hub.Place, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p, ok := l.places[id]
	if !ok {
		return p, hub.ErrNotFound
	}
	return p, nil
}

func (l *leases) set(id string, p *hub.Place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.places, id)
	if p != nil {
		l.places[id] = *p
	}
}

// worker is one worker's hub behind its real HTTP server.
type worker struct {
	name    string
	hub     *hub.Hub
	server  *httptest.Server
	mu      sync.Mutex
	relayed int // requests of other workers
}

func newWorker(t *testing.T, name string, l *leases, linger time.Duration) *worker {
	t.Helper()
	transport := &http.Transport{}
	p := &relay.Puller{Client: &http.Client{Transport: transport}, Secret: secret, Path: flvout.RelayPath}
	w := &worker{name: name}
	w.hub = hub.New(hub.Options{
		Worker: name, Directory: l, Now: time.Now, Sleep: sleep, Log: slog.New(slog.DiscardHandler), Pull: p.Pull, Linger: linger,
	})
	flv := flvout.New(flvout.Options{Hub: w.hub, Now: time.Now, Log: slog.New(slog.DiscardHandler), Secret: secret})
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, flvout.RelayPath) {
			w.mu.Lock()
			w.relayed++
			w.mu.Unlock()
		}
		flv.ServeHTTP(rw, r)
	}))
	t.Cleanup(func() { w.die(); transport.CloseIdleConnections() })
	return w
}

// die cuts every connection, as the end of a process does.
func (w *worker) die() {
	w.hub.Close()
	w.server.CloseClientConnections()
	w.server.Close()
}

func (w *worker) place(epoch uint64) *hub.Place {
	return &hub.Place{Playable: true, Epoch: epoch, Worker: w.name, Address: w.server.Listener.Addr().String()}
}

func (w *worker) pulls() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.relayed
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// publish streams at 25 frames a second until stop is called.
func publish(w *worker, id string, from int) (stop func()) {
	f := w.hub.Publish(id, nil)
	f.Message(rtmpin.Message{Type: rtmpin.TypeVideo, Payload: []byte{0x17, 0, 0, 0, 0, 1, 2, 3}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer f.End()
		for n := 0; sleep(ctx, 40*time.Millisecond) == nil; n++ {
			p := []byte{0x27, 1, 0, 0, 0, 0, 0, 0, 0}
			if n%25 == 0 {
				p[0] = 0x17
			}
			binary.BigEndian.PutUint32(p[5:], uint32(from+n))
			f.Message(rtmpin.Message{Type: rtmpin.TypeVideo, TimestampMS: uint32(n * 40), Payload: p})
		}
	}()
	return func() { cancel(); <-done }
}

// watcher follows what one viewer sees, on one connection.
type watcher struct {
	mu    sync.Mutex
	frame int // the newest
	at    uint32
	fault string
	ended error
}

func watch(t *testing.T, w *worker, id string, wg *sync.WaitGroup) *watcher {
	t.Helper()
	p := &relay.Puller{Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, Path: "/flv/"}
	v := &watcher{frame: -1}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	wg.Go(func() {
		err := p.Pull(ctx, w.server.Listener.Addr().String(), id, func(m rtmpin.Message) error {
			v.mu.Lock()
			defer v.mu.Unlock()
			if m.TimestampMS < v.at {
				v.fault = "timestamps fall"
			}
			v.at = m.TimestampMS
			if m.Type == rtmpin.TypeVideo && m.Payload[1] == 1 {
				v.frame = int(binary.BigEndian.Uint32(m.Payload[5:]))
			}
			return nil
		})
		v.mu.Lock()
		defer v.mu.Unlock()
		v.ended = err
	})
	return v
}

func await(t *testing.T, within time.Duration, what string, all []*watcher, ok func(*watcher) bool) {
	t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		missing, sample := 0, watcher{}
		for _, v := range all {
			v.mu.Lock()
			if !ok(v) {
				missing++
				sample.frame, sample.fault, sample.ended = v.frame, v.fault, v.ended
			}
			v.mu.Unlock()
		}
		if missing == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not so for %d of %d viewers, such as frame %d %q ended %v", what, missing, len(all), sample.frame, sample.fault, sample.ended)
		}
	}
}

func TestViewersOfThreeWorkersFollowThePublisher(t *testing.T) {
	const viewers = 100
	l := &leases{places: map[string]hub.Place{}}
	a, b, c := newWorker(t, "a", l, time.Second), newWorker(t, "b", l, time.Second), newWorker(t, "c", l, time.Second)
	l.set("p", a.place(1))
	stop := publish(a, "p", 0)
	var wg sync.WaitGroup
	defer wg.Wait()
	var all []*watcher
	for range viewers {
		all = append(all, watch(t, b, "p", &wg), watch(t, c, "p", &wg))
	}
	await(t, 10*time.Second, "a picture through a relay", all, func(v *watcher) bool { return v.frame > 20 })
	if n := a.pulls(); n != 2 {
		t.Errorf("the origin was pulled from %d times, want once by each of the others", n)
	}

	a.die()
	stop()
	l.set("p", &hub.Place{Playable: true, Epoch: 1})
	time.Sleep(time.Second) // the interruption itself
	l.set("p", c.place(2))
	stop = publish(c, "p", 1_000_000)
	await(t, 5*time.Second, "a moving picture again", all, func(v *watcher) bool { return v.frame > 1_000_005 })
	await(t, 0, "one connection and rising time", all, func(v *watcher) bool { return v.ended == nil && v.fault == "" })
	if b.pulls() != 0 || c.pulls() != 1 {
		t.Errorf("pulls: b %d, c %d; want none and one", b.pulls(), c.pulls())
	}

	l.set("p", nil) // the show ends
	stop()
	await(t, 3*time.Second, "closed with the lease", all, func(v *watcher) bool { return v.ended != nil })
}

func TestAPullEndsAfterItsLastViewer(t *testing.T) {
	l := &leases{places: map[string]hub.Place{}}
	a, b := newWorker(t, "a", l, 500*time.Millisecond), newWorker(t, "b", l, 500*time.Millisecond)
	l.set("p", a.place(1))
	stop := publish(a, "p", 0)
	defer stop()
	server := &relay.Puller{Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, Path: "/flv/"}
	n := 0
	enough := errors.New("enough")
	err := server.Pull(t.Context(), b.server.Listener.Addr().String(), "p", func(rtmpin.Message) error {
		if n++; n > 10 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || a.hub.Viewers() != 1 {
		t.Fatalf("%v, %d viewers of the origin", err, a.hub.Viewers())
	}
	for deadline := time.Now().Add(5 * time.Second); a.hub.Viewers() != 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the origin is still pulled from")
		}
	}
}

func TestARelayIsServedToWorkersOfTheInstallationByTheOriginOnly(t *testing.T) {
	l := &leases{places: map[string]hub.Place{}}
	a, b := newWorker(t, "a", l, time.Second), newWorker(t, "b", l, time.Second)
	l.set("p", a.place(1))
	stop := publish(a, "p", 0)
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	v := watch(t, b, "p", &wg)
	await(t, 5*time.Second, "picture", []*watcher{v}, func(v *watcher) bool { return v.frame >= 0 })
	ask := func(w *worker, path, token string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	for _, c := range []struct {
		w           *worker
		path, token string
		want        int
	}{
		{a, "/relay/p.flv", secret, 200},
		{a, "/relay/p.flv", "wrong", 403},
		{a, "/relay/p.flv", "", 403},
		{a, "/relay/q.flv", secret, 404},
		{a, "/relay/../p.flv", secret, 404},
		{b, "/relay/p.flv", secret, 404}, // it has the stream, but is not the origin
	} {
		if got := ask(c.w, c.path, c.token); got != c.want {
			t.Errorf("%s %s: %d, want %d", c.w.name, c.path, got, c.want)
		}
	}
	l.set("p", nil)
	stop()
}

// wrong is what an origin may send that is no stream.
func wrong() map[string]string {
	return map[string]string{
		"nothing": "", "no FLV": "HTTP is what you want", "half a header": "FLV\x01\x05",
		"half a tag":  "FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00\x09\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00abc",
		"a huge tag":  "FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00\x09\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00abc",
		"a bad type":  "FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00\x2a\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00abcde",
		"a bad frame": "FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00\x09\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00a\x00\x00\x00\x00",
	}
}

func TestAnOriginThatSendsGarbageHurtsNobody(t *testing.T) {
	for name, body := range wrong() {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
			defer s.Close()
			p := &relay.Puller{Client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, Path: flvout.RelayPath}
			err := p.Pull(t.Context(), s.Listener.Addr().String(), "p", func(m rtmpin.Message) error {
				t.Errorf("it came through: %+v", m)
				return nil
			})
			if err == nil {
				t.Error("no error")
			}
		})
	}
}

// What is wrong with an origin lasts for a while, comes in the middle of a
// stream, too: the viewers of the relay are held, and see the picture when it
// is right again.
func TestViewersOfARelaySurviveAnOriginThatSendsGarbage(t *testing.T) {
	l := &leases{places: map[string]hub.Place{}}
	a, b := newWorker(t, "a", l, 5*time.Second), newWorker(t, "b", l, 5*time.Second)
	var mu sync.Mutex
	var next []string // what the origin sends instead; then it is itself
	for _, body := range wrong() {
		next = append(next, body)
	}
	sent := 0
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		body, left := "", len(next)
		if left > 0 {
			body, next = next[0], next[1:]
		}
		sent++
		first := sent == 1
		mu.Unlock()
		if left > 0 && !first {
			_, _ = io.WriteString(w, body)
			return
		}
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, a.server.URL+r.URL.Path, nil)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header = r.Header
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		w.WriteHeader(resp.StatusCode)
		stream := io.Reader(resp.Body)
		if first {
			stream = io.MultiReader(io.LimitReader(resp.Body, 400), strings.NewReader("\xff garbage \xff in the middle of a stream"))
		}
		b := make([]byte, 4096)
		for {
			n, err := stream.Read(b)
			if _, werr := w.Write(b[:n]); err != nil || werr != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	}))
	defer origin.Close()
	place := a.place(1)
	place.Address = origin.Listener.Addr().String()
	l.set("p", place)
	stop := publish(a, "p", 0)
	var wg sync.WaitGroup
	defer wg.Wait()
	var all []*watcher
	for range 10 {
		all = append(all, watch(t, b, "p", &wg))
	}
	await(t, 10*time.Second, "a picture, before the garbage", all, func(v *watcher) bool { return v.frame >= 0 })
	deadline := time.Now().Add(20 * time.Second)
	for left := 1; left > 0; time.Sleep(20 * time.Millisecond) {
		mu.Lock()
		left = len(next)
		mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatalf("%d answers of the origin were not fetched", left)
		}
	}
	seen := 0
	for _, v := range all {
		v.mu.Lock()
		seen = max(seen, v.frame)
		v.mu.Unlock()
	}
	await(t, 5*time.Second, "the picture moves on", all, func(v *watcher) bool { return v.frame > seen+25 })
	await(t, 0, "one connection and rising time", all, func(v *watcher) bool { return v.ended == nil && v.fault == "" })
	l.set("p", nil)
	stop()
	await(t, 3*time.Second, "closed with the lease", all, func(v *watcher) bool { return v.ended != nil })
}
