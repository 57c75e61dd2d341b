package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/mediatest"
)

type post struct {
	ID         string  `json:"id"`
	State      string  `json:"videoPostState"`
	DurationMs *int64  `json:"durationMs"`
	Progress   *int    `json:"progress"`
	Source     *file   `json:"source"`
	Sources    []file  `json:"sources"`
	Thumbnail  *string `json:"thumbnailURL"`
	Preview    *string `json:"previewURL"`
	Sprite     *string `json:"spriteURL"`
	SpriteVTT  *string `json:"spriteVttURL"`
	Playback   *struct {
		HLSURL  *string `json:"hlsURL"`
		DASHURL *string `json:"dashURL"`
		MP4URL  *string `json:"mp4URL"`
	} `json:"playback"`
	Renditions []struct {
		Name   string `json:"name"`
		Type   string `json:"type"`
		Width  *int   `json:"width"`
		Height *int   `json:"height"`
	} `json:"renditions"`
	Failure *struct{ Code, Message string } `json:"failure"`
}

type file struct {
	URL         string `json:"url"`
	Size        int64  `json:"size"`
	ContentType string `json:"contentType"`
}

func (m *machine) post(id string) (p post) {
	m.t.Helper()
	m.call(http.MethodGet, "/v2/apps/me/video-posts/"+id, nil, &p)
	return p
}

// publishOnce pushes a file in real time and once; the encoder ends by itself.
func publishOnce(t testing.TB, file, url string) *mediatest.Proc {
	t.Helper()
	return mediatest.StartFFmpeg(t, "-hide_banner", "-nostdin", "-re", "-i", file, "-map", "0", "-c", "copy", "-f", "flv", url)
}

// recordShow records a show of two sessions of the source, live from within
// the first, and answers its post id and the moment of its end.
func (m *machine) recordShow(user, src string) (postID string, live, ended time.Time) {
	t := m.t
	t.Helper()
	key := m.member(user)
	show := m.newRoom(user)
	encoder := publishOnce(t, src, key.url())
	m.awaitKey(user, "ACTIVE", 15*time.Second)
	live = m.roomDo(show.ID, "start", nil).LiveStartedAt
	for session := 1; ; session++ {
		if err := encoder.Wait(); err != nil {
			t.Fatalf("session %d: %v\n%s", session, err, encoder.Log())
		}
		m.awaitKey(user, "INACTIVE_LIVE", 10*time.Second)
		if session == 2 {
			break
		}
		time.Sleep(time.Second) // the interruption itself
		encoder = publishOnce(t, src, key.url())
	}
	r := m.roomDo(show.ID, "end", nil)
	ended = time.Now()
	if r.VODState != "ARCHIVING" || r.VideoPostID == nil {
		t.Fatalf("after the end: %+v", r)
	}
	return *r.VideoPostID, live, ended
}

// awaitPost waits until the post is as ok says.
func (m *machine) awaitPost(id, what string, within time.Duration, ok func(post) bool) (p post) {
	m.t.Helper()
	eventually(m.t, within, "the post is "+what, func() error {
		if p = m.post(id); !ok(p) {
			b, _ := json.Marshal(p) //nolint:errchkjson // a test's own words
			return fmt.Errorf("it is %s", b)
		}
		return nil
	})
	return p
}

// probe answers an entry of ffprobe about a file, as a number.
func probe(t *testing.T, input, stream, entry string) float64 {
	t.Helper()
	args := []string{"-v", "error", "-of", "csv=p=0", "-show_entries", entry, input}
	if stream != "" {
		args = append([]string{"-select_streams", stream}, args...)
	}
	out, err := exec.Command("ffprobe", args...).Output()
	if err != nil {
		t.Fatalf("ffprobe %s of %s: %v", entry, input, err)
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(strings.Split(string(out), "\n")[0]), 64)
	if err != nil {
		t.Fatalf("ffprobe %s of %s: %v", entry, input, err)
	}
	return n
}

