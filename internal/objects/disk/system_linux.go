package disk

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// canFlush: the whole file system can be made durable with one call.
const canFlush = true

// bootID is another one after each start of the machine.
const bootID = "/proc/sys/kernel/random/boot_id"

// syncFS returns when all that was written to dir's file system is durable.
func syncFS(dir *os.File) error {
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return fmt.Errorf("flush the file system of %s: %w", dir.Name(), err)
	}
	return nil
}

// rename is one system call, where os.Root looks at every directory of both
// names first. They are keys, which lead nowhere else, and nobody else makes
// links here.
func rename(_ *os.Root, dir *os.File, from, to string) error {
	fd := int(dir.Fd())
	if err := unix.Renameat(fd, from, fd, to); err != nil {
		return &os.LinkError{Op: "renameat", Old: from, New: to, Err: err}
	}
	return nil
}

// maxPieces is how many pieces one system call takes (IOV_MAX).
const maxPieces = 1024

// writePieces writes the pieces one after the other, many with one call: a
// segment has one for each access unit.
func writePieces(f *os.File, pieces [][]byte) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var list [maxPieces][]byte
	for len(pieces) > 0 {
		n, total := copy(list[:], pieces), 0
		for _, p := range list[:n] {
			total += len(p)
		}
		written := 0
		var failed error
		if err := conn.Write(func(fd uintptr) bool {
			written, failed = unix.Writev(int(fd), list[:n])
			return true
		}); err != nil {
			return err
		}
		if failed == unix.EINTR {
			continue // nothing was written
		}
		if failed != nil {
			return &os.PathError{Op: "writev", Path: f.Name(), Err: failed}
		}
		pieces = pieces[n:]
		if written == total {
			continue
		}
		// A full disk takes a part; the rest gets the reason, or room again.
		for _, p := range list[:n] {
			cut := min(written, len(p))
			written -= cut
			if _, err := f.Write(p[cut:]); err != nil {
				return err
			}
		}
	}
	return nil
}
