//go:build unix

package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lockName is the file in the data directory that the running process holds.
const lockName = "lock"

// DirLock is the hold on a data directory. The kernel lets go of it when the
// process ends, however it ends.
type DirLock struct{ f *os.File }

// Lock takes the data directory dir, making it (mode 0700) where there is
// none. When another process has it the error names that process.
func Lock(dir string) (*DirLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := take(f); err != nil {
		return nil, errors.Join(fmt.Errorf("data directory %s %w", dir, err), f.Close())
	}
	return &DirLock{f}, nil
}

func take(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("is in use by process %s", holder(f))
	}
	if err != nil {
		return fmt.Errorf("cannot be locked: %w", err)
	}
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("cannot be written: %w", err)
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("cannot be written: %w", err)
	}
	return nil
}

// holder is the number that the holder wrote, or "(unknown)".
func holder(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, 32))
	if pid := strings.TrimSpace(string(b)); err == nil && pid != "" {
		return pid
	}
	return "(unknown)"
}

// Unlock lets go of the directory. The file stays: removing it would let two
// processes hold two files of that name.
func (l *DirLock) Unlock() error { return l.f.Close() }
