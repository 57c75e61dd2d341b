package listen

import (
	"errors"
	"net"
)

// begun is a connection whose first byte was read.
type begun struct {
	net.Conn
	first []byte
}

// readFirst reads one byte, and answers a connection that begins with it.
func readFirst(conn net.Conn) (byte, net.Conn, error) {
	first := make([]byte, 1)
	if _, err := conn.Read(first); err != nil {
		return 0, conn, err
	}
	return first[0], &begun{conn, first}, nil
}

// Read implements net.Conn.
func (b *begun) Read(p []byte) (int, error) {
	if len(b.first) > 0 {
		n := copy(p, b.first)
		b.first = b.first[n:]
		return n, nil
	}
	return b.Conn.Read(p)
}

// CloseWrite is that of TCP and TLS connections.
func (b *begun) CloseWrite() error {
	if half, ok := b.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// NetConn is the connection underneath, as of tls.Conn.
func (b *begun) NetConn() net.Conn {
	if c, ok := b.Conn.(interface{ NetConn() net.Conn }); ok {
		return c.NetConn()
	}
	return b.Conn
}
