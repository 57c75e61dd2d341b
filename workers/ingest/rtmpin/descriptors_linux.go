package rtmpin

import (
	"net"
	"syscall"
)

// maxReserve is how many file descriptors connections leave to who is in: for
// segments, playlists and viewers. Where there are few it is a quarter.
const maxReserve = 256

// takesReserve says whether conn has one of the last descriptors. The kernel
// gives out the lowest free number (POSIX, open), so the number tells. The
// limit is asked for each time, as an operator may change it.
func takesReserve(conn net.Conn) bool {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return false
	}
	taken := false
	_ = raw.Control(func(fd uintptr) { // a closed socket takes none
		taken = uint64(fd) >= limit.Cur-min(limit.Cur/4, maxReserve)
	})
	return taken
}
