package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ffmpeg"
	"github.com/roomcast/roomcast/internal/ladder"
)

// work is one Process under way.
type work struct {
	*Transcoder
	task     control.ProcessTask
	dir      string
	parts    []ffmpeg.Part // the originals
	source   string        // all of them in one file
	media    ffmpeg.Media  // what source holds
	profile  ladder.Profile
	done     int // steps
	steps    int
	progress func(percent int)
}

// Process implements control.Transcoder. Each file is made whole in the
// scratch folder before the next one is begun; what is there is not made
// again.
func (t *Transcoder) Process(ctx context.Context, task control.ProcessTask, progress func(percent int)) (control.Processed, error) {
	w := &work{Transcoder: t, task: task, dir: t.folder(task.PostID), profile: task.Profile.Content.Ladder(), progress: progress}
	done, err := w.run(ctx)
	if err != nil {
		return control.Processed{}, fmt.Errorf("process %s: %w", task.PostID, err)
	}
	return done, nil
}

func (w *work) run(ctx context.Context) (done control.Processed, err error) {
	if err = w.fetch(ctx); err != nil {
		return done, err
	}
	var rungs []ladder.Rendition
	if v := w.media.Video; v != nil {
		rungs = ladder.Video(w.profile, ladder.Source{
			WidthPixels: v.WidthPixels, HeightPixels: v.HeightPixels, FrameRate: v.FrameRate, HasVideo: true,
		})
	}
	w.steps = len(rungs) + 2
	if len(w.parts) > 1 {
		w.steps++
		w.source = filepath.Join(w.dir, "whole.mp4")
		if err = w.render(ctx, w.source, func(out string) []string { return ffmpeg.Unite(w.parts, out) }); err != nil {
			return done, err
		}
	}
	var files []string
	for _, r := range rungs {
		path := filepath.Join(w.dir, "rendition-"+r.Name+".mp4") // no name of a rendition is another file's
		err = w.render(ctx, path, func(out string) []string {
			return ffmpeg.Encode(w.source, r, w.media.Video.FrameRate, w.profile.SegmentSeconds, out)
		})
		if err != nil {
			return done, err
		}
		files = append(files, path)
		done.Renditions = append(done.Renditions, w.describe(ctx, r, path))
	}
	if w.media.Audio != nil {
		path := filepath.Join(w.dir, "audio.mp4")
		bps := w.profile.AudioBitrateBPS
		if err = w.render(ctx, path, func(out string) []string { return ffmpeg.EncodeAudio(w.source, bps, out) }); err != nil {
			return done, err
		}
		files = append(files, path)
		done.Renditions = append(done.Renditions, broadcast.PostRendition{Name: "audio", Kind: "audio", Codecs: "mp4a.40.2", BitrateBPS: bps})
	}
	if err = w.publish(ctx, files, len(rungs), &done); err != nil {
		return done, err
	}
	if len(rungs) > 0 {
		w.pictures(ctx, &done)
	}
	return done, nil
}

// fetch gets the originals into the scratch folder.
func (w *work) fetch(ctx context.Context) error {
	for i, original := range w.task.Sources {
		path := filepath.Join(w.dir, fmt.Sprintf("source-%d.mp4", i+1))
		if err := w.fetched(ctx, original.Key, path); err != nil {
			return err
		}
		media, err := w.Tool.Probe(ctx, path)
		if err != nil {
			return err
		}
		w.parts = append(w.parts, ffmpeg.Part{Path: path, Media: media})
	}
	if len(w.parts) == 0 {
		return errors.New("there is no original")
	}
	w.source, w.media = w.parts[0].Path, ffmpeg.United(w.parts)
	return nil
}

