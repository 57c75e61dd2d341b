package job

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ffmpeg"
	"github.com/roomcast/roomcast/internal/manifest"
	"github.com/roomcast/roomcast/internal/media"
	"github.com/roomcast/roomcast/internal/mediatest"
)

// folder is a bucket in a directory; puts counts what was written, and done is
// told of it.
type folder struct {
	dir  string
	done func(key string)
	mu   sync.Mutex
	puts []string
}

func (f *folder) path(key string) string { return filepath.Join(f.dir, filepath.FromSlash(key)) }

func (f *folder) Get(_ context.Context, key string) ([]byte, control.ObjectInfo, error) {
	b, err := os.ReadFile(f.path(key))
	if errors.Is(err, os.ErrNotExist) {
		err = control.ErrNotFound
	}
	return b, control.ObjectInfo{}, err
}

func (f *folder) GetTo(ctx context.Context, key string, w io.Writer) error {
	b, _, err := f.Get(ctx, key)
	if err == nil {
		_, err = w.Write(b)
	}
	return err
}

func (f *folder) GetRange(ctx context.Context, key string, from, size int64) ([]byte, int64, error) {
	b, _, err := f.Get(ctx, key)
	total := int64(len(b))
	return b[min(from, total):min(from+size, total)], total, err
}

func (f *folder) PutFrom(_ context.Context, key string, r io.Reader, _ control.PutOptions) (string, error) {
	f.mu.Lock()
	f.puts = append(f.puts, key)
	f.mu.Unlock()
	b, err := io.ReadAll(r)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(f.path(key)), 0o700)
	}
	if err == nil {
		err = os.WriteFile(f.path(key), b, 0o600)
	}
	if f.done != nil {
		f.done(key)
	}
	return "", err
}

// run publishes a source as one run of 2 s segments, numbered from first, and
// answers its index entries. The source's times begin at 0.
func (f *folder) run(t testing.TB, src, run string, first, segments int) (list []manifest.IndexSegment) {
	t.Helper()
	for i, track := range []string{"v", "a"} {
		dir := f.path("live/p/" + run + "/" + track)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-i", src, "-map", fmt.Sprint("0:", i), "-c", "copy",
			"-f", "dash", "-seg_duration", "2", "-use_template", "1", "-use_timeline", "1", "-format_options", "use_editlist=0:video_track_timescale=90000",
			"-init_seg_name", "init.mp4", "-media_seg_name", "$Number$.m4s", filepath.Join(dir, "x.mpd")).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if err := os.Rename(filepath.Join(dir, "init.mp4"), f.path("live/p/"+run+"/"+track+"-init.mp4")); err != nil {
			t.Fatal(err)
		}
		for n := segments; n >= 1; n-- { // upwards: no name is taken
			if err := os.Rename(filepath.Join(dir, fmt.Sprint(n, ".m4s")), filepath.Join(dir, fmt.Sprint("n", first+n-1, ".m4s"))); err != nil {
				t.Fatal(err)
			}
		}
		for n := range segments {
			if err := os.Rename(filepath.Join(dir, fmt.Sprint("n", first+n, ".m4s")), filepath.Join(dir, fmt.Sprint(first+n, ".m4s"))); err != nil {
				t.Fatal(err)
			}
		}
	}
	return index(run, first, segments)
}

// index answers the entries of a run's segments.
func index(run string, first, segments int) (list []manifest.IndexSegment) {
	for n := range segments {
		list = append(list, manifest.IndexSegment{
			Number: uint64(first + n), Run: run, Independent: true,
			Tracks: []manifest.IndexTrack{
				{Name: "v", Kind: media.Video, Codecs: "avc1.64001f", Timescale: 90_000, PTS: media.Ticks(180_000 * n), Duration: 180_000},
				{Name: "a", Kind: media.Audio, Codecs: "mp4a.40.2", Timescale: 48_000, PTS: media.Ticks(96_000 * n), Duration: 96_000},
			},
		})
	}
	return list
}