func TestAnInterruptedShowIsRecordedFrameByFrame(t *testing.T) {
	const seconds, fps, gop = 12, 25, 50
	src := mediatest.Generate(t, mediatest.Spec{BFrames: 2, Duration: seconds * time.Second})
	m := newMachine(t)
	id, live, ended := m.recordShow("rec", src)
	playable := m.awaitPost(id, "playable", 5*time.Second, func(p post) bool { return p.Playback != nil })
	t.Logf("playable %s after the end", time.Since(ended).Round(10*time.Millisecond))

	m.kill() // wherever the making of the original is
	m.start()

	frames := mediatest.FrameMD5(t, src)
	recorded := runsOf(t, media(*playable.Playback.HLSURL))
	_, want, _ := m.live(t, playID(t, media(*playable.Playback.HLSURL)), live)
	sameFrames(t, "HLS", recorded, want)
	first := slices.Index(frames, want[0])
	if first%gop != 0 || first < 0 {
		t.Fatalf("the recording begins with frame %d of the source", first)
	}
	sameFrames(t, "what is left of the source, and all of it", want, append(slices.Clone(frames[first:]), frames...))
	mediatest.DecodeStrict(t, *playable.Playback.DASHURL)
	mediatest.DecodeStrict(t, *playable.Playback.HLSURL)
	if got, length := *playable.DurationMs, int64(len(want)*1000/fps); got < length-40 || got > length+200 {
		t.Errorf("the post has %d ms, its frames %d", got, length)
	}

	done := m.awaitPost(id, "processed", 3*time.Minute, func(p post) bool { return p.State == "PROCESSED" })
	source := done.Source
	if source == nil || source.ContentType != "video/mp4" {
		t.Fatalf("no original: %+v", done)
	}
	sameFrames(t, "the original", mediatest.FrameMD5(t, source.URL), want)
	mediatest.DecodeStrict(t, source.URL)
	synced(t, src, source.URL, 2)
	for _, url := range []*string{done.Playback.HLSURL, done.Playback.DASHURL, done.Playback.MP4URL} {
		beginsAs(t, *url, source.URL)
	}
	lasts(t, source.URL, float64(len(want))/fps, fps)
	for _, url := range []*string{done.Playback.HLSURL, done.Playback.DASHURL, done.Playback.MP4URL} {
		mediatest.DecodeStrict(t, *url)
		if n := len(mediatest.FrameMD5(t, *url)); n != len(want) {
			t.Errorf("%s has %d frames, want %d", *url, n, len(want))
		}
	}
	for _, r := range done.Renditions {
		if r.Type == "video" && (*r.Width > 320 || *r.Height > 180) {
			t.Errorf("rendition %s is larger than the source: %dx%d", r.Name, *r.Width, *r.Height)
		}
	}
	for name, url := range map[string]*string{"thumbnail": done.Thumbnail, "preview": done.Preview, "sprite": done.Sprite, "sprite.vtt": done.SpriteVTT} {
		if url == nil {
			t.Errorf("there is no %s", name)
		} else if err := status(http.MethodGet, *url, http.StatusOK); err != nil {
			t.Error(err)
		}
	}
	posts := struct{ Items []post }{}
	m.call(http.MethodGet, "/v2/apps/me/video-posts", nil, &posts)
	if len(posts.Items) != 1 {
		t.Errorf("%d posts", len(posts.Items))
	}
	list := struct{ Items []room }{}
	m.call(http.MethodGet, "/v2/apps/me/video-rooms", nil, &list)
	if r := list.Items[0]; r.State != "ARCHIVED" || r.VODState != "ARCHIVED" || *r.VideoPostID != id {
		t.Errorf("the room is %+v", r)
	}

	m.call(http.MethodDelete, "/v2/apps/me/video-posts/"+id, nil, nil)
	m.refused("VIDEO_POST_NOT_FOUND", http.MethodGet, "/v2/apps/me/video-posts/"+id, nil)
	eventually(t, 10*time.Second, "no object is left", func() error { return empty(m.dir + "/media") })
}

// lasts checks the length of a file's pictures, to within one of them. Sound may
// begin a little earlier and end a little later.
func lasts(t *testing.T, url string, seconds, fps float64) {
	t.Helper()
	if got := probe(t, url, "v:0", "stream=duration"); math.Abs(got-seconds) > 1/fps {
		t.Errorf("the pictures of %s last %v s, want %v", url, got, seconds)
	}
	if got := probe(t, url, "", "format=duration"); got < seconds-1/fps || got > seconds+0.15 {
		t.Errorf("%s lasts %v s, its pictures %v", url, got, seconds)
	}
}

// empty says which file lies below a folder of objects.
func empty(dir string) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.Contains(path, "/.") { // what the store keeps for itself
			err = fmt.Errorf("%s is left", path)
		}
		return err
	})
}

// runsOf answers the frames of a playlist, run by run: ffmpeg's HLS demuxer
// loses frames where EXT-X-MAP changes (docs/adr/0012).
func runsOf(t *testing.T, playlist string) (frames []string) {
	t.Helper()
	base := playlist[:strings.LastIndex(playlist, "/")+1]
	var run []byte
	flush := func() {
		if len(run) > 0 {
			path := filepath.Join(t.TempDir(), "run.mp4")
			if err := os.WriteFile(path, run, 0o600); err != nil {
				t.Fatal(err)
			}
			frames = append(frames, mediatest.FrameMD5(t, path)...)
		}
	}
	for line := range strings.Lines(body(t, playlist)) {
		line = strings.TrimSpace(line)
		if uri, ok := strings.CutPrefix(line, "#EXT-X-MAP:URI="); ok {
			flush()
			run = []byte(body(t, base+strings.Trim(uri, `"`)))
		} else if !strings.HasPrefix(line, "#") {
			run = append(run, body(t, base+line)...)
		}
	}
	flush()
	return frames
}

func sameFrames(t *testing.T, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	n := 0
	for n < min(len(got), len(want)) && got[n] == want[n] {
		n++
	}
	t.Errorf("%s: %d frames, want %d; the first difference is at %d", what, len(got), len(want), n)
}
