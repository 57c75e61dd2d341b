//go:build long

package e2e

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/e2e/browser"
	"github.com/roomcast/roomcast/internal/mediatest"
)

// ssimFloor is the least likeness of a transcoded picture with its original,
// over all pictures: what x264's veryfast makes of the test picture in the
// shipped profile's bit rates is at 0.98.
const ssimFloor = 0.95

// ssim compares two files, the n-th picture of one with the n-th of the other.
func ssim(t *testing.T, a, b string) float64 {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-hide_banner", "-nostdin", "-i", a, "-i", b, "-lavfi", "[0:v]settb=1/25,setpts=N[a];[1:v]settb=1/25,setpts=N[b];[a][b]scale2ref[x][y];[x][y]ssim", "-f", "null", "-").CombinedOutput()
	found := regexp.MustCompile(`All:([0-9.]+)`).FindSubmatch(out)
	if err != nil || found == nil {
		t.Fatalf("ssim: %v\n%s", err, out)
	}
	t.Logf("%s and %s: %s", a, b, found[0])
	n, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// watched plays a finished recording to its end in every stock player.
func watched(t *testing.T, hls, dash string, seconds float64) {
	t.Helper()
	b, err := browser.Launch(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }() // the reports are what counts
	type viewer struct {
		player browser.Player
		url    string
	}
	pages := map[viewer]*browser.Page{}
	for _, v := range []viewer{{browser.HLSJS, hls}, {browser.DASHJS, dash}, {browser.Shaka, hls}, {browser.Shaka, dash}} {
		if pages[v], err = b.Open(context.Background(), browser.Options{Player: v.player, URL: v.url}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(3*seconds+60)*time.Second)
	defer cancel()
	for v, page := range pages {
		report, err := page.Await(ctx, func(r *browser.Report) bool { return r.Ended || r.PlayedSeconds > seconds-0.7 })
		if err != nil || len(report.Fatal()) > 0 {
			t.Errorf("%s did not play %s to its end (%v s): %v, %v", v.player, v.url, seconds, err, report)
		}
	}
}

// sought goes to places all over a file in the browser's own player, back and
// forth: the picture that is shown is that place's, and the length is right.
func sought(t *testing.T, url string, seconds, fps float64) {
	t.Helper()
	b, err := browser.Launch(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }() // the answers are what counts
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	page, err := b.Open(ctx, browser.Options{Player: browser.Video, URL: url})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := page.Await(ctx, func(r *browser.Report) bool { return r.Started }); err != nil {
		t.Fatal(err)
	}
	for _, to := range []float64{seconds - 0.5, 1.3, seconds / 2, 0.1, seconds * 3 / 4} {
		var shown struct{ At, End float64 }
		err := page.Eval(ctx, fmt.Sprintf(`new Promise((shown) => {
			const video = document.querySelector("video");
			video.pause();
			video.requestVideoFrameCallback((_, m) => shown({ at: m.mediaTime, end: video.seekable.end(0) }));
			video.currentTime = %f;
		})`, to), &shown)
		if err != nil {
			t.Fatalf("go to %.2f s of %s: %v", to, url, err)
		}
		if shown.At > to+0.01 || shown.At < to-1.5/fps || math.Abs(shown.End-seconds) > 0.2 {
			t.Errorf("at %.2f s of %s the picture of %.2f s is shown; it ends at %.2f, not %.2f", to, url, shown.At, shown.End, seconds)
		}
	}
}

// whole checks a processed recording of two sessions of a source, in all its
// forms.
func (m *machine) whole(t *testing.T, id, src string, want []string, fps float64) {
	t.Helper()
	done := m.awaitPost(id, "processed", 4*time.Minute, func(p post) bool { return p.State == "PROCESSED" })
	if done.Source == nil {
		t.Fatalf("no original: %+v", done)
	}
	sameFrames(t, "the original", mediatest.FrameMD5(t, done.Source.URL), want)
	mediatest.DecodeStrict(t, done.Source.URL)
	length := float64(len(want)) / fps
	lasts(t, done.Source.URL, length, fps)
	synced(t, src, done.Source.URL, 2)
	for _, url := range []string{*done.Playback.HLSURL, *done.Playback.DASHURL, *done.Playback.MP4URL} {
		mediatest.DecodeStrict(t, url)
		beginsAs(t, url, done.Source.URL)
		if n := len(mediatest.FrameMD5(t, url)); n != len(want) {
			t.Errorf("%s has %d frames, want %d", url, n, len(want))
		}
	}
	like := ssim(t, *done.Playback.MP4URL, done.Source.URL)
	t.Logf("ssim %.4f", like)
	if like < ssimFloor {
		t.Errorf("ssim %.4f, the floor is %.2f", like, ssimFloor)
	}
	watched(t, *done.Playback.HLSURL, *done.Playback.DASHURL, length)
	for _, url := range []string{done.Source.URL, *done.Playback.MP4URL} {
		sought(t, url, length, fps)
	}
}

// after answers the source's pictures from the one on that a recording begins
// with, which must be a key frame.
func after(t *testing.T, frames []string, first string, gop int) []string {
	t.Helper()
	n := slices.Index(frames, first)
	if n < 0 || n%gop != 0 {
		t.Fatalf("the recording begins with frame %d of the source", n)
	}
	return frames[n:]
}

// One show in each output mode: twenty seconds without a publisher, in which
// the worker is replaced by another one.
func TestEveryModeIsRecordedOverAnInterruptionAndAChangeOfWorker(t *testing.T) {
	const fps, gop = 25, 50
	src := mediatest.Generate(t, mediatest.Spec{BFrames: 2, Duration: 16 * time.Second})
	frames := mediatest.FrameMD5(t, src)
	m := newMachine(t)
	modes := []string{"CMAF", "RTMP", "RTMP_CMAF"}
	keys, shows := map[string]streamKey{}, map[string]room{}
	publish := func() {
		var all []*mediatest.Proc
		for _, mode := range modes {
			all = append(all, publishOnce(t, src, keys[mode].url()+"?mode="+mode))
		}
		for _, mode := range modes {
			if shows[mode].State == "" {
				user := strings.ToLower(mode)
				m.awaitKey(user, "ACTIVE", 15*time.Second)
				shows[mode] = m.roomDo(m.newRoom(user).ID, "start", nil)
			}
		}
		for i, mode := range modes {
			if err := all[i].Wait(); err != nil {
				t.Fatalf("%s: %v\n%s", mode, err, all[i].Log())
			}
			m.awaitKey(strings.ToLower(mode), "INACTIVE_LIVE", 15*time.Second)
		}
	}
	for _, mode := range modes {
		keys[mode] = m.member(strings.ToLower(mode))
	}
	publish()
	gone := time.Now()
	m.stop()
	m.start()
	if rest := 20*time.Second - time.Since(gone); rest > 0 {
		time.Sleep(rest) // the interruption itself
	}
	publish()
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			r := m.roomDo(shows[mode].ID, "end", nil)
			p := m.awaitPost(*r.VideoPostID, "playable", 15*time.Second, func(p post) bool { return p.Playback != nil })
			recorded := runsOf(t, media(*p.Playback.HLSURL))
			want := append(slices.Clone(after(t, frames, recorded[0], gop)), frames...)
			sameFrames(t, "HLS", recorded, want)
			_, fromLive, _ := m.live(t, playID(t, media(*p.Playback.HLSURL)), r.LiveStartedAt)
			sameFrames(t, "from go live on", recorded, fromLive)
			m.whole(t, p.ID, src, want, fps)
		})
	}
}

