package disk

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"

	"github.com/roomcast/roomcast/internal/control"
)

// PutFrom writes an object of any size from r, as Put does from memory.
// Conditions are not possible.
func (d *Disk) PutFrom(ctx context.Context, key string, r io.Reader, opt control.PutOptions) (string, error) {
	etag, err := d.putFrom(ctx, key, r, opt)
	if err != nil {
		return "", fmt.Errorf("put object %q: %w", key, err)
	}
	return etag, nil
}

func (d *Disk) putFrom(ctx context.Context, key string, r io.Reader, opt control.PutOptions) (string, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	if opt.IfMatch != "" || opt.IfNoneMatch {
		return "", errors.New("a streamed object has no condition")
	}
	temp, etag, info, err := d.copyTemp(ctx, r)
	if err != nil {
		return "", err
	}
	l := d.lock(key)
	l.put.Lock()
	defer l.put.Unlock()
	if err := d.place(l, key, etag, temp, info, headersOf(key, opt)); err != nil {
		d.dirs.prune(path.Dir(key))
		return "", err
	}
	return etag, mapError(d.dirs.sync(path.Dir(key)))
}

// copyTemp writes and syncs a file below tempDir; its name, ETag and size.
func (d *Disk) copyTemp(ctx context.Context, r io.Reader) (name, etag string, info fs.FileInfo, err error) {
	name = path.Join(tempDir, strconv.FormatUint(d.temps.Add(1), 10))
	f, err := d.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return "", "", nil, mapError(err)
	}
	h := sha256.New()
	if err = copyHashed(f, h, reader{ctx, r}); err == nil {
		err = d.syncFile(f, control.Durable)
	}
	info, statErr := f.Stat()
	if err = errors.Join(err, statErr, f.Close()); err != nil {
		return "", "", nil, errors.Join(mapError(err), d.root.Remove(name))
	}
	return name, quote(h.Sum(nil)), info, nil
}

// copyHashed copies r to w, and to h beside it: each takes as long as the other.
func copyHashed(w io.Writer, h hash.Hash, r io.Reader) error {
	buf := make([]byte, 1<<20)
	for {
		n, err := fill(r, buf)
		hashed := make(chan struct{})
		go func() {
			defer close(hashed)
			_, _ = h.Write(buf[:n]) // a hash has no errors
		}()
		_, writeErr := w.Write(buf[:n])
		<-hashed
		switch {
		case writeErr != nil:
			return writeErr
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// fill reads until buf is full. Unlike io.ReadFull it tells the end of r from a
// source that broke off.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

// GetRange answers up to size bytes of an object from a place on, none where
// it ends before, and how long the object is.
func (d *Disk) GetRange(ctx context.Context, key string, from, size int64) ([]byte, int64, error) {
	body, total, err := d.getRange(ctx, key, from, size)
	if err != nil {
		return nil, 0, fmt.Errorf("get %d bytes of object %q: %w", size, key, err)
	}
	return body, total, nil
}

// getRange asks for no ETag: that of a file which was not met before costs
// reading all of it.
func (d *Disk) getRange(ctx context.Context, key string, from, size int64) ([]byte, int64, error) {
	if err := errors.Join(checkKey(key), ctx.Err()); err != nil {
		return nil, 0, err
	}
	f, err := d.root.Open(key)
	if err != nil {
		return nil, 0, mapError(err)
	}
	stat, err := f.Stat()
	if err == nil && !stat.Mode().IsRegular() {
		err = control.ErrNotFound
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	body := make([]byte, min(size, max(stat.Size()-from, 0)))
	n, err := f.ReadAt(body, from)
	if errors.Is(err, io.EOF) {
		err = nil // it has become shorter
	}
	return body[:n], stat.Size(), errors.Join(err, f.Close())
}

// GetTo copies an object of any size to w.
func (d *Disk) GetTo(ctx context.Context, key string, w io.Writer) error {
	if err := checkKey(key); err != nil {
		return fmt.Errorf("get object %q: %w", key, err)
	}
	f, _, err := d.open(key)
	if err != nil {
		return fmt.Errorf("get object %q: %w", key, err)
	}
	_, err = io.Copy(w, reader{ctx, f})
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("get object %q: %w", key, err)
	}
	return nil
}

// reader ends with its context.
type reader struct {
	ctx context.Context //nolint:containedctx // io.Reader has no room for it
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
