package disk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"time"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/objects"
)

// Put writes an object. Content-Type and Cache-Control that are "" are the
// defaults of the key.
func (d *Disk) Put(ctx context.Context, key string, body [][]byte, opt control.PutOptions) (string, error) {
	etag, err := d.put(ctx, key, body, opt)
	if err != nil {
		return "", fmt.Errorf("put object %q: %w", key, err)
	}
	return etag, nil
}

func (d *Disk) put(ctx context.Context, key string, body [][]byte, opt control.PutOptions) (string, error) {
	if err := objects.CheckKey(key); err != nil {
		return "", err
	}
	if opt.IfMatch != "" && opt.IfNoneMatch {
		return "", errors.New("both IfMatch and IfNoneMatch are set")
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	hash := hashOf(body)
	l := d.lock(key)
	l.put.Lock()
	defer l.put.Unlock()
	if err := d.condition(key, opt); err != nil {
		return "", err
	}
	etag, err := d.replace(l, key, hash, body, opt)
	if err != nil {
		d.dirs.prune(path.Dir(key))
	}
	return etag, err
}

func (d *Disk) condition(key string, opt control.PutOptions) error {
	if opt.IfMatch == "" && !opt.IfNoneMatch {
		return nil
	}
	f, info, err := d.open(key)
	if errors.Is(err, control.ErrNotFound) && opt.IfNoneMatch {
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if opt.IfNoneMatch || info.ETag != opt.IfMatch {
		return fmt.Errorf("it has ETag %s: %w", info.ETag, control.ErrConflict)
	}
	return nil
}

// replace makes body, whose hash is given, the object of key, and answers its
// ETag.
func (d *Disk) replace(l *keyLock, key, hash string, body [][]byte, opt control.PutOptions) (string, error) {
	if !canFlush {
		opt.Durability = control.Durable
	}
	temp, info, err := d.writeTemp(body, opt.Durability)
	if err != nil {
		return "", err
	}
	etag, _ := versionOf(info, func() (string, error) { return hash, nil }) // which has no error
	if err := d.place(l, key, etag, temp, info, headersOf(key, opt)); err != nil {
		return "", err
	}
	if opt.Durability != control.Durable {
		d.flusher.later()
		return etag, nil
	}
	return etag, mapError(d.dirs.sync(path.Dir(key)))
}

// place makes a finished file below tempDir the object of key.
func (d *Disk) place(l *keyLock, key, etag, temp string, info fs.FileInfo, h headers) error {
	kept, err := d.keepHeaders(key, etag, h)
	if err == nil {
		l.seen.Lock()
		if err = d.rename(temp, key); err == nil {
			d.etags.set(key, info, etag)
		}
		l.seen.Unlock()
	}
	if err != nil {
		return errors.Join(mapError(err), d.root.Remove(temp))
	}
	if kept {
		d.dropHeaders(key, etag, h)
	}
	return nil
}

// writeTemp writes a file below tempDir, and makes it as durable as the file
// can be before it has its name.
func (d *Disk) writeTemp(body [][]byte, durability control.Durability) (string, fs.FileInfo, error) {
	base := strconv.FormatUint(d.temps.Add(1), 10)
	name := path.Join(tempDir, base)
	f, err := d.temp.OpenFile(base, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return "", nil, mapError(err)
	}
	info, err := d.finish(f, writePieces(f, body), durability)
	if err != nil {
		return "", nil, errors.Join(mapError(err), d.root.Remove(name))
	}
	return name, info, nil
}

// finish closes a file that was written, with that outcome, and makes it durable.
func (d *Disk) finish(f *os.File, written error, durability control.Durability) (info fs.FileInfo, err error) {
	if err = written; err == nil {
		err = d.stamp(f)
	}
	if err == nil {
		err = d.syncFile(f, durability)
	}
	info, statErr := f.Stat()
	return info, errors.Join(err, statErr, f.Close())
}

// stamp sees to it that no two large objects were written at the same time:
// the kernel's clock stands still for milliseconds, and it is their ETag.
func (d *Disk) stamp(f *os.File) error {
	info, err := f.Stat()
	if err != nil || info.Size() <= hashedBytes {
		return err
	}
	d.stamping.Lock()
	defer d.stamping.Unlock()
	at := info.ModTime()
	if behind := d.stamped.Sub(at); behind >= 0 && behind < time.Second {
		at = d.stamped.Add(1)
		err = d.temp.Chtimes(path.Base(f.Name()), at, at)
	}
	d.stamped = at
	return err
}

// syncFile makes a written file durable: alone, or with all that waits.
func (d *Disk) syncFile(f *os.File, durability control.Durability) error {
	switch {
	case durability == control.Fleeting:
		return nil
	case durability == control.Durable && d.flusher.pending():
		return d.flusher.flush()
	}
	return f.Sync()
}

// rename puts a finished file into its place. The directory may be removed, by
// a Delete or by a person, while it is needed: then it is made again.
func (d *Disk) rename(temp, key string) error {
	for range 10 {
		if err := d.dirs.ensure(path.Dir(key)); err != nil {
			return err
		}
		if err := rename(d.root, d.flusher.root, temp, key); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		d.dirs.forget(path.Dir(key))
	}
	return errors.New("its directory goes away again and again")
}

// headersFile is where the headers of that version of an object are kept.
func headersFile(key, etag string) string {
	return path.Join(metaDir, key, etag[1:len(etag)-1])
}

// keepHeaders stores h where it is not what the key stands for, or where the
// object had other headers before. It reports whether there is something to
// drop afterwards. The version before keeps its own file until then, so that
// a crash in between mixes nothing up.
func (d *Disk) keepHeaders(key, etag string, h headers) (bool, error) {
	if h == defaults(key) {
		if !d.special.Load() {
			return false, nil
		}
		if _, err := d.root.Stat(path.Join(metaDir, key)); errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
	}
	d.special.Store(true)
	b, err := json.Marshal(h)
	if err != nil {
		return false, err
	}
	temp, _, err := d.writeTemp([][]byte{b}, control.Durable)
	if err != nil {
		return false, err
	}
	name := headersFile(key, etag)
	if err := d.rename(temp, name); err != nil {
		return false, errors.Join(err, d.root.Remove(temp))
	}
	return true, d.dirs.sync(path.Dir(name))
}

// dropHeaders removes the headers of earlier versions. What stays does no harm.
func (d *Disk) dropHeaders(key, etag string, h headers) {
	dir := path.Join(metaDir, key)
	entries, err := fs.ReadDir(d.root.FS(), dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if name := path.Join(dir, e.Name()); name != headersFile(key, etag) || h == defaults(key) {
			_ = d.root.Remove(name)
		}
	}
	d.dirs.prune(dir)
}

// Delete removes the object and the directories that are empty without it.
func (d *Disk) Delete(ctx context.Context, key string) error {
	if err := d.delete(ctx, key); err != nil {
		return fmt.Errorf("delete object %q: %w", key, err)
	}
	return nil
}

func (d *Disk) delete(ctx context.Context, key string) error {
	if err := objects.CheckKey(key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	l := d.lock(key)
	l.put.Lock()
	defer l.put.Unlock()
	if info, err := d.root.Lstat(key); err == nil && info.IsDir() {
		return nil // other keys begin with it
	}
	l.seen.Lock()
	err := mapError(d.root.Remove(key))
	d.etags.forget(key)
	l.seen.Unlock()
	if errors.Is(err, control.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := d.dirs.sync(path.Dir(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if d.root.RemoveAll(path.Join(metaDir, key)) == nil {
		d.dirs.prune(path.Dir(path.Join(metaDir, key)))
	}
	d.dirs.prune(path.Dir(key))
	return nil
}