// What is left of the segment of go live is a Period by itself, however short it
// is, and no player minds.
func TestARecordingThatBeginsWithinASegmentIsPlayed(t *testing.T) {
	src := mediatest.Generate(t, mediatest.Spec{BFrames: 2, GOP: 8, SampleRate: 44_100, Duration: 10 * time.Second})
	m := newMachine(t)
	users := []string{"a", "b", "c", "d"} // live at other places of a segment
	encoders, shows := map[string]*mediatest.Proc{}, map[string]room{}
	for _, user := range users {
		key := m.member(user)
		shows[user] = m.newRoom(user)
		encoders[user] = publishOnce(t, src, key.url())
	}
	for _, user := range users {
		m.awaitKey(user, "ACTIVE", 15*time.Second)
		m.roomDo(shows[user].ID, "start", nil)
		time.Sleep(450 * time.Millisecond) // a fifth of a segment
	}
	for _, user := range users {
		if err := encoders[user].Wait(); err != nil {
			t.Fatal(err, encoders[user].Log())
		}
		m.awaitKey(user, "INACTIVE_LIVE", 15*time.Second)
		r := m.roomDo(shows[user].ID, "end", nil)
		p := m.awaitPost(*r.VideoPostID, "playable", 15*time.Second, func(p post) bool { return p.Playback != nil })
		opening := regexp.MustCompile(`#EXTINF:([0-9.]+),\n[^#]*-live.m4s`).FindStringSubmatch(body(t, media(*p.Playback.HLSURL)))
		t.Logf("of the segment of go live there are %q s", opening)
		watched(t, *p.Playback.HLSURL, *p.Playback.DASHURL, float64(*p.DurationMs)/1000)
	}
}

