package job

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/cmaf"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/manifest"
)

const (
	// headBytes is what is read of a segment for its index at first: that of
	// six seconds at 60 pictures a second.
	headBytes = 8 << 10
	// How many segments are asked for at once: heads, and whole ones, which
	// wait in memory.
	headsAhead, mediaAhead = 32, 6
)

// piece is where a segment's media lie.
type piece struct {
	key        string
	from, size int64
}

// Source implements control.Transcoder: it reads the heads of all segments for
// the index of an MP4, then copies their media behind it. Neither ffmpeg nor
// the scratch folder has a part in it. Memory: 12 bytes of each access unit and
// some segments.
func (t *Transcoder) Source(ctx context.Context, task control.SourceTask) ([]broadcast.PostFile, error) {
	files, err := t.plan(ctx, task)
	if err != nil {
		return nil, fmt.Errorf("plan the original of %s: %w", task.PostID, err)
	}
	var made []broadcast.PostFile
	for i, f := range files {
		key := task.Folder + "source.mp4"
		if len(files) > 1 {
			key = fmt.Sprintf("%ssource-%d.mp4", task.Folder, i+1)
		}
		file, err := t.original(ctx, task, f, key)
		if err != nil {
			return nil, fmt.Errorf("original %d of %s: %w", i+1, task.PostID, err)
		}
		if file.SizeBytes > 0 {
			made = append(made, file)
		}
	}
	if len(made) == 0 {
		return nil, fmt.Errorf("the original of %s: no segments", task.PostID)
	}
	return made, nil
}

// original writes one file; its size is 0 where no segment is left.
func (t *Transcoder) original(ctx context.Context, task control.SourceTask, f *file, key string) (broadcast.PostFile, error) {
	movie := cmaf.NewMovie(lead)
	for _, track := range f.order {
		if err := movie.AddTrack(f.inits[track]); err != nil {
			return broadcast.PostFile{}, fmt.Errorf("track %s: %w", track, err)
		}
	}
	pieces, err := t.index(ctx, task, f, movie)
	if err != nil || len(pieces) == 0 {
		return broadcast.PostFile{}, err
	}
	header, err := movie.Header()
	if err != nil {
		return broadcast.PostFile{}, err
	}
	made := broadcast.PostFile{Key: key, SizeBytes: int64(len(header)), ContentType: contentType(key), Duration: movie.Duration()}
	for _, p := range pieces {
		made.SizeBytes += p.size
	}
	body, w := io.Pipe()
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		w.CloseWithError(t.copyTo(ctx, w, header, pieces))
	}()
	_, err = t.Objects.PutFrom(ctx, key, body, control.PutOptions{ContentType: made.ContentType, CacheControl: manifest.Immutable})
	_ = body.CloseWithError(io.ErrClosedPipe) // it may not have been read to its end
	<-copied
	return made, err
}

// index reads the heads of a file's segments into movie and answers where the
// media lie, in their order. A segment that is missing or broken is a hole.
func (t *Transcoder) index(ctx context.Context, task control.SourceTask, f *file, movie *cmaf.Movie) (pieces []piece, err error) {
	type segment struct {
		key   string
		track int
		shift int64
	}
	var list []segment
	for _, d := range f.stretches {
		for i := range d.until - d.from + 1 {
			for n, track := range f.order {
				if has := d.has[track]; i < uint64(len(has)) && has[i] {
					_, key := manifest.IndexSegment{Run: d.run, Number: d.from + i, Opening: d.opening && i == 0}.Object(track)
					list = append(list, segment{task.Live + key, n, d.delta(f.scales[track])})
				}
			}
		}
	}
	hole := func(s segment, err error) {
		t.Log.WarnContext(ctx, "a segment is missing: the original has a hole", "post", task.PostID, "object", s.key, "err", err)
	}
	type head struct {
		bytes []byte
		total int64
		err   error // control.ErrNotFound
	}
	read := func(ctx context.Context, key string, size int64) (h head, err error) {
		h.bytes, h.total, err = t.Objects.GetRange(ctx, key, 0, size)
		if errors.Is(err, control.ErrNotFound) {
			return head{err: err}, nil
		}
		return h, err
	}
	err = inOrder(ctx, len(list), headsAhead, func(ctx context.Context, i int) (head, error) {
		return read(ctx, list[i].key, headBytes)
	}, func(i int, h head) error {
		s := list[i]
		if h.err != nil {
			hole(s, h.err)
			return nil
		}
		for {
			from, size, err := movie.Add(s.track, h.bytes, s.shift, h.total)
			if errors.Is(err, cmaf.ErrShort) && int64(len(h.bytes)) < h.total {
				if h, err = read(ctx, s.key, 8*int64(len(h.bytes))); err == nil && h.err == nil {
					continue
				}
				err = errors.Join(err, h.err)
			}
			if err != nil && ctx.Err() == nil {
				hole(s, err)
				return nil
			}
			pieces = append(pieces, piece{s.key, from, size})
			return ctx.Err()
		}
	})
	return pieces, err
}

// copyTo writes header and what follows it.
func (t *Transcoder) copyTo(ctx context.Context, w io.Writer, header []byte, pieces []piece) error {
	if _, err := w.Write(header); err != nil {
		return err
	}
	return inOrder(ctx, len(pieces), mediaAhead, func(ctx context.Context, i int) ([]byte, error) {
		p := pieces[i]
		b, _, err := t.Objects.GetRange(ctx, p.key, p.from, p.size)
		if err == nil && int64(len(b)) != p.size {
			err = fmt.Errorf("%s has changed: %w", p.key, io.ErrUnexpectedEOF)
		}
		return b, err
	}, func(_ int, b []byte) error {
		_, err := w.Write(b)
		return err
	})
}
