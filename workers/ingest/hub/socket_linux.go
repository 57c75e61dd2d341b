package hub

import (
	"errors"
	"net"
	"syscall"
)

// socket writes to a TCP connection without waiting.
type socket struct {
	raw  syscall.RawConn
	bufs [][]byte
	n    int
	err  error
	try  func(fd uintptr) bool
}

func newSocket(conn net.Conn) Sink {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	s := &socket{raw: raw}
	s.try = s.write // one closure for the connection's life
	return s
}

// TryWrite implements Sink.
func (s *socket) TryWrite(bufs [][]byte) (int, error) {
	s.bufs, s.n, s.err = bufs, 0, nil
	err := s.raw.Write(s.try)
	s.bufs = nil
	return s.n, errors.Join(err, s.err)
}

// write answers true: there is nothing to wait for. A viewer who is not behind
// has one buffer at a time, so there is nothing to gather.
func (s *socket) write(fd uintptr) bool {
	for _, b := range s.bufs {
		n, err := syscall.Write(int(fd), b)
		for errors.Is(err, syscall.EINTR) {
			n, err = syscall.Write(int(fd), b)
		}
		if err != nil {
			if !errors.Is(err, syscall.EAGAIN) {
				s.err = err
			}
			return true
		}
		if s.n += n; n < len(b) {
			return true
		}
	}
	return true
}

// Gone implements Sink.
func (s *socket) Gone() bool {
	gone := false
	err := s.raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = err == nil && n == 0 || err != nil && !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
		return true
	})
	return gone || err != nil
}
