package rtmpin

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

var errNotRTMP = errors.New("not RTMP: the first byte is not version 3")

// guard is the net.Conn that lal reads and writes. What it hands out has been
// checked; every limit of this package is enforced here. Read never goes
// beyond the end of a message, so lal has dealt with one before it asks for
// more. Fields without a note belong to the connection's goroutine.
type guard struct {
	srv     *Server
	raw     net.Conn
	addr    netip.Addr // what the peer counts as
	counted bool       // guarded by srv.mu

	buf       []byte
	r, w      int // buf[r:w] is read and not yet parsed
	handshake int // bytes of it still to come
	parse     *parser
	readErr   error // sticky, of raw
	more      bool  // the last read filled buf
	burst     bool  // one of those since the last pause did
	collector *collector
	pause     *time.Timer // with collector
	deadline  time.Time
	waited    time.Duration // on the peer, since the last audio or video message
	received  uint64
	window    uint32 // the peer's Window Acknowledgement Size; 0: none
	acked     uint64

	app, software string
	connected     bool
	asked         bool
	pub           Publisher
	viewer        Viewer // set once play is granted: lal is out then
	started       bool   // publish is granted and answered: the same
	messages      uint64

	mu        sync.Mutex // guards what follows, and raw's read deadline
	ended     bool
	cause     EndCause
	err       error
	greeted   bool // the handshake is over: the peer understands a status
	chunkSize int  // that the peer expects of us
	silent    bool // the viewer has written its last

	wmu      sync.Mutex // one writer of raw at a time; guards muted
	muted    bool       // the last word was said
	readDone chan struct{}
	farewell sync.WaitGroup
}

func newGuard(s *Server, raw net.Conn) *guard {
	g := &guard{
		srv: s, raw: raw,
		buf:       make([]byte, readBufferBytes),
		handshake: handshakeBytes,
		parse:     newParser(),
		deadline:  s.opts.Now().Add(s.opts.EarlyTimeout),
		chunkSize: 128,
		readDone:  make(chan struct{}),
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(writeBufferBytes) // the kernel's default holds megabytes for a peer that never reads
	}
	g.addr, g.counted = s.countedAddress(raw.RemoteAddr())
	return g
}

// Read hands checked bytes to lal, up to the end of a message.
func (g *guard) Read(p []byte) (int, error) {
	for {
		if g.hasEnded() {
			return 0, net.ErrClosed
		}
		if g.viewer != nil {
			return 0, errAlone
		}
		var n int
		var err error
		if g.handshake > 0 {
			n, err = g.passHandshake(p)
		} else {
			n, err = g.passChunks(p)
		}
		if err != nil {
			g.end(EndProtocol, err, nil)
			return 0, err
		}
		if n > 0 || len(p) == 0 {
			return n, nil
		}
		if g.viewer != nil {
			continue
		}
		if err := g.fill(); err != nil {
			return 0, err
		}
	}
}

// passHandshake lets C0, C1 and C2 through (5.2); lal answers them.
func (g *guard) passHandshake(p []byte) (int, error) {
	if g.r == g.w {
		return 0, nil
	}
	if g.handshake == handshakeBytes && g.buf[g.r] != rtmpVersion {
		return 0, errNotRTMP
	}
	n := copy(p[:min(len(p), g.handshake)], g.buf[g.r:g.w])
	g.r += n
	if g.handshake -= n; g.handshake == 0 {
		g.mu.Lock()
		g.greeted = true
		g.mu.Unlock()
	}
	return n, nil
}

// passChunks lets one message's worth of checked chunks through.
func (g *guard) passChunks(p []byte) (n int, err error) {
	for n < len(p) {
		nIn, nOut, done, err := g.parse.step(g.buf[g.r:g.w], p[n:])
		g.r, n = g.r+nIn, n+nOut
		if err != nil {
			return 0, err
		}
		if done == nil {
			return n, nil
		}
		if err := g.message(done); err != nil {
			return 0, err
		}
		if g.hasEnded() || g.viewer != nil || n > 0 && len(g.parse.emit) == 0 {
			return n, nil
		}
	}
	return n, nil
}

