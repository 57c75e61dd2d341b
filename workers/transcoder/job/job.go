// Package job makes the files of a recording: the original as one MP4, its
// renditions, its pictures. One job is one child process of ffmpeg at a time.
package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"os"
	"path/filepath"
	"strings"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ffmpeg"
	"github.com/roomcast/roomcast/internal/manifest"
)

// Objects is the bucket, with objects of any size. Safe for concurrent use.
type Objects interface {
	Get(ctx context.Context, key string) ([]byte, control.ObjectInfo, error)
	// GetRange answers up to size bytes from a place on, and the object's size.
	GetRange(ctx context.Context, key string, from, size int64) ([]byte, int64, error)
	GetTo(ctx context.Context, key string, w io.Writer) error
	PutFrom(ctx context.Context, key string, r io.Reader, opt control.PutOptions) (etag string, err error)
}

// Options are what a Transcoder needs; all but Log are required.
type Options struct {
	Tool    *ffmpeg.Tool
	Objects Objects
	// Scratch is a folder of this process's own for files that are being
	// made. What lies there from an earlier run is gone on with.
	Scratch string
	// Keep lays what is encoded into the bucket as well, until the post is
	// processed: for a process whose scratch folder is lost with it.
	Keep bool
	// Parallel is how many children run at once; at least 1.
	Parallel int
	Log      *slog.Logger
}

// Transcoder is a control.Transcoder.
type Transcoder struct {
	Options
	places chan struct{}
}

var _ control.Transcoder = (*Transcoder)(nil)

// New makes a Transcoder.
func New(o Options) *Transcoder {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Transcoder{Options: o, places: make(chan struct{}, max(o.Parallel, 1))}
}

// CanEncode implements control.Transcoder.
func (t *Transcoder) CanEncode() bool { return len(t.Tool.Missing()) == 0 }

// Forget implements control.Transcoder.
func (t *Transcoder) Forget(id broadcast.PostID) {
	if err := os.RemoveAll(t.folder(id)); err != nil {
		t.Log.Warn("scratch files stay", "post", id, "err", err)
	}
}

func (t *Transcoder) folder(id broadcast.PostID) string {
	return filepath.Join(t.Scratch, strings.ReplaceAll(string(id), string(filepath.Separator), "_"))
}

// enter waits for the place of a child process.
func (t *Transcoder) enter(ctx context.Context) (leave func(), err error) {
	select {
	case t.places <- struct{}{}:
		return func() { <-t.places }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// make runs ffmpeg for the file path unless it is there: it comes into being
// whole, by a rename. args gets the name to write.
func (t *Transcoder) make(ctx context.Context, path string, args func(out string) []string, run func(args []string) error) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	leave, err := t.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	part := filepath.Join(filepath.Dir(path), "part-"+filepath.Base(path))
	if err := run(args(part)); err != nil {
		return errors.Join(err, os.RemoveAll(part))
	}
	return os.Rename(part, path)
}

// put uploads a file; the content type follows from the key.
func (t *Transcoder) put(ctx context.Context, key, path string) error {
	f, err := os.Open(path) // #nosec G304 -- a file of ours
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	_, err = t.Objects.PutFrom(ctx, key, f, control.PutOptions{ContentType: contentType(key), CacheControl: manifest.Immutable})
	if err != nil {
		return fmt.Errorf("upload %s: %w", key, err)
	}
	return nil
}

func contentType(key string) string {
	switch filepath.Ext(key) {
	case ".m3u8":
		return "application/vnd.apple.mpegurl"
	case ".mpd":
		return "application/dash+xml"
	case ".m4s", ".mp4":
		return "video/mp4"
	case ".vtt":
		return "text/vtt"
	case ".webp":
		return "image/webp"
	case ".jpg":
		return "image/jpeg"
	}
	return mime.TypeByExtension(filepath.Ext(key))
}
