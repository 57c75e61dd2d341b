package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sync"
)

// maxKnownDirs bounds the memory of directories; forgetting costs a sync.
const maxKnownDirs = 10_000

// dirs makes directories durable before anything is put into them.
type dirs struct {
	root *os.Root
	mu   sync.Mutex
	// known are directories whose own entries, up to the root, are synced.
	known map[string]bool
}

// ensure makes dir and what is above it.
func (d *dirs) ensure(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.make(dir)
}

func (d *dirs) make(dir string) error {
	if dir == "." || d.known[dir] {
		return nil
	}
	parent := path.Dir(dir)
	if err := d.make(parent); err != nil {
		return err
	}
	if err := d.root.Mkdir(dir, dirMode); err != nil {
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if info, err := d.root.Stat(dir); err == nil && !info.IsDir() {
			return fmt.Errorf("%s is an object and cannot hold others", dir)
		}
	}
	if err := d.sync(parent); err != nil {
		return err
	}
	if d.known == nil || len(d.known) >= maxKnownDirs {
		d.known = map[string]bool{}
	}
	d.known[dir] = true
	return nil
}

// forget is told that dir is not there.
func (d *dirs) forget(dir string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for ; dir != "."; dir = path.Dir(dir) {
		delete(d.known, dir)
	}
}

// sync makes what was renamed or removed in dir durable.
func (d *dirs) sync(dir string) error {
	f, err := d.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// prune removes dir and what is above it as far as it is empty. What is not
// removed does no harm.
func (d *dirs) prune(dir string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for ; dir != "."; dir = path.Dir(dir) {
		// Remove would take an object of that name, too.
		if info, err := d.root.Lstat(dir); err != nil || !info.IsDir() || d.root.Remove(dir) != nil {
			return
		}
		delete(d.known, dir)
	}
}
