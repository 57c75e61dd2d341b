package listen

import (
	"io"
	"net"
	"syscall"
)

// peek answers the first byte and leaves it where it is: a plain connection
// stays a *net.TCPConn, which the hub writes to without a goroutine.
func peek(conn net.Conn) (byte, net.Conn, error) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return readFirst(conn)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, conn, err
	}
	var first [1]byte
	var n int
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		for {
			n, _, failed = syscall.Recvfrom(int(fd), first[:], syscall.MSG_PEEK)
			if failed != syscall.EINTR {
				return failed != syscall.EAGAIN
			}
		}
	})
	switch {
	case err != nil:
		return 0, conn, err
	case failed != nil:
		return 0, conn, failed
	case n == 0:
		return 0, conn, io.EOF
	}
	return first[0], conn, nil
}
