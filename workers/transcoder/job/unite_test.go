package job

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/mediatest"
)

// length is how long a track of a file is, in seconds.
func length(t *testing.T, file, track string) float64 {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-select_streams", track, "-of", "csv=p=0", "-show_entries", "stream=duration", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseFloat(strings.Trim(strings.TrimSpace(string(out)), ","), 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// An encoder that comes back with other parameters, or without one of its
// tracks, is one post: every picture of each is in it, in the size of the
// largest, and sound and picture stay together.
func TestOriginalsOfDifferentParametersAreOnePost(t *testing.T) {
	var files []string
	pictures := 0
	for _, spec := range []mediatest.Spec{
		{},
		{Width: 480, Height: 360, FPS: 30, SampleRate: 44_100, Channels: 1},
		{NoAudio: true, FPS: 10},
		{NoVideo: true},
	} {
		spec.Duration, spec.Container = 2*time.Second, "mp4"
		files = append(files, mediatest.Generate(t, spec))
		switch {
		case spec.NoVideo:
			pictures += 50 // black ones
		case spec.FPS == 0:
			pictures += 50
		default:
			pictures += 2 * spec.FPS
		}
	}
	f, done := processed(t, files...)
	for _, key := range []string{done.Playback.HLSKey, done.Playback.DASHKey, done.Playback.MP4Key} {
		mediatest.DecodeStrict(t, f.path(key))
		if n := len(mediatest.FrameMD5(t, f.path(key))); n < pictures || n > pictures+2 {
			t.Errorf("%s has %d pictures, want %d", key, n, pictures)
		}
	}
	if r := done.Renditions[0]; r.WidthPixels != 480 || r.HeightPixels != 360 {
		t.Errorf("the best rendition is %+v", r)
	}
	mp4 := f.path(done.Playback.MP4Key)
	video, audio := length(t, mp4, "v:0"), length(t, mp4, "a:0")
	if video < 7.95 || video > 8.2 || audio < video-0.1 || audio > video+0.1 {
		t.Errorf("pictures of %.3f s, sound of %.3f s", video, audio)
	}
	if done.ThumbnailKey == "" || done.SpriteVTTKey == "" {
		t.Errorf("%+v", done)
	}
}

func TestOriginalsOfSoundAloneAreOnePost(t *testing.T) {
	var files []string
	for _, hz := range []int{44_100, 48_000} {
		files = append(files, mediatest.Generate(t, mediatest.Spec{NoVideo: true, SampleRate: hz, Duration: 2 * time.Second, Container: "mp4"}))
	}
	f, done := processed(t, files...)
	mp4 := f.path(done.Playback.MP4Key)
	mediatest.DecodeStrict(t, mp4)
	if d := length(t, mp4, "a:0"); d < 3.95 || d > 4.15 {
		t.Errorf("it lasts %.3f s", d)
	}
}