// Of the segment that go live is in, a ladder's recording has every rendition
// from the same key frame on.
func TestALadderIsRecordedFromGoLiveInEveryRendition(t *testing.T) {
	src := mediatest.Generate(t, mediatest.Spec{BFrames: 2, GOP: 8, Width: 640, Height: 360, Duration: 9 * time.Second})
	m := newMachine(t)
	key, show := m.laddered("ada"), m.newRoom("ada")
	began := time.Now()
	encoder := publishOnce(t, src, key.url())
	m.awaitKey("ada", "ACTIVE", 20*time.Second)
	time.Sleep(time.Until(began.Add(4 * time.Second))) // amid the show
	m.roomDo(show.ID, "start", nil)
	if err := encoder.Wait(); err != nil {
		t.Fatal(err, encoder.Log())
	}
	m.awaitKey("ada", "INACTIVE_LIVE", 15*time.Second)
	r := m.roomDo(show.ID, "end", nil)
	p := m.awaitPost(*r.VideoPostID, "playable", 15*time.Second, func(p post) bool { return p.Playback != nil })
	_, want, late := m.live(t, playID(t, media(*p.Playback.HLSURL)), r.LiveStartedAt)
	sameFrames(t, "the best rendition", runsOf(t, media(*p.Playback.HLSURL)), want)
	lists := regexp.MustCompile(`(?m)^[^#].*\.m3u8$`).FindAllString(body(t, *p.Playback.HLSURL), -1)
	t.Logf("live %v after a key frame; %v", late.Round(time.Millisecond), lists)
	if len(lists) < 2 {
		t.Fatalf("renditions %v", lists)
	}
	for _, list := range lists {
		url := strings.Replace(*p.Playback.HLSURL, "master.m3u8", list, 1)
		if n := len(runsOf(t, url)); n != len(want) || strings.Contains(body(t, url), "#EXT-X-GAP") {
			t.Errorf("%s has %d pictures, want %d:\n%s", list, n, len(want), body(t, url))
		}
		mediatest.DecodeStrict(t, url)
	}
	mediatest.DecodeStrict(t, *p.Playback.DASHURL)
	watched(t, *p.Playback.HLSURL, *p.Playback.DASHURL, float64(*p.DurationMs)/1000)
}

