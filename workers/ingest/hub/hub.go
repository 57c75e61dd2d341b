// Package hub hands the messages of publishers to RTMP and HTTP-FLV viewers of
// this worker (docs/adr/0011): packed once for all, written by few goroutines,
// without waiting for anybody.
package hub

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

// Why a viewer is not admitted, besides an outage of the Directory.
var (
	// ErrNotFound: nothing that RTMP or HTTP-FLV viewers may see has this id.
	ErrNotFound = errors.New("no such stream")
	// ErrFull: a limit of this worker or of the viewer's address is reached.
	ErrFull = errors.New("too many viewers")
)

// Place is where a play id's publisher is.
type Place struct {
	// Playable: the stream has RTMP and HTTP-FLV outputs.
	Playable bool
	// Epoch changes with every publisher.
	Epoch uint64
	// Worker holds the stream; "" = nobody publishes now. Address is where it
	// serves relays; "" = nowhere.
	Worker, Address string
}

// Directory knows the play ids of the installation. Safe for concurrent use.
type Directory interface {
	// Find answers ErrNotFound for an id that is not, or no longer, in use.
	Find(ctx context.Context, playID string) (Place, error)
}

// Options of a Hub. Worker, Directory, Now, Sleep and Log are required.
type Options struct {
	Worker    string
	Directory Directory
	Now       func() time.Time
	// Sleep waits, or answers ctx's error when that ends first.
	Sleep func(ctx context.Context, d time.Duration) error
	Log   *slog.Logger
	// Pull hands the messages of a stream at another worker to put, until ctx
	// or the stream ends, or put fails. nil = streams of this worker only.
	Pull func(ctx context.Context, address, playID string, put func(rtmpin.Message) error) error
	// Coalesce is how long messages are collected for one write; default 80 ms.
	Coalesce time.Duration
	// Grace is how long viewers are held without a publisher; default 30 s.
	Grace time.Duration
	// Linger is how long a stream is pulled after its last viewer; default 10 s.
	Linger time.Duration
	// MaxViewers bounds the viewers of this worker; default 20 000.
	MaxViewers int
	// MaxPerAddress bounds those of one address (IPv6: one /64); default 1 000.
	MaxPerAddress int
	// LoadBalancers are peers that speak for many: MaxPerAddress does not
	// apply to them.
	LoadBalancers []netip.Prefix
}

// Hub is one worker's streams. Safe for concurrent use.
type Hub struct {
	Options
	ctx    context.Context
	cancel context.CancelFunc
	loops  sync.WaitGroup
	finds  singleflight.Group

	mu        sync.Mutex
	closed    bool
	streams   map[string]*stream
	viewers   int
	sent      atomic.Uint64 // bytes to viewers and relays
	addresses map[netip.Addr]int
}

// New makes a Hub; Close ends it.
func New(o Options) *Hub {
	defaultTo(&o.Coalesce, 80*time.Millisecond)
	defaultTo(&o.Grace, 30*time.Second)
	defaultTo(&o.Linger, 10*time.Second)
	defaultTo(&o.MaxViewers, 20_000)
	defaultTo(&o.MaxPerAddress, 1_000)
	ctx, cancel := context.WithCancel(context.Background())
	return &Hub{Options: o, ctx: ctx, cancel: cancel, streams: map[string]*stream{}, addresses: map[netip.Addr]int{}}
}

func defaultTo[T int | time.Duration](v *T, fallback T) {
	if *v <= 0 {
		*v = fallback
	}
}

// Close closes all viewers with ErrShutdown and waits for all goroutines.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	h.loops.Wait()
}

// Feed is one upstream of a stream: a publisher or a pull. Message and End are
// for one goroutine at a time.
type Feed struct {
	s       *stream
	ready   func()
	relayed bool
	told    bool

	begun   bool   // guarded by s.mu, as is firstMS
	firstMS uint32 // of its first message, on the stream's time line
}

// Publish makes a publisher the upstream of playID; whoever was it before is
// not heard any more. ready, which may be nil, is called once, from Message,
// when those who join get a picture at once.
func (h *Hub) Publish(playID string, ready func()) *Feed {
	for {
		f := &Feed{s: h.stream(playID), ready: ready}
		if f.s.attach(f, h.Now()) {
			return f
		}
	}
}

// stream finds or makes the stream.
func (h *Hub) stream(id string) *stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.streams[id]
	if s == nil {
		now := h.Now()
		s = &stream{hub: h, id: id, headers: &headers{}, lastAt: now, lonely: now}
		h.streams[id] = s
	}
	return s
}

// attach: false where the stream is over, and forgotten, and where a pull
// meets a publisher.
func (s *stream) attach(f *Feed, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil || f.relayed && s.feed != nil {
		return false
	}
	s.seal(now)
	s.feed, s.lastAt = f, now
	s.headers, s.video = &headers{}, false
	s.line.upstream()
	s.forgetStarts()
	s.trim(now)
	return true
}

// Message sends one message to all viewers. The payload is shared: nobody may
// change it any more.
func (f *Feed) Message(m rtmpin.Message) {
	if f.s.message(f, m, f.s.hub.Now()) && !f.told {
		f.told = true
		if f.ready != nil {
			f.ready()
		}
	}
}

// End says that nothing follows. Viewers are held while the play id is in use,
// but not longer than the grace.
func (f *Feed) End() {
	s := f.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.feed != f {
		return
	}
	now := s.hub.Now()
	s.seal(now)
	s.feed, s.lastAt = nil, now
	s.forgetStarts()
	s.keep()
}

// forget takes the stream off the map; for ended ones.
func (h *Hub) forget(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[s.id] == s {
		delete(h.streams, s.id)
	}
}

// SentBytes is what viewers and relays have been sent since the start.
func (h *Hub) SentBytes() uint64 { return h.sent.Load() }

// Viewers is how many there are on this worker.
func (h *Hub) Viewers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.viewers
}

// address is what a peer counts as; invalid = it is not counted.
func (h *Hub) address(remote net.Addr) netip.Addr {
	parsed, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return netip.Addr{}
	}
	addr := parsed.Addr().Unmap().WithZone("")
	for _, p := range h.LoadBalancers {
		if p.Contains(addr) {
			return netip.Addr{}
		}
	}
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}