// render is encode of what takes long: a file that was kept in the bucket is
// fetched, and one that is made is kept there.
func (w *work) render(ctx context.Context, path string, args func(out string) []string) error {
	if !w.Keep {
		return w.encode(ctx, path, args)
	}
	key := w.task.Folder + control.ScratchFolder + filepath.Base(path)
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		if err = w.fetched(ctx, key, path); errors.Is(err, control.ErrNotFound) {
			if err = w.encode(ctx, path, args); err == nil {
				err = w.put(ctx, key, path)
			}
			return err
		}
	}
	if err != nil {
		return err
	}
	return w.encode(ctx, path, args)
}

// fetched copies an object into a file, whole or not at all.
func (w *work) fetched(ctx context.Context, key, path string) error {
	return w.make(ctx, path, func(out string) []string { return []string{out} }, func(out []string) error {
		f, err := os.Create(out[0])
		if err != nil {
			return err
		}
		return errors.Join(w.Objects.GetTo(ctx, key, f), f.Close())
	})
}

// encode makes one file and tells its share of the progress.
func (w *work) encode(ctx context.Context, path string, args func(out string) []string) error {
	err := w.make(ctx, path, args, func(args []string) error {
		return w.Tool.Run(ctx, args, func(at time.Duration) {
			share := min(float64(at)/float64(max(w.media.Duration, 1)), 1)
			w.progress(int(100 * (float64(w.done) + share) / float64(w.steps)))
		})
	})
	w.done++
	return err
}

func (w *work) describe(ctx context.Context, r ladder.Rendition, path string) broadcast.PostRendition {
	out := broadcast.PostRendition{
		Name: r.Name, Kind: "video", WidthPixels: r.WidthPixels, HeightPixels: r.HeightPixels,
		FrameRate: r.FrameRate, BitrateBPS: r.BitrateBPS,
	}
	if m, err := w.Tool.Probe(ctx, path); err == nil && m.Video != nil {
		out.FrameRate, out.BitrateBPS = m.Video.FrameRate, max(m.Video.BitrateBPS, 1)
	}
	return out
}

// publish packs the renditions for HLS and DASH and the best of them into one
// MP4, and uploads: segments before the playlists that name them.
func (w *work) publish(ctx context.Context, files []string, videos int, done *control.Processed) error {
	mp4 := filepath.Join(w.dir, "video.mp4")
	best := files[:1]
	if videos > 0 && len(files) > videos {
		best = []string{files[0], files[videos]}
	}
	if err := w.encode(ctx, mp4, func(out string) []string { return ffmpeg.Join(best, out) }); err != nil {
		return err
	}
	pack := filepath.Join(w.dir, "pack")
	err := w.make(ctx, pack, func(out string) []string {
		return ffmpeg.Package(files, videos, w.profile.SegmentSeconds, filepath.Join(out, "manifest.mpd"))
	},
		func(args []string) error {
			part := filepath.Dir(args[len(args)-1])
			if err := errors.Join(os.RemoveAll(part), os.MkdirAll(part, 0o700)); err != nil {
				return err
			}
			return w.Tool.Run(ctx, args, nil)
		})
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(pack)
	if err != nil {
		return err
	}
	slices.SortStableFunc(entries, func(a, b os.DirEntry) int { return rank(a.Name()) - rank(b.Name()) })
	folder := w.task.Folder + "vod/"
	for _, e := range entries {
		if err := w.put(ctx, folder+e.Name(), filepath.Join(pack, e.Name())); err != nil {
			return err
		}
	}
	if err := w.put(ctx, w.task.Folder+"video.mp4", mp4); err != nil {
		return err
	}
	done.Playback = broadcast.PostPlayback{
		HLSKey: folder + "master.m3u8", DASHKey: folder + "manifest.mpd", MP4Key: w.task.Folder + "video.mp4",
	}
	return nil
}

// rank orders uploads: media, playlists, then what names playlists.
func rank(name string) int {
	switch {
	case name == "master.m3u8" || strings.HasSuffix(name, ".mpd"):
		return 2
	case strings.HasSuffix(name, ".m3u8"):
		return 1
	}
	return 0
}
