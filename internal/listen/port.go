// Package listen accepts connections on ports where more than one protocol is
// spoken, told apart by the first byte: RTMP, HTTP, and both of them in TLS.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// First bytes. HTTP methods are letters.
const (
	firstOfTLS  = 0x16 // a handshake record (RFC 8446, 5.1)
	firstOfRTMP = 3    // the version (RTMP 1.0, 5.2.2)
)

// Options of a Port. Now is required.
type Options struct {
	// Now is the clock of the sockets' deadlines: time.Now outside of tests.
	Now func() time.Time
	// RTMP and HTTP say what is spoken here; at least one.
	RTMP, HTTP bool
	// Certificate makes TLS possible, beside plain connections; nil = no TLS.
	Certificate *Certificate
	// Patience is how long a peer may take to say its first byte, and for the
	// TLS handshake ahead of it; default 10 s.
	Patience time.Duration
	// MaxWaiting bounds the connections that have not said it yet; others are
	// closed; default 4096.
	MaxWaiting int
}

// Port is a listener that is split. RTMP and HTTP are nil where they are not
// spoken. The listener underneath closes with the last of them, and Close of
// that one waits for all goroutines.
//
// HTTP/2 connections are *tls.Conn, as net/http needs them; see also Secure.
type Port struct {
	RTMP, HTTP net.Listener

	o    Options
	ln   net.Listener
	ctx  context.Context // ends with the port
	end  context.CancelFunc
	wg   sync.WaitGroup
	slot chan struct{} // one for each waiting connection

	mu   sync.Mutex
	open int // listeners
}

// Split begins to accept on ln, which it closes.
func Split(ln net.Listener, o Options) *Port {
	if o.Patience <= 0 {
		o.Patience = 10 * time.Second
	}
	if o.MaxWaiting <= 0 {
		o.MaxWaiting = 4096
	}
	p := &Port{o: o, ln: ln, slot: make(chan struct{}, o.MaxWaiting)}
	p.ctx, p.end = context.WithCancel(context.Background())
	if o.RTMP {
		p.RTMP = p.listener()
	}
	if o.HTTP {
		p.HTTP = p.listener()
	}
	p.wg.Go(p.accept)
	return p
}

// accept ends with the port; errors, a lack of file descriptors too, are
// waited out.
func (p *Port) accept() {
	const firstPause, lastPause = 5 * time.Millisecond, time.Second
	pause := time.Duration(0)
	for p.ctx.Err() == nil {
		conn, err := p.ln.Accept()
		if err != nil {
			pause = min(max(2*pause, firstPause), lastPause)
			wait, cancel := context.WithTimeout(p.ctx, pause)
			<-wait.Done()
			cancel()
			continue
		}
		pause = 0
		select {
		case p.slot <- struct{}{}:
		default:
			_ = conn.Close() // too many that say nothing
			continue
		}
		p.wg.Go(func() {
			defer func() { <-p.slot }()
			p.sort(conn)
		})
	}
}

// sort finds out what a peer speaks and hands its connection over.
func (p *Port) sort(conn net.Conn) {
	stop := context.AfterFunc(p.ctx, func() { _ = conn.Close() }) // unblocks what waits
	to, spoken := p.judge(conn)
	if !stop() || to == nil {
		_ = conn.Close() // it is no peer of ours
		return
	}
	_ = conn.SetDeadline(time.Time{}) // a dead socket says so at the read
	l, ok := to.(*listener)
	if !ok || !l.give(spoken) {
		_ = conn.Close() // the server is gone
	}
}

// judge answers nil for what nobody here speaks.
func (p *Port) judge(conn net.Conn) (to net.Listener, spoken net.Conn) {
	_ = conn.SetDeadline(p.o.Now().Add(p.o.Patience)) // as above
	first, conn, err := peek(conn)
	switch {
	case err != nil:
		return nil, conn
	case first == firstOfTLS && p.o.Certificate != nil:
		return p.judgeTLS(tls.Server(conn, p.o.Certificate.config(p.o.HTTP)))
	}
	return p.who(first), conn
}

func (p *Port) judgeTLS(conn *tls.Conn) (to net.Listener, spoken net.Conn) {
	switch {
	case p.RTMP == nil:
		return p.HTTP, conn // the server does the handshake
	case p.HTTP == nil:
		return p.RTMP, conn
	}
	if err := conn.HandshakeContext(p.ctx); err != nil {
		return nil, conn
	}
	if conn.ConnectionState().NegotiatedProtocol == "h2" {
		return p.HTTP, conn // net/http wants to see its state
	}
	first, spoken, err := readFirst(conn)
	if err != nil {
		return nil, conn
	}
	return p.who(first), spoken
}

func (p *Port) who(first byte) net.Listener {
	if first == firstOfRTMP || p.HTTP == nil {
		return p.RTMP
	}
	return p.HTTP
}

// Secure reports whether a connection that a Port has handed over is in TLS.
func Secure(conn net.Conn) bool {
	if b, ok := conn.(*begun); ok {
		conn = b.Conn
	}
	_, ok := conn.(*tls.Conn)
	return ok
}

// listener is one protocol's side of a port.
type listener struct {
	p     *Port
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (p *Port) listener() *listener {
	p.open++
	return &listener{p: p, conns: make(chan net.Conn), done: make(chan struct{})}
}

// give waits until the connection is accepted; false: nobody accepts any more.
func (l *listener) give(conn net.Conn) bool {
	select {
	case l.conns <- conn:
		return true
	case <-l.done:
		return false
	}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.p.ln.Addr() }

// Close implements net.Listener.
func (l *listener) Close() error {
	err := net.ErrClosed
	l.once.Do(func() {
		close(l.done)
		err = l.p.leave()
	})
	return err
}

// leave closes the port with its last listener.
func (p *Port) leave() error {
	p.mu.Lock()
	p.open--
	last := p.open == 0
	p.mu.Unlock()
	if !last {
		return nil
	}
	p.end()
	err := p.ln.Close()
	p.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
