//go:build long && linux

package recorded

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/e2e/browser"
	"github.com/roomcast/roomcast/internal/rtmpout"
	"github.com/roomcast/roomcast/workers/ingest/packager"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
	"github.com/roomcast/roomcast/workers/ingest/segment"
	"github.com/roomcast/roomcast/workers/ingest/upload"
)

const (
	hours     = 3
	round     = 16 * time.Second // 250 whole AAC frames of 16 kHz
	roundUnit = 250
	fps       = 5
	rounds    = hours * int(time.Hour/round)
	// memoryMB is what the process may need for a recording, besides ffmpeg.
	memoryMB = 100
)

// sink uploads at once.
type sink struct {
	ctx  context.Context //nolint:containedctx // the test's
	out  *upload.Output
	last uint64
}

func (s *sink) Init(in segment.Init) error { return s.out.Init(s.ctx, in) }

func (s *sink) Segment(seg segment.Segment) error {
	ack, err := s.out.Segment(s.ctx, seg)
	s.last = ack.LastSegment
	return err
}

func (s *sink) Warn(segment.Warning) {}

// streamed takes a clip through a worker's packager and its uploads, round
// after round, on the show's clock: hours of it pass in seconds.
func streamed(clip []rtmpout.Tag) func(s *show) (uint64, time.Duration) {
	return func(s *show) (uint64, time.Duration) {
		s.Helper()
		out, _, err := upload.Open(s.Context(), s.disk, string(s.play), 1, upload.Options{
			Now: s.clock, Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		})
		s.no(err)
		to := &sink{ctx: s.Context(), out: out}
		pack := packager.New(packager.Options{Now: s.clock, Segment: segment.Options{Epoch: 1, SegmentDuration: 2 * time.Second, Sink: to}})
		began := s.clock()
		for n := range rounds {
			for _, g := range clip {
				at := time.Duration(n)*round + time.Duration(g.TimestampMS)*time.Millisecond
				s.pass(max(0, at-s.clock().Sub(began)))
				m := rtmpin.Message{Type: rtmpin.MessageType(g.Type), TimestampMS: uint32(at.Milliseconds()), Payload: append([]byte(nil), g.Payload...)}
				s.no(pack.Message(m))
			}
		}
		s.no(pack.Flush())
		return to.last, 0
	}
}

// clip is a round that another one can follow without a seam. Its sound is
// silence: hours of anything else take long to encode. Its level is one that
// Chromium knows: that of so small a picture, 1b, is none.
func clip(t *testing.T) (list []rtmpout.Tag) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clip.flv")
	out, err := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=160x90:rate=%d", fps),
		"-f", "lavfi", "-i", "anullsrc=sample_rate=16000:channel_layout=mono", "-t", fmt.Sprint(round.Seconds()),
		"-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", fmt.Sprint(2*fps), "-bf", "0", "-sc_threshold", "0", "-level", "3.0", "-b:v", "60k", "-c:a", "aac", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // was only read
	units := 0
	for tag, err := range rtmpout.ReadFLV(f) {
		if err != nil {
			t.Fatal(err)
		}
		if tag.Type == rtmpout.TypeAudio && tag.Payload[1] == 1 {
			units++
		}
		if tag.Type == rtmpout.TypeAudio && units > roundUnit {
			continue
		}
		list = append(list, tag)
	}
	return list
}

// status is a value of /proc/self/status in kB.
func status(t *testing.T, name string) (kB int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			if kB, err = strconv.Atoi(strings.Fields(v)[0]); err != nil {
				t.Fatal(err)
			}
		}
	}
	return kB
}

// entries answers numbers of a file's first track of pictures.
func entries(t *testing.T, input string) (frames int, seconds float64) {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "csv=p=0", "-show_entries", "stream=nb_frames,duration", input).Output()
	if err == nil {
		_, err = fmt.Sscanf(strings.ReplaceAll(string(out), ",", " "), "%f %d", &seconds, &frames)
	}
	if err != nil {
		t.Fatalf("ffprobe %s: %v %s", input, err, out)
	}
	return frames, seconds
}

