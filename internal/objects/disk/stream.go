package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/objects"
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
	if err := objects.CheckKey(key); err != nil {
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
	base := strconv.FormatUint(d.temps.Add(1), 10)
	name = path.Join(tempDir, base)
	f, err := d.temp.OpenFile(base, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return "", "", nil, mapError(err)
	}
	h := newDigest()
	_, err = io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(f, h)}, reader{ctx, r}, make([]byte, 1<<20))
	if info, err = d.finish(f, err, control.Durable); err != nil {
		return "", "", nil, errors.Join(mapError(err), d.root.Remove(name))
	}
	etag, err = versionOf(info, func() (string, error) { return h.etag(), nil })
	return name, etag, info, err
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
	if err := errors.Join(objects.CheckKey(key), ctx.Err()); err != nil {
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
	if err := objects.CheckKey(key); err != nil {
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
