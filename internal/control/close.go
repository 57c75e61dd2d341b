package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/manifest"
)

// liveFolder is where the objects of a play id lie (docs/adr/0009).
func liveFolder(id broadcast.PlayID) string { return "live/" + string(id) + "/" }

// CloseShow gives the playlists of an ended show their ENDLIST and its MPD its
// static form, whether or not a worker still writes. Idempotent. A show
// without media has nothing to close.
func (s *Service) CloseShow(ctx context.Context, id broadcast.PlayID) error {
	folder := liveFolder(id)
	return s.retry(ctx, func() error {
		record, info, err := s.Objects.Get(ctx, folder+manifest.RecordName)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the record of %s: %w", id, err)
		}
		files, err := manifest.Close(record, s.Now())
		if err != nil {
			return fmt.Errorf("close %s: %w", id, err)
		}
		for _, f := range files {
			// The record first, on what was read: that fences the worker. It
			// can have one more write of each other manifest under way.
			etag := ""
			if f.Name == manifest.RecordName {
				etag = info.ETag
			}
			if err := replace(ctx, s.Objects, folder+f.Name, f, etag); err != nil {
				return err
			}
		}
		return nil
	})
}

// replace writes a manifest on the condition of etag, or of what lies there
// now where etag is "".
func replace(ctx context.Context, o Objects, key string, f manifest.File, etag string) error {
	opt := PutOptions{ContentType: f.ContentType, CacheControl: manifest.CacheControl, IfMatch: etag}
	if etag == "" {
		_, info, err := o.Get(ctx, key)
		switch {
		case errors.Is(err, ErrNotFound):
			opt.IfNoneMatch = true
		case err != nil:
			return fmt.Errorf("read %s: %w", key, err)
		default:
			opt.IfMatch = info.ETag
		}
	}
	if _, err := o.Put(ctx, key, [][]byte{f.Body}, opt); err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return nil
}
