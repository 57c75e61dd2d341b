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
