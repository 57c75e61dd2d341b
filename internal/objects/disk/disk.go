// Package disk keeps objects as plain files of a directory, and serves them
// over HTTP with the headers that a CDN would give.
//
// The key is the path. Content-Type and Cache-Control follow from the key (see
// defaults); an object that was put with others has them in a small file below
// .meta, named after the ETag that they belong to. So the files are what they
// look like: people may copy them, play them and serve them otherwise.
//
// Put writes a file below .tmp, syncs it, renames it into its place and syncs
// the directory, in this order: after a crash of the program or the machine an
// object is there whole or not at all, and one whose Put was answered is
// there. It is visible from the rename on, which may be before the answer.
//
// An object that is not control.Durable is written the same way without the
// syncs: the page cache outlives the program, and a power cut is what only a
// sync helps against. Within a second one syncfs makes all of them durable
// (docs/adr/0016).
package disk

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/roomcast/roomcast/internal/control"
)

const (
	tempDir = ".tmp"
	metaDir = ".meta"

	dirMode  = 0o700
	fileMode = 0o600

	stripes = 256
)

// Disk is a control.Objects. Safe for concurrent use by one process: it must
// be alone with the directory. An ETag is a quoted hash of the content, as in
// HTTP.
type Disk struct {
	root  *os.Root
	temp  *os.Root // tempDir
	temps atomic.Uint64
	locks [stripes]keyLock
	dirs  dirs
	etags etags

	special atomic.Bool // some object has headers that its key does not stand for

	stamping sync.Mutex
	stamped  time.Time // when the last large object was written

	flusher   flusher
	restarted bool
}

var _ control.Objects = (*Disk)(nil)

// keyLock is shared by the keys of one hash. put is held during a whole Put or
// Delete, seen only while what readers see changes.
type keyLock struct {
	put  sync.Mutex
	seen sync.RWMutex
}

func (d *Disk) lock(key string) *keyLock {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // never fails
	return &d.locks[h.Sum32()%stripes]
}

// Open opens the directory, makes it where there is none, and removes what an
// earlier process left unfinished.
func Open(dir string) (*Disk, error) {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("open objects: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open objects: %w", err)
	}
	err = root.RemoveAll(tempDir)
	if err == nil {
		err = root.Mkdir(tempDir, dirMode)
	}
	var temp *os.Root
	if err == nil {
		temp, err = root.OpenRoot(tempDir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open objects in %s: %w", dir, err), root.Close())
	}
	d := &Disk{root: root, temp: temp}
	d.dirs.root = root
	if _, err := root.Stat(metaDir); !errors.Is(err, fs.ErrNotExist) {
		d.special.Store(true) // or nobody knows
	}
	if d.flusher.root, err = os.Open(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("open objects: %w", err), temp.Close(), root.Close())
	}
	if d.restarted, err = d.noteBoot(); err != nil {
		return nil, errors.Join(fmt.Errorf("open objects in %s: %w", dir, err), d.Close())
	}
	return d, nil
}

// Close makes everything durable and lets go of the directory. Nothing may be
// under way.
func (d *Disk) Close() error {
	return errors.Join(d.flusher.close(), d.temp.Close(), d.root.Close())
}

// mapError says an error of the file system in the words of control.
func mapError(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", control.ErrNoSpace, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: %w", control.ErrNotFound, err)
	}
	return err
}
