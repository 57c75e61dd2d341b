package e2e

import (
	"encoding/json"
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

	"github.com/roomcast/roomcast/internal/mediatest"
)

// live answers the pictures of a play id's runs from what lies in the bucket:
// all of them, and those from the first key frame on that, by the clock of its
// segment, did not come before at. late is how long before at the last key
// frame came that did.
func (m *machine) live(t *testing.T, play string, at time.Time) (all, from []string, late time.Duration) {
	t.Helper()
	dir := filepath.Join(m.dir, "media", "live", play)
	read := func(name string) []byte {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	temp := func(parts ...[]byte) string {
		path := filepath.Join(t.TempDir(), "v.mp4")
		if err := os.WriteFile(path, slices.Concat(parts...), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var folder string
	var run [][]byte
	flush := func() {
		if len(run) > 0 {
			all = append(all, mediatest.FrameMD5(t, temp(run...))...)
		}
	}
	at = at.Truncate(time.Millisecond) // segments are dated so
	var dated time.Time
	before, first := 0, -1
	for line := range strings.Lines(string(read("v.m3u8"))) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "#EXT-X-PROGRAM-DATE-TIME:"); ok {
			var err error
			if dated, err = time.Parse(time.RFC3339, text); err != nil {
				t.Fatal(err)
			}
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if f, _, _ := strings.Cut(line, "/"); f != folder {
			flush()
			folder, run = f, [][]byte{read(f + "/v-init.mp4")}
		}
		run = append(run, read(line))
		pts, sync := pictureTimes(t, temp(run[0], run[len(run)-1]))
		for i := range pts {
			came := dated.Add(time.Duration((pts[i] - slices.Min(pts)) * float64(time.Second))).Round(time.Millisecond)
			switch {
			case !sync[i] || first >= 0:
			case came.Before(at):
				late = at.Sub(came)
			default:
				first = before
				for _, other := range pts {
					if other < pts[i] {
						first++
					}
				}
			}
		}
		before += len(pts)
	}
	flush()
	if first < 0 || len(all) != before {
		t.Fatalf("of %d pictures, %d of them decoded, none is a key frame after %v", before, len(all), at)
	}
	return all, all[first:], late
}

// playID is that of the segments that a recording's first playlist names.
func playID(t *testing.T, playlist string) string {
	t.Helper()
	found := regexp.MustCompile(`/live/([^/]+)/`).FindStringSubmatch(body(t, playlist))
	if found == nil {
		t.Fatalf("%s names no live segment", playlist)
	}
	return found[1]
}

// pictureTimes answers when each is shown, in the order of decoding, and whether it
// is a key frame.
func pictureTimes(t *testing.T, path string) (pts []float64, sync []bool) {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "json", "-show_entries", "packet=pts_time,flags", path).Output()
	var p struct {
		Packets []struct {
			PTS   string `json:"pts_time"`
			Flags string `json:"flags"`
		}
	}
	if err == nil {
		err = json.Unmarshal(out, &p)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range p.Packets {
		at, err := strconv.ParseFloat(x.PTS, 64)
		if err != nil {
			t.Fatal(err)
		}
		pts, sync = append(pts, at), append(sync, strings.HasPrefix(x.Flags, "K"))
	}
	return pts, sync
}

// In each mode the recording begins with the very first key frame that came
// after go live, wherever in a segment it is, and has every picture from there.
func TestARecordingBeginsAtGoLiveInEveryMode(t *testing.T) {
	const fps, gop = 25, 8
	src := mediatest.Generate(t, mediatest.Spec{BFrames: 2, GOP: gop, SampleRate: 44_100, Duration: 9 * time.Second})
	frames := mediatest.FrameMD5(t, src)
	m := newMachine(t)
	modes := []string{"CMAF", "RTMP", "RTMP_CMAF"}
	encoders, shows := map[string]*mediatest.Proc{}, map[string]string{}
	began := time.Now()
	for _, mode := range modes {
		key := m.member(strings.ToLower(mode))
		shows[mode] = m.newRoom(strings.ToLower(mode)).ID
		encoders[mode] = publishOnce(t, src, key.url()+"?mode="+mode)
	}
	for _, mode := range modes {
		m.awaitKey(strings.ToLower(mode), "ACTIVE", 15*time.Second)
	}
	time.Sleep(time.Until(began.Add(4 * time.Second))) // amid the show
	for _, mode := range modes {
		m.roomDo(shows[mode], "start", nil)
	}
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			if err := encoders[mode].Wait(); err != nil {
				t.Fatal(err, encoders[mode].Log())
			}
			m.awaitKey(strings.ToLower(mode), "INACTIVE_LIVE", 15*time.Second)
			r := m.roomDo(shows[mode], "end", nil)
			p := m.awaitPost(*r.VideoPostID, "playable", 15*time.Second, func(p post) bool { return p.Playback != nil })
			playlist := media(*p.Playback.HLSURL)
			all, want, late := m.live(t, playID(t, playlist), r.LiveStartedAt)
			sameFrames(t, "what was live", all, frames)
			t.Logf("live %v after a key frame", late.Round(time.Millisecond))
			if late == 0 || len(want) == len(all) {
				t.Errorf("all of it came after go live, at %v", r.LiveStartedAt)
			}
			sameFrames(t, "HLS", runsOf(t, playlist), want)
			mediatest.DecodeStrict(t, *p.Playback.HLSURL)
			length := float64(len(want)) / fps
			if got := float64(*p.DurationMs) / 1000; got < length-1.0/fps || got > length+0.1 {
				t.Errorf("the post lasts %v s, its pictures %v", got, length)
			}
			p = m.awaitPost(p.ID, "uploaded", time.Minute, func(p post) bool { return p.Source != nil })
			sameFrames(t, "the original", mediatest.FrameMD5(t, p.Source.URL), want)
			mediatest.DecodeStrict(t, p.Source.URL)
			lasts(t, p.Source.URL, length, fps)
			synced(t, src, p.Source.URL, 1)
			if d := probe(t, p.Source.URL, "a:0", "stream=start_time") - probe(t, p.Source.URL, "v:0", "stream=start_time"); math.Abs(d) > apart {
				t.Errorf("sound begins %.3f s after the picture", d)
			}
		})
	}
}
