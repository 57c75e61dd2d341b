package disk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/objects"
)

// Get answers the whole object.
func (d *Disk) Get(ctx context.Context, key string) ([]byte, control.ObjectInfo, error) {
	body, info, err := d.get(ctx, key)
	if err != nil {
		return nil, control.ObjectInfo{}, fmt.Errorf("get object %q: %w", key, err)
	}
	return body, info, nil
}

func (d *Disk) get(ctx context.Context, key string) ([]byte, control.ObjectInfo, error) {
	if err := objects.CheckKey(key); err != nil {
		return nil, control.ObjectInfo{}, err
	}
	if err := ctx.Err(); err != nil {
		return nil, control.ObjectInfo{}, err
	}
	f, info, err := d.open(key)
	if err != nil {
		return nil, info, err
	}
	body := make([]byte, info.SizeBytes)
	_, err = io.ReadFull(f, body)
	return body, info, errors.Join(err, f.Close())
}

// open answers the object's file, to be closed by the caller, and what belongs
// to exactly this version of it.
func (d *Disk) open(key string) (*os.File, control.ObjectInfo, error) {
	l := d.lock(key)
	l.seen.RLock()
	defer l.seen.RUnlock()
	f, err := d.root.Open(key)
	if err != nil {
		return nil, control.ObjectInfo{}, mapError(err)
	}
	info, err := d.describe(key, f)
	if err != nil {
		return nil, control.ObjectInfo{}, errors.Join(err, f.Close())
	}
	return f, info, nil
}

func (d *Disk) describe(key string, f *os.File) (control.ObjectInfo, error) {
	stat, err := f.Stat()
	if err != nil {
		return control.ObjectInfo{}, err
	}
	if !stat.Mode().IsRegular() {
		return control.ObjectInfo{}, control.ErrNotFound
	}
	etag, ok := d.etags.get(key, stat)
	if !ok {
		if etag, err = versionOf(stat, func() (string, error) { return hashFile(f) }); err != nil {
			return control.ObjectInfo{}, err
		}
		d.etags.set(key, stat, etag)
	}
	h := defaults(key)
	if !d.special.Load() {
		// nothing has headers of its own
	} else if b, err := d.root.ReadFile(headersFile(key, etag)); err == nil {
		if err := json.Unmarshal(b, &h); err != nil {
			return control.ObjectInfo{}, fmt.Errorf("read its headers: %w", err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return control.ObjectInfo{}, err
	}
	return control.ObjectInfo{
		Key: key, ETag: etag, SizeBytes: stat.Size(), ModifiedAt: stat.ModTime().UTC(),
		ContentType: h.ContentType, CacheControl: h.CacheControl,
	}, nil
}

// List answers objects in key order.
func (d *Disk) List(ctx context.Context, prefix, after string, limit int) ([]control.ObjectInfo, error) {
	l := lister{fsys: d.root.FS(), prefix: prefix, after: after, limit: limit}
	if err := l.walk(ctx, "."); err != nil {
		return nil, fmt.Errorf("list objects %q: %w", prefix, err)
	}
	var infos []control.ObjectInfo
	for _, key := range l.keys {
		f, info, err := d.open(key)
		if errors.Is(err, control.ErrNotFound) {
			continue // deleted in the meantime
		}
		if err == nil {
			infos, err = append(infos, info), f.Close()
		}
		if err != nil {
			return nil, fmt.Errorf("list objects %q: %w", prefix, err)
		}
	}
	return infos, nil
}

type lister struct {
	fsys          fs.FS
	prefix, after string
	limit         int
	keys          []string
}

// walk appends the keys below dir. Directories are in the place of their name
// with a slash: "a-b" comes before "a/b".
func (l *lister) walk(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := fs.ReadDir(l.fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // pruned in the meantime
	}
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if e.IsDir() {
			name += "/"
		}
		if e.Name()[0] != '.' {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if len(l.keys) >= l.limit {
			return nil
		}
		below, isDir := strings.CutSuffix(name, "/")
		switch {
		case isDir && l.enter(name):
			if err := l.walk(ctx, below); err != nil {
				return err
			}
		case !isDir && name > l.after && strings.HasPrefix(name, l.prefix):
			l.keys = append(l.keys, name)
		}
	}
	return nil
}

// enter reports whether a directory may hold keys that are asked for.
func (l *lister) enter(dir string) bool {
	if !strings.HasPrefix(dir, l.prefix) && !strings.HasPrefix(l.prefix, dir) {
		return false
	}
	return dir > l.after || strings.HasPrefix(l.after, dir)
}