// A show of three hours goes through everything that a worker and a transcoder
// do, with hours that are not waited for.
func TestAShowOfThreeHoursIsRecorded(t *testing.T) {
	s := newShow(t, streamed(clip(t)))
	service, l, ctx := s.process(0, before, false)
	debug.FreeOSMemory()
	s.no(os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600)) // VmHWM begins anew
	idle, began := status(t, "VmRSS"), time.Now()
	s.work(ctx, service, l)
	most := status(t, "VmHWM")
	t.Logf("recorded and transcoded in %s; memory %d MB at first, %d MB at most", time.Since(began).Round(time.Second), idle>>10, most>>10)
	if most-idle > memoryMB<<10 {
		t.Errorf("it took %d MB", (most-idle)>>10)
	}

	room, err := s.db.Room(ctx, s.room)
	s.no(err)
	post, err := s.db.Post(ctx, room.PostID)
	s.no(err)
	if post.State != broadcast.PostProcessed || room.State != broadcast.RoomArchived || len(post.Sources) != 1 {
		t.Fatalf("post %+v, room %s", post, room.State)
	}
	const frames = rounds * int(round/time.Second) * fps // the room went live with the first
	const seconds = float64(frames) / fps
	near := func(what string, got float64) {
		t.Helper()
		if got < seconds-1.0/fps || got > seconds+1.0/fps {
			t.Errorf("%s lasts %v s, its pictures %v", what, got, seconds)
		}
	}
	near("the post", post.Duration.Seconds())
	for _, key := range []string{post.Sources[0].Key, post.Playback.MP4Key} {
		n, lasts := entries(t, s.dir+"/media/"+key)
		near(key, lasts)
		if n != frames {
			t.Errorf("%s has %d pictures, want %d", key, n, frames)
		}
	}
	s.watched(post, seconds)

	s.pass(25 * time.Hour)
	service, l, ctx = s.process(0, before, false)
	s.work(ctx, service, l)
	if rest := s.keys("live/"); len(rest) > 0 {
		t.Errorf("after a day %d live objects are left", len(rest))
	}
}

// watched opens everything that the post can be watched by, the first playlists
// over the live segments too, goes near the end and plays on to it.
func (s *show) watched(post broadcast.VideoPost, seconds float64) {
	s.Helper()
	var sent atomic.Int64
	files := s.disk.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { files.ServeHTTP(counter{w, &sent}, r) }))
	defer server.Close()
	b, err := browser.Launch(context.Background())
	s.no(err)
	defer func() { _ = b.Close() }() // the reports are what counts
	first := "posts/" + string(post.ID) + "/"
	for _, v := range []struct {
		player browser.Player
		key    string
	}{
		{browser.Video, post.Sources[0].Key},
		{browser.Video, post.Playback.MP4Key},
		{browser.HLSJS, first + "master.m3u8"},
		{browser.DASHJS, first + "manifest.mpd"},
		{browser.Shaka, first + "master.m3u8"},
		{browser.Shaka, first + "manifest.mpd"},
		{browser.HLSJS, post.Playback.HLSKey},
		{browser.DASHJS, post.Playback.DASHKey},
		{browser.Shaka, post.Playback.HLSKey},
		{browser.Shaka, post.Playback.DASHKey},
	} {
		s.Run(fmt.Sprint(v.player, " ", v.key[len(first):]), func(t *testing.T) {
			sent.Store(0)
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
			defer cancel()
			page, err := b.Open(ctx, browser.Options{Player: v.player, URL: server.URL + "/" + v.key})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = page.Close(ctx) }()
			await := func(what string, ok func(*browser.Report) bool) {
				t.Helper()
				report, err := page.Await(ctx, ok)
				if err != nil || len(report.Fatal()) > 0 {
					t.Fatalf("%s: %v, %v", what, err, report)
				}
			}
			await("at the beginning", func(r *browser.Report) bool { return r.PlayedSeconds > 0.5 })
			for _, to := range []float64{seconds / 2, seconds - 4} {
				if err := page.Seek(ctx, to); err != nil {
					t.Fatal(err)
				}
				await(fmt.Sprint("from ", to, " on"), func(r *browser.Report) bool { return r.CurrentTime > to+0.5 && r.CurrentTime < to+60 || r.Ended })
			}
			await("to the end", func(r *browser.Report) bool { return r.Ended || r.CurrentTime > seconds-0.5 })
			if whole := post.Sources[0].SizeBytes; sent.Load() > whole/2 {
				t.Errorf("%d bytes were sent of an original of %d", sent.Load(), whole)
			}
		})
	}
}

// counter counts what is sent.
type counter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c counter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.n.Add(int64(n))
	return n, err
}
