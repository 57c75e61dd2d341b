package hub

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// pumpTimeout ends a connection that takes nothing.
const pumpTimeout = tooSlowAfter + maxBehind

// sendBuffer is the kernel's for a viewer: what it holds is delay that the hub
// does not see.
const sendBuffer = 256 << 10

// Connection answers the sink of a connection, and what ends it: that closes
// the connection and waits. Plain TCP is written to without a goroutine, all
// else (TLS) by one of its own.
func Connection(conn net.Conn, now func() time.Time) (sink Sink, stop func()) {
	under := conn
	if c, ok := conn.(interface{ NetConn() net.Conn }); ok {
		under = c.NetConn() // of TLS, which waits for room to say goodbye
	}
	if tcp, ok := under.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer) // only a bound
	}
	if s := newSocket(conn); s != nil {
		return s, func() { _ = conn.Close() } // often closed by the peer
	}
	return NewPump(func(b [][]byte) error {
		_ = conn.SetWriteDeadline(now().Add(pumpTimeout)) // a dead connection says so at the write
		bufs := net.Buffers(b)
		_, err := bufs.WriteTo(conn)
		return err
	}, func() { _ = under.Close() })
}

// pump lets a goroutine wait in a sink's place. It takes one write at a time.
type pump struct {
	work  chan [][]byte
	busy  atomic.Bool
	fail  atomic.Pointer[error]
	close func()
	once  sync.Once
	done  chan struct{}
}

// NewPump makes a sink of a write that may wait. stop ends the goroutine and
// waits for it; unblock must make a pending write return.
func NewPump(write func([][]byte) error, unblock func()) (sink Sink, stop func()) {
	p := &pump{work: make(chan [][]byte, 1), close: unblock, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for bufs := range p.work {
			if err := write(bufs); err != nil {
				p.fail.Store(&err)
			}
			p.busy.Store(false)
		}
	}()
	return p, func() {
		p.once.Do(func() {
			p.close()
			close(p.work)
		})
		<-p.done
	}
}

// TryWrite implements Sink: all or nothing.
func (p *pump) TryWrite(bufs [][]byte) (int, error) {
	if err := p.fail.Load(); err != nil {
		return 0, *err
	}
	if !p.busy.CompareAndSwap(false, true) {
		return 0, nil
	}
	n, own := 0, make([][]byte, len(bufs))
	for i, b := range bufs {
		own[i] = b
		n += len(b)
	}
	p.work <- own
	return n, nil
}

// Gone implements Sink.
func (p *pump) Gone() bool { return p.fail.Load() != nil }
