//go:build !linux

package disk

import (
	"errors"
	"os"
)

// canFlush: every object is made durable on its own.
const canFlush = false

// bootID: see canFlush.
const bootID = ""

func rename(root *os.Root, _ *os.File, from, to string) error { return root.Rename(from, to) }

func syncFS(*os.File) error { return errors.ErrUnsupported }

func writePieces(f *os.File, pieces [][]byte) error {
	for _, p := range pieces {
		if _, err := f.Write(p); err != nil {
			return err
		}
	}
	return nil
}