func newJob(t testing.TB, f *folder) *Transcoder {
	t.Helper()
	tool := ffmpeg.New(t.Context())
	if missing := tool.Missing(); len(missing) > 0 {
		t.Fatalf("missing: %v", missing)
	}
	return New(Options{Tool: tool, Objects: f, Scratch: t.TempDir(), Parallel: 1})
}

func sourceTask(list []manifest.IndexSegment) control.SourceTask {
	return control.SourceTask{
		PostID: "post_1", Folder: "posts/post_1/", Live: "live/p/",
		Segments: func(_ context.Context, add func(manifest.IndexSegment) error) error {
			for _, s := range list {
				if err := add(s); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func TestRunsOfOneCodecAreJoinedFrameByFrame(t *testing.T) {
	src := mediatest.Generate(t, mediatest.Spec{BFrames: 2, Duration: 6 * time.Second, Container: "mp4"})
	f := &folder{dir: t.TempDir()}
	list := append(f.run(t, src, "s1-0", 1, 3), f.run(t, src, "s2-0", 4, 3)...)
	files, err := newJob(t, f).Source(t.Context(), sourceTask(list))
	if err != nil || len(files) != 1 {
		t.Fatalf("%+v, %v", files, err)
	}
	frames := mediatest.FrameMD5(t, src)
	got := mediatest.FrameMD5(t, f.path(files[0].Key))
	if !slices.Equal(got, slices.Concat(frames, frames)) {
		t.Errorf("%d frames, want %d twice", len(got), len(frames))
	}
	mediatest.DecodeStrict(t, f.path(files[0].Key))
	if d := files[0].Duration; (d - 12*time.Second).Abs() > 200*time.Millisecond {
		t.Errorf("duration %v", d)
	}
}

func TestAChangedPictureIsAFileOfItsOwn(t *testing.T) {
	small := mediatest.Generate(t, mediatest.Spec{Duration: 4 * time.Second, Container: "mp4"})
	large := mediatest.Generate(t, mediatest.Spec{Duration: 4 * time.Second, Width: 640, Height: 360, Container: "mp4"})
	f := &folder{dir: t.TempDir()}
	list := append(f.run(t, small, "s1-0", 1, 2), f.run(t, large, "s2-0", 3, 2)...)
	files, err := newJob(t, f).Source(t.Context(), sourceTask(list))
	if err != nil || len(files) != 2 {
		t.Fatalf("%+v, %v", files, err)
	}
	for i, src := range []string{small, large} {
		if !slices.Equal(mediatest.FrameMD5(t, f.path(files[i].Key)), mediatest.FrameMD5(t, src)) {
			t.Errorf("file %d is not its session", i+1)
		}
	}
}

// What is in the scratch folder is not made again, and what was broken off is.
func TestASecondRunGoesOnWhereTheFirstOneWasKilled(t *testing.T) {
	src := mediatest.Generate(t, mediatest.Spec{Duration: 4 * time.Second, Width: 640, Height: 360, Container: "mp4"})
	f := &folder{dir: t.TempDir()}
	j := newJob(t, f)
	body, err := os.ReadFile(src)
	if err == nil {
		err = errors.Join(os.MkdirAll(f.path("posts/post_1"), 0o700), os.WriteFile(f.path("posts/post_1/source.mp4"), body, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	vod, _ := control.ShippedProfile(control.VODProfile)
	task := control.ProcessTask{PostID: "post_1", Folder: "posts/post_1/", Profile: vod, Thumbnail: control.PictureBox{WidthPixels: 1280}, Preview: control.PictureBox{WidthPixels: 160, HeightPixels: 160}, Sources: []broadcast.PostFile{{Key: "posts/post_1/source.mp4"}}}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := j.Process(ctx, task, func(int) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Fatalf("the first run: %v", err)
	}
	rung := filepath.Join(j.folder("post_1"), "rendition-360p.mp4")
	if _, err := os.Stat(rung); err == nil {
		t.Fatal("a file that was broken off passes for a finished one")
	}
	percents := []int{}
	done, err := j.Process(t.Context(), task, func(p int) { percents = append(percents, p) })
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(percents) || len(percents) == 0 || percents[len(percents)-1] > 100 {
		t.Errorf("progress %v", percents)
	}
	before, err := os.Stat(rung)
	if err != nil {
		t.Fatal(err)
	}
	again, err := j.Process(t.Context(), task, func(int) { t.Error("something was encoded again") })
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(rung)
	if err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("%s was made again (%v)", rung, err)
	}
	if fmt.Sprint(again) != fmt.Sprint(done) {
		t.Errorf("the runs answer\n%+v\n%+v", done, again)
	}
	for _, key := range []string{done.Playback.HLSKey, done.Playback.DASHKey, done.Playback.MP4Key} {
		mediatest.DecodeStrict(t, f.path(key))
	}
	if len(done.Renditions) != 2 || done.Renditions[0].HeightPixels != 360 || done.Renditions[0].FrameRate != 25 {
		t.Errorf("renditions %+v", done.Renditions)
	}
	for _, key := range []string{done.ThumbnailKey, done.PreviewKey, done.SpriteKey, done.SpriteVTTKey} {
		if info, err := os.Stat(f.path(key)); key == "" || err != nil || info.Size() == 0 {
			t.Errorf("picture %q: %v", key, err)
		}
	}
	// RFC 9649, 2.7.1: the canvas in VP8X, each side less one.
	if webp, err := os.ReadFile(f.path(done.PreviewKey)); err != nil || len(webp) < 30 || webp[24] != 159 || webp[27] != 89 {
		t.Errorf("the preview of a 640×360 source does not fill a box of 160×160 (%v)", err)
	}
	master := slices.IndexFunc(f.puts, func(k string) bool { return strings.HasSuffix(k, "master.m3u8") })
	last := slices.IndexFunc(f.puts, func(k string) bool { return strings.HasSuffix(k, ".m4s") })
	if master < last {
		t.Errorf("uploaded in the order %v", f.puts)
	}
	j.Forget("post_1")
	if _, err := os.Stat(j.folder("post_1")); !errors.Is(err, os.ErrNotExist) {
		t.Error("scratch files stay")
	}
}

// A task's scratch folder is lost with it: what it had finished is in the bucket.
func TestASecondTaskDoesNoFinishedRenditionAgain(t *testing.T) {
	src := mediatest.Generate(t, mediatest.Spec{Duration: 2 * time.Second, Width: 640, Height: 360, Container: "mp4"})
	body, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	f := &folder{dir: t.TempDir()}
	if _, err = f.PutFrom(t.Context(), "posts/post_1/source.mp4", bytes.NewReader(body), control.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	vod, _ := control.ShippedProfile(control.VODProfile)
	task := control.ProcessTask{PostID: "post_1", Folder: "posts/post_1/", Profile: vod, Sources: []broadcast.PostFile{{Key: "posts/post_1/source.mp4"}}}
	const rung = "posts/post_1/" + control.ScratchFolder + "rendition-360p.mp4"
	ctx, killed := context.WithCancel(t.Context())
	f.done = func(key string) {
		if key == rung {
			killed()
		}
	}
	run := func(ctx context.Context) (control.Processed, error) {
		j := newJob(t, f)
		j.Keep = true
		return j.Process(ctx, task, func(int) {})
	}
	if _, err := run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("the first run: %v", err)
	}
	done, err := run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{rung, "posts/post_1/" + control.ScratchFolder + "audio.mp4"} {
		if n := len(f.puts) - len(slices.DeleteFunc(slices.Clone(f.puts), func(k string) bool { return k == key })); n != 1 {
			t.Errorf("%s was made %d times", key, n)
		}
	}
	mediatest.DecodeStrict(t, f.path(done.Playback.MP4Key))
}

func TestTheSpritesTimesCoverTheWhole(t *testing.T) {
	for _, length := range []time.Duration{500 * time.Millisecond, 7 * time.Second, 200 * time.Second, 12 * time.Hour} {
		g := newGrid(length, 1080, 1920)
		if g.count > 100 || g.count > g.columns*g.rows || time.Duration(g.count)*g.every < length || g.width%2+g.height%2 != 0 {
			t.Errorf("%v: %+v", length, g)
		}
		if n := strings.Count(g.vtt("s.jpg"), "#xywh="); n != g.count {
			t.Errorf("%v: %d cues for %d pictures", length, n, g.count)
		}
	}
}

func TestTheOriginalOfALadderIsItsBestRendition(t *testing.T) {
	v := manifest.IndexTrack{Name: "v", Kind: media.Video}
	low := manifest.IndexTrack{Name: "360p", Kind: media.Video}
	a := manifest.IndexTrack{Name: "a", Kind: media.Audio}
	if got := originals([]manifest.IndexTrack{v, low, a}); !slices.Equal(got, []manifest.IndexTrack{v, a}) {
		t.Errorf("%+v", got)
	}
	if got := originals([]manifest.IndexTrack{a}); !slices.Equal(got, []manifest.IndexTrack{a}) {
		t.Errorf("%+v", got)
	}
}

// process makes everything of a source.
func process(t *testing.T, spec mediatest.Spec) (f *folder, src string, done control.Processed) {
	t.Helper()
	spec.Duration, spec.Container = 2*time.Second, "mp4"
	src = mediatest.Generate(t, spec)
	f, done = processed(t, src)
	return f, src, done
}

// processed makes everything of a show with these originals.
func processed(t *testing.T, originals ...string) (f *folder, done control.Processed) {
	t.Helper()
	f = &folder{dir: t.TempDir()}
	vod, _ := control.ShippedProfile(control.VODProfile)
	task := control.ProcessTask{PostID: "post_1", Folder: "posts/post_1/", Profile: vod, Thumbnail: control.PictureBox{WidthPixels: 1280}, Preview: control.PictureBox{WidthPixels: 160, HeightPixels: 160}}
	for i, path := range originals {
		key := fmt.Sprintf("posts/post_1/source-%d.mp4", i+1)
		body, err := os.ReadFile(path)
		if err == nil {
			_, err = f.PutFrom(t.Context(), key, bytes.NewReader(body), control.PutOptions{})
		}
		if err != nil {
			t.Fatal(err)
		}
		task.Sources = append(task.Sources, broadcast.PostFile{Key: key})
	}
	last := 0
	done, err := newJob(t, f).Process(t.Context(), task, func(percent int) {
		if percent < last || percent > 100 {
			t.Errorf("progress %d after %d", percent, last)
		}
		last = percent
	})
	if err != nil {
		t.Fatal(err)
	}
	return f, done
}

// A rendition of the source's own size is made, not the original passed off
// as it. 320x180 is below every step of the profile.
func TestARenditionOfTheSourcesSizeIsEncoded(t *testing.T) {
	f, src, done := process(t, mediatest.Spec{})
	if slices.Equal(mediatest.FrameMD5(t, f.path(done.Playback.MP4Key)), mediatest.FrameMD5(t, src)) {
		t.Error("its pictures are the original's")
	}
}

func TestEverySetOfTracksIsProcessed(t *testing.T) {
	for name, spec := range map[string]mediatest.Spec{
		"audio only": {NoVideo: true}, "video only": {NoAudio: true}, "44.1 kHz mono": {SampleRate: 44_100, Channels: 1}, "HEVC": {HEVC: true},
	} {
		t.Run(name, func(t *testing.T) {
			f, _, done := process(t, spec)
			for _, key := range []string{done.Playback.HLSKey, done.Playback.DASHKey, done.Playback.MP4Key} {
				mediatest.DecodeStrict(t, f.path(key))
			}
		})
	}
}
