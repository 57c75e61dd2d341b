package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ffmpeg"
	"github.com/roomcast/roomcast/internal/manifest"
)

// Source implements control.Transcoder: it pipes the segments, moved so that
// one run follows the other, into ffmpeg, which only copies. Memory: one
// segment per track.
func (t *Transcoder) Source(ctx context.Context, task control.SourceTask) ([]broadcast.PostFile, error) {
	files, err := t.plan(ctx, task)
	if err != nil {
		return nil, fmt.Errorf("plan the original of %s: %w", task.PostID, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("the original of %s: no segments", task.PostID)
	}
	var made []broadcast.PostFile
	for i, f := range files {
		name := "source.mp4"
		if len(files) > 1 {
			name = fmt.Sprintf("source-%d.mp4", i+1)
		}
		path := filepath.Join(t.folder(task.PostID), name)
		err := t.make(ctx, path, func(out string) []string { return ffmpeg.Remux(len(f.order), out) }, func(args []string) error {
			var inputs []ffmpeg.Input
			for _, track := range f.order {
				inputs = append(inputs, func(ctx context.Context, w io.Writer) error { return t.feed(ctx, task, f, track, w) })
			}
			return t.Tool.Run(ctx, args, inputs, nil)
		})
		if err != nil {
			return nil, fmt.Errorf("original %d of %s: %w", i+1, task.PostID, err)
		}
		info, err := t.Tool.Probe(ctx, path)
		if err != nil {
			return nil, err
		}
		size, err := t.put(ctx, task.Folder+name, path)
		if err != nil {
			return nil, err
		}
		made = append(made, broadcast.PostFile{
			Key: task.Folder + name, SizeBytes: size, ContentType: "video/mp4", Duration: info.Duration,
		})
	}
	return made, nil
}

// feed writes one track of a file: its init segment, then every segment.
func (t *Transcoder) feed(ctx context.Context, task control.SourceTask, f *file, track string, w io.Writer) error {
	if _, err := w.Write(f.inits[track]); err != nil {
		return err
	}
	for _, d := range f.stretches {
		delta := d.delta(f.scales[track])
		for i, has := range d.has[track] {
			if !has {
				continue
			}
			s := manifest.IndexSegment{Run: d.run, Number: d.from + uint64(i)}
			_, key := s.Object(track)
			body, _, err := t.Objects.Get(ctx, task.Live+key)
			if errors.Is(err, control.ErrNotFound) {
				t.Log.WarnContext(ctx, "a segment is missing: the original has a hole", "post", task.PostID, "object", key)
				continue
			}
			if err != nil {
				return err
			}
			if err := rebase(body, delta); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			if _, err := w.Write(body); err != nil {
				return err
			}
		}
	}
	return nil
}