// fill reads from the peer, within the deadline that holds now.
func (g *guard) fill() error {
	if g.readErr == nil && g.r > 0 {
		g.w = copy(g.buf, g.buf[g.r:g.w])
		g.r = 0
	}
	before := g.srv.opts.Now()
	deadline := g.deadline
	if g.viewer != nil {
		deadline = time.Time{} // players are silent
	} else if g.parse.published {
		deadline = before.Add(g.srv.opts.IdleTimeout - g.waited)
	}
	if g.readErr == nil {
		if g.started && g.collector != nil {
			g.gather()
		} else if g.arm(deadline) {
			g.receive()
		} else {
			return net.ErrClosed
		}
		g.waited += g.srv.opts.Now().Sub(before)
	}
	if g.readErr == nil {
		return g.acknowledge()
	}
	g.end(EndLost, g.lossReason(), nil)
	return g.readErr
}

// gather lets a publisher's messages come together before they are read: a
// wake-up for each of them costs more than all that is done with it. All
// publishers of a process are read at the same ticks, so that it wakes up once
// for all of them. Where the last read left something behind there is no pause,
// and behind a whole buffer a short one: the kernel's may be full, and the peer
// be waiting for us.
func (g *guard) gather() {
	if !g.more {
		pause := gatherFor - time.Duration(g.srv.opts.Now().UnixNano())%gatherFor
		if g.burst {
			pause = gatherBurstFor
		}
		g.burst = false
		g.pause.Reset(pause)
		<-g.pause.C
	}
	n, err := g.collector.collect(g.buf[g.w:])
	if err == nil && n == 0 && g.waited >= g.srv.opts.IdleTimeout {
		err = os.ErrDeadlineExceeded
	}
	g.read(n, err)
	g.burst = g.burst || g.more
}

// receive is one read from the socket into buf.
func (g *guard) receive() {
	g.read(g.raw.Read(g.buf[g.w:]))
}

// read takes note of what a read brought.
func (g *guard) read(n int, err error) {
	g.readErr = err
	if n > 0 {
		g.readErr = nil // comes again
	}
	g.w += n
	g.more = g.w == len(g.buf)
	g.received += uint64(n) //nolint:gosec // n >= 0
}

func (g *guard) lossReason() error {
	switch {
	case isTimeout(g.readErr) && g.parse.published:
		return errors.New("no audio or video for " + g.srv.opts.IdleTimeout.String())
	case isTimeout(g.readErr):
		return errors.New("no publish or play within " + g.srv.opts.EarlyTimeout.String())
	case errors.Is(g.readErr, io.EOF):
		return errors.New("closed by the peer")
	}
	return g.readErr
}

// arm sets the read deadline, unless the end has been said: then no read may wait.
func (g *guard) arm(deadline time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return false
	}
	_ = g.raw.SetReadDeadline(deadline) // a dead socket says so at the read
	return true
}

// wake makes a pending read return.
func (g *guard) wake() {
	_ = g.raw.SetReadDeadline(time.Unix(1, 0)) // as in arm
}

// Write sends lal's answers, each within the write timeout.
func (g *guard) Write(p []byte) (int, error) {
	g.wmu.Lock()
	defer g.wmu.Unlock()
	if g.muted {
		return 0, net.ErrClosed
	}
	n, err := g.write(p, g.srv.opts.WriteTimeout)
	if err != nil {
		g.end(EndLost, fmt.Errorf("write to the peer: %w", err), nil)
	}
	return n, err
}

func (g *guard) write(p []byte, timeout time.Duration) (int, error) {
	_ = g.raw.SetWriteDeadline(g.srv.opts.Now().Add(timeout)) // as in arm
	return g.raw.Write(p)
}

// Close is lal's way of saying that it is done. The socket closes when the
// peer has been told why (see sayFarewell).
func (g *guard) Close() error { return nil }

// LocalAddr is the socket's.
func (g *guard) LocalAddr() net.Addr { return g.raw.LocalAddr() }

// RemoteAddr is the socket's.
func (g *guard) RemoteAddr() net.Addr { return g.raw.RemoteAddr() }

// SetDeadline does nothing: the guard has deadlines of its own.
func (g *guard) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (g *guard) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (g *guard) SetWriteDeadline(time.Time) error { return nil }
