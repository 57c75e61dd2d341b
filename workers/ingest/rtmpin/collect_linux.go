package rtmpin

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// collector reads what has come to a publisher's socket, without waiting. The
// poller is not woken by each packet: until so much lies there (SO_RCVLOWAT),
// or the peer closes, the socket counts as silent.
type collector struct {
	raw  syscall.RawConn
	buf  []byte
	n    int
	err  error
	read func(fd uintptr) bool
}

// newCollector answers nil where there is no such thing: in TLS, where records
// are read, however many have come.
func newCollector(conn net.Conn) *collector {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	_ = raw.Control(func(fd uintptr) { // without it there are more wake-ups, that is all
		_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, readBufferBytesPublish)
	})
	c := &collector{raw: raw}
	c.read = c.once // one closure for the connection's life
	return c
}

// collect answers 0 and no error where nothing has come.
func (c *collector) collect(buf []byte) (int, error) {
	c.buf, c.n, c.err = buf, 0, nil
	err := c.raw.Read(c.read)
	c.buf = nil
	return c.n, errors.Join(err, c.err)
}

// once answers true: there is nothing to wait for.
func (c *collector) once(fd uintptr) bool {
	n, err := syscall.Read(int(fd), c.buf)
	for errors.Is(err, syscall.EINTR) {
		n, err = syscall.Read(int(fd), c.buf)
	}
	switch {
	case err == nil && n == 0:
		c.err = io.EOF
	case err == nil:
		c.n = n
	case !errors.Is(err, syscall.EAGAIN):
		c.err = err
	}
	return true
}
