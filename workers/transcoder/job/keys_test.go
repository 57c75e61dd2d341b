package job

import (
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/mediatest"
)

// keyFrames are the times of a file's key frames, and how many pictures it has.
func keyFrames(t *testing.T, file string) (keys []string, pictures int) {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "csv=p=0", "-show_entries", "packet=pts_time,flags", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		at, flags, _ := strings.Cut(strings.TrimSpace(line), ",")
		if pictures++; strings.HasPrefix(flags, "K") {
			keys = append(keys, at)
		}
	}
	return keys, pictures
}

// Whatever GOP the source has, also where pictures are left out, players change
// between renditions at every segment.
func TestRenditionsHaveTheirKeyFramesAtTheSameTimes(t *testing.T) {
	for name, spec := range map[string]mediatest.Spec{
		"an odd GOP": {FPS: 25, GOP: 33, BFrames: 2}, "a fast source": {FPS: 120, GOP: 500},
	} {
		t.Run(name, func(t *testing.T) {
			spec.Width, spec.Height, spec.Duration, spec.Container = 854, 480, 5*time.Second, "mp4"
			f := &folder{dir: t.TempDir()}
			src := mediatest.Generate(t, spec)
			err := exec.Command("cp", src, f.dir+"/source.mp4").Run()
			j := newJob(t, f)
			vod, _ := control.ShippedProfile(control.VODProfile)
			vod.Content.SegmentSeconds = 2
			_, err2 := j.Process(t.Context(), control.ProcessTask{
				PostID: "post_1", Folder: "posts/post_1/", Profile: vod, Sources: []broadcast.PostFile{{Key: "source.mp4"}},
			}, func(int) {})
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			high, n := keyFrames(t, filepath.Join(j.folder("post_1"), "rendition-480p.mp4"))
			low, m := keyFrames(t, filepath.Join(j.folder("post_1"), "rendition-360p.mp4"))
			if len(high) != 3 || !slices.Equal(high, low) || n != m {
				t.Errorf("key frames %v of %d pictures, and %v of %d", high, n, low, m)
			}
			if want := min(spec.FPS, 60) * 5; n != want {
				t.Errorf("%d pictures, want %d", n, want)
			}
		})
	}
}