// stored is how long the media are that the records of all shows name, each
// under its play id.
func (m *machine) stored(t *testing.T) map[string]float64 {
	t.Helper()
	records, err := filepath.Glob(filepath.Join(m.dir, "media", "live", "*", "v.m3u8"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, path := range records {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range regexp.MustCompile(`#EXTINF:([0-9.]+)`).FindAllSubmatch(b, -1) {
			seconds, err := strconv.ParseFloat(string(x[1]), 64)
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.Base(filepath.Dir(path))] += seconds
		}
	}
	return all
}

// What a killed worker had not stored yet is missing, and nothing else, in each
// mode.
func TestAKilledWorkerCostsTheUnstoredTailAlone(t *testing.T) {
	const fps, gop = 25, 50
	src := mediatest.Generate(t, mediatest.Spec{BFrames: 2, Duration: 20 * time.Second})
	frames := mediatest.FrameMD5(t, src)
	m := newMachine(t)
	// The open segment and what is on its way, besides a GOP.
	tail := map[string]int{"CMAF": 3 * gop, "RTMP_CMAF": 3 * gop, "RTMP": 5 * gop}
	keys, encoders := map[string]streamKey{}, map[string]*mediatest.Proc{}
	for mode := range tail {
		keys[mode] = m.member(strings.ToLower(mode))
	}
	began := time.Now()
	publish := func(mode string) {
		encoders[mode] = publishOnce(t, src, keys[mode].url()+"?mode="+mode)
	}
	for mode := range tail {
		publish(mode)
	}
	shows := map[string]room{}
	for mode := range tail {
		m.awaitKey(strings.ToLower(mode), "ACTIVE", 15*time.Second)
		shows[mode] = m.roomDo(m.newRoom(strings.ToLower(mode)).ID, "start", nil)
	}
	eventually(t, 20*time.Second, "twelve seconds are stored of each", func() error {
		all := m.stored(t)
		for id, seconds := range all {
			if seconds < 11.9 {
				return fmt.Errorf("of %s %v s", id, seconds)
			}
		}
		if len(all) != len(tail) {
			return fmt.Errorf("%d shows", len(all))
		}
		return nil
	})
	stored := m.stored(t)
	m.kill()
	sent := int(time.Since(began).Seconds() * fps)
	for _, e := range encoders {
		e.Kill()
	}
	m.start()
	for mode := range tail {
		m.awaitKey(strings.ToLower(mode), "INACTIVE_LIVE", 20*time.Second)
		publish(mode)
	}
	for mode, e := range encoders {
		if err := e.Wait(); err != nil {
			t.Fatal(err, e.Log())
		}
		m.awaitKey(strings.ToLower(mode), "INACTIVE_LIVE", 15*time.Second)
	}
	for mode, most := range tail {
		t.Run(mode, func(t *testing.T) {
			r := m.roomDo(shows[mode].ID, "end", nil)
			p := m.awaitPost(*r.VideoPostID, "playable", 15*time.Second, func(p post) bool { return p.Playback != nil })
			playlist := strings.Replace(*p.Playback.HLSURL, "master.m3u8", "v.m3u8", 1)
			recorded := runsOf(t, playlist)
			first := after(t, frames, recorded[0], gop)
			kept := len(recorded) - len(frames)
			before := len(frames) - len(first) // go live
			id := regexp.MustCompile(`/live/([^/]+)/`).FindStringSubmatch(body(t, playlist))[1]
			if kept < 0 || kept%gop != 0 || before+kept < int(stored[id]*fps+0.5) {
				t.Fatalf("of the killed session %d frames are left from frame %d on; %v s had been stored", kept, before, stored[id])
			}
			if lost := sent - (before + kept); lost > most {
				t.Errorf("%d frames are lost", lost)
			}
			want := append(slices.Clone(first[:kept]), frames...)
			sameFrames(t, "HLS", recorded, want)
			m.whole(t, p.ID, src, want, fps)
		})
	}
}

// Sessions whose parameters differ are one recording that can be watched, before
// and after it is transcoded; of what cannot be joined without encoding there
// is one original for each.
func TestSessionsOfDifferentParametersAreOneRecording(t *testing.T) {
	specs := map[string][]mediatest.Spec{
		"size and sample rate": {{Duration: 10 * time.Second}, {Duration: 10 * time.Second, Width: 640, Height: 360, FPS: 30, SampleRate: 44_100}},
		"audio only":           {{Duration: 10 * time.Second, NoVideo: true}},
		"video only":           {{Duration: 10 * time.Second, NoAudio: true}},
		"44.1 kHz":             {{Duration: 10 * time.Second, SampleRate: 44_100, Channels: 1}},
	}
	m := newMachine(t)
	for name, sessions := range specs {
		t.Run(name, func(t *testing.T) {
			user := strings.ReplaceAll(name, " ", "-")
			key, show := m.member(user), m.newRoom(user)
			for i, spec := range sessions {
				encoder := publishOnce(t, mediatest.Generate(t, spec), key.url())
				if i == 0 {
					m.awaitKey(user, "ACTIVE", 15*time.Second)
					m.roomDo(show.ID, "start", nil)
				}
				if err := encoder.Wait(); err != nil {
					t.Fatal(err, encoder.Log())
				}
				m.awaitKey(user, "INACTIVE_LIVE", 15*time.Second)
			}
			r := m.roomDo(show.ID, "end", nil)
			first := m.awaitPost(*r.VideoPostID, "playable", 15*time.Second, func(p post) bool { return p.Playback != nil })
			p := m.awaitPost(first.ID, "processed", 3*time.Minute, func(p post) bool { return p.State == "PROCESSED" })
			files := p.Sources
			if p.Source != nil {
				files = []file{*p.Source}
			}
			if len(files) != len(sessions) {
				t.Fatalf("%d originals: %+v", len(files), p)
			}
			for _, f := range files {
				mediatest.DecodeStrict(t, f.URL)
			}
			if p.DurationMs == nil || *p.DurationMs < int64(len(sessions))*10_000-6_500 || *p.DurationMs > int64(len(sessions))*10_000+500 {
				t.Errorf("it lasts %v ms", p.DurationMs)
			}
			if *first.Playback.HLSURL == *p.Playback.HLSURL {
				t.Error("the post is watched as before")
			}
			for _, played := range []post{first, p} {
				watched(t, *played.Playback.HLSURL, *played.Playback.DASHURL, float64(*p.DurationMs)/1000)
			}
			mediatest.DecodeStrict(t, *p.Playback.MP4URL)
			if got, want := probe(t, *p.Playback.MP4URL, "", "format=duration"), float64(*p.DurationMs)/1000; math.Abs(got-want) > 0.3 {
				t.Errorf("the MP4 lasts %v s, the post %v", got, want)
			}
		})
	}
}
