package rtmpin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/q191201771/naza/pkg/nazalog"
)

// Options of a Server. Logger and Now are required; zero of the others means
// the default.
type Options struct {
	// Logger gets one line per connection, when it ends. No line holds a stream key.
	Logger *slog.Logger
	// Now is the clock: time.Now outside of tests.
	Now func() time.Time
	// EarlyTimeout is the time from accept to a complete publish command; default 10 s.
	EarlyTimeout time.Duration
	// PublishTimeout ends the context of Handler.Publish; default 8 s.
	PublishTimeout time.Duration
	// IdleTimeout ends a publisher that sends no complete audio or video
	// message for so long; default 10 s. Time in Publisher.Message does not count.
	IdleTimeout time.Duration
	// WriteTimeout bounds every single write; default 5 s.
	WriteTimeout time.Duration
	// Player admits viewers; nil = play is refused. Admitted ones count for its
	// own limits, not for MaxConns.
	Player Player
	// MaxConns bounds all connections but admitted viewers; default 1024.
	MaxConns int
	// MaxEarlyPerAddress bounds one address's connections that are not
	// admitted yet (IPv6: one /64 is one address); default 32. Admitted
	// publishers do not count, so a studio behind one address is not held up.
	MaxEarlyPerAddress int
	// LoadBalancers are peers that speak for many: MaxEarlyPerAddress does
	// not apply to them.
	LoadBalancers []netip.Prefix
}

// Server accepts RTMP publishers and viewers. Safe for concurrent use.
type Server struct {
	opts    Options
	handler Handler

	mu        sync.Mutex
	stopped   bool
	listeners map[net.Listener]struct{}
	guards    map[*guard]struct{}
	viewers   int // of the guards
	early     map[netip.Addr]int
	refused   int       // since the last log line about it
	refusedAt time.Time // of that line
	wg        sync.WaitGroup
}

// silenceLal keeps lal from logging stream keys. Its logger is one per process.
var silenceLal = sync.OnceValue(func() error {
	return nazalog.Init(func(option *nazalog.Option) { option.Level = nazalog.LevelLogNothing })
})

// New returns a server that asks handler about every publish.
func New(opts Options, handler Handler) (*Server, error) {
	if opts.Logger == nil || opts.Now == nil || handler == nil {
		return nil, errors.New("rtmpin: logger, clock and handler are required")
	}
	if err := silenceLal(); err != nil {
		return nil, fmt.Errorf("silence lal: %w", err)
	}
	defaultTo(&opts.EarlyTimeout, 10*time.Second)
	defaultTo(&opts.PublishTimeout, 8*time.Second)
	defaultTo(&opts.IdleTimeout, 10*time.Second)
	defaultTo(&opts.WriteTimeout, 5*time.Second)
	defaultTo(&opts.MaxConns, 1024)
	defaultTo(&opts.MaxEarlyPerAddress, 32)
	return &Server{
		opts: opts, handler: handler,
		listeners: make(map[net.Listener]struct{}),
		guards:    make(map[*guard]struct{}),
		early:     make(map[netip.Addr]int),
	}, nil
}

func defaultTo[T int | time.Duration](v *T, fallback T) {
	if *v <= 0 {
		*v = fallback
	}
}

// Serve accepts on ln, which it closes, until ctx ends or Shutdown is called,
// and returns nil when every goroutine of this server is done. When ctx ends,
// publishers are told and closed as by Shutdown. Errors of Accept, a lack of
// file descriptors too, are waited out. It fails only on a server that was
// shut down before.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	if !s.track(ln) {
		_ = ln.Close() // nothing was accepted
		return errors.New("rtmpin: server is shut down")
	}
	stop := context.AfterFunc(ctx, s.stop)
	defer stop()
	s.acceptLoop(ctx, ln)
	s.wg.Wait()
	return nil
}

// Shutdown stops accepting, tells every peer that the server goes down,
// closes the connections (publishers end with EndKicked) and waits for all
// goroutines. When ctx ends first it cuts the connections and returns ctx's
// error; a Publisher may then still be in End.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	for _, g := range s.snapshot() {
		_ = g.raw.Close() // cut
	}
	return fmt.Errorf("shut down rtmp server: %w", ctx.Err())
}

func (s *Server) stop() {
	s.mu.Lock()
	s.stopped = true
	for ln := range s.listeners {
		_ = ln.Close() // accept returns
	}
	s.mu.Unlock()
	for _, g := range s.snapshot() {
		g.Kick(codeShutdown, "the server is shutting down, please reconnect")
	}
}

func (s *Server) snapshot() []*guard {
	s.mu.Lock()
	defer s.mu.Unlock()
	guards := make([]*guard, 0, len(s.guards))
	for g := range s.guards {
		guards = append(guards, g)
	}
	return guards
}

func (s *Server) track(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) isStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// acceptLoop ends only with the server.
func (s *Server) acceptLoop(ctx context.Context, ln net.Listener) {
	const firstPause, lastPause = 5 * time.Millisecond, time.Second
	pause := time.Duration(0)
	for {
		conn, err := ln.Accept()
		if s.isStopped() {
			if err == nil {
				_ = conn.Close() // too late
			}
			return
		}
		if err == nil {
			pause = 0
			s.welcome(conn)
			continue
		}
		if pause == 0 {
			s.opts.Logger.Error("accept rtmp connection", "error", err.Error())
		}
		pause = min(max(2*pause, firstPause), lastPause)
		wait, cancel := context.WithTimeout(ctx, pause)
		<-wait.Done()
		cancel()
	}
}

// welcome starts a connection's goroutine, or closes it where a cap is reached.
func (s *Server) welcome(conn net.Conn) {
	g := newGuard(s, conn)
	reason := "too few file descriptors are left"
	if !takesReserve(conn) {
		reason = s.enter(g)
	}
	if reason != "" {
		_ = conn.Close() // refused before a byte was read
		s.logRefused(reason)
		return
	}
	go func() {
		defer s.wg.Done()
		defer s.leave(g)
		g.serve()
	}()
}

// logRefused writes at most one line a second: a flood must not become a flood of log.
func (s *Server) logRefused(reason string) {
	s.mu.Lock()
	s.refused++
	now, count := s.opts.Now(), s.refused
	due := now.Sub(s.refusedAt) >= time.Second
	if due {
		s.refused, s.refusedAt = 0, now
	}
	s.mu.Unlock()
	if due {
		s.opts.Logger.Warn("rtmp connections refused", "reason", reason, "count", count)
	}
}
