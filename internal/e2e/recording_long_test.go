//go:build long

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
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
			recorded := runsOf(t, strings.Replace(*p.Playback.HLSURL, "master.m3u8", "v.m3u8", 1))
			want := append(slices.Clone(after(t, frames, recorded[0], gop)), frames...)
			sameFrames(t, "HLS", recorded, want)
			m.whole(t, p.ID, src, want, fps)
		})
	}
}

// What a killed worker had not stored yet is missing, and nothing else.
func TestAKilledWorkerCostsTheUnstoredTailAlone(t *testing.T) {
	const fps, gop = 25, 50
	src := mediatest.Generate(t, mediatest.Spec{BFrames: 2, Duration: 16 * time.Second})
	frames := mediatest.FrameMD5(t, src)
	m := newMachine(t)
	key, show := m.member("ada"), m.newRoom("ada")
	encoder := publishOnce(t, src, key.url())
	began := time.Now()
	m.awaitKey("ada", "ACTIVE", 15*time.Second)
	live := m.roomDo(show.ID, "start", nil)
	eventually(t, 20*time.Second, "eight seconds are stored", func() error {
		if n := strings.Count(body(t, media(*live.Playback.HLSURL)), ".m4s"); n < 4 {
			return fmt.Errorf("%d segments", n)
		}
		return nil
	})
	stored := strings.Count(body(t, media(*live.Playback.HLSURL)), ".m4s")
	m.kill()
	sent := int(time.Since(began).Seconds() * fps)
	encoder.Kill()
	m.start()
	m.awaitKey("ada", "INACTIVE_LIVE", 15*time.Second)
	again := publishOnce(t, src, key.url())
	if err := again.Wait(); err != nil {
		t.Fatal(err, again.Log())
	}
	m.awaitKey("ada", "INACTIVE_LIVE", 15*time.Second)
	r := m.roomDo(show.ID, "end", nil)
	p := m.awaitPost(*r.VideoPostID, "playable", 15*time.Second, func(p post) bool { return p.Playback != nil })
	recorded := runsOf(t, strings.Replace(*p.Playback.HLSURL, "master.m3u8", "v.m3u8", 1))
	first := after(t, frames, recorded[0], gop)
	kept := len(recorded) - len(frames)
	if kept < 0 || kept%gop != 0 || len(frames)-len(first)+kept < stored*gop {
		t.Fatalf("of the killed session %d frames are left; %d segments had been stored", kept, stored)
	}
	if lost := sent - (len(frames) - len(first) + kept); lost > 3*gop {
		t.Errorf("%d frames are lost", lost)
	}
	want := append(slices.Clone(first[:kept]), frames...)
	sameFrames(t, "HLS", recorded, want)
	m.whole(t, p.ID, src, want, fps)
}

// Sessions whose parameters differ are one recording that can be watched; what
// cannot be joined without encoding is one file for each.
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
			final := "PROCESSED"
			if len(sessions) > 1 {
				final = "UPLOADED"
			}
			p := m.awaitPost(*r.VideoPostID, final, 3*time.Minute, func(p post) bool { return p.State == final })
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
			watched(t, *p.Playback.HLSURL, *p.Playback.DASHURL, float64(*p.DurationMs)/1000)
			if final == "PROCESSED" {
				mediatest.DecodeStrict(t, *p.Playback.MP4URL)
			}
			if err := status(http.MethodGet, *p.Playback.HLSURL, http.StatusOK); err != nil {
				t.Error(err)
			}
		})
	}
}
