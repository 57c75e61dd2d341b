package transcode_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ffmpeg"
	"github.com/roomcast/roomcast/internal/ladder"
	"github.com/roomcast/roomcast/internal/manifest"
	"github.com/roomcast/roomcast/internal/mediatest"
	"github.com/roomcast/roomcast/internal/mediatest/check"
	"github.com/roomcast/roomcast/internal/objects/disk"
	"github.com/roomcast/roomcast/internal/rtmpout"
	"github.com/roomcast/roomcast/workers/ingest/packager"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
	"github.com/roomcast/roomcast/workers/ingest/segment"
	"github.com/roomcast/roomcast/workers/ingest/transcode"
	"github.com/roomcast/roomcast/workers/ingest/upload"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const prefix = "live/p1/"

// twoSteps is a small ladder: 180 and 90 lines.
func twoSteps() ladder.Profile {
	return ladder.Profile{Steps: []ladder.Step{{Name: "180p", ShortPixels: 180, BitrateBPS: 300_000}, {Name: "90p", ShortPixels: 90, BitrateBPS: 100_000}}}
}

// stage is a show: sessions one after the other into a directory. Its clock
// moves only when told, so that no machine is too slow.
type stage struct {
	t        *testing.T
	recorder *check.Recorder
	disk     *disk.Disk
	tool     *tool
	epoch    uint64

	mu  sync.Mutex
	now time.Time
}

func newStage(t *testing.T) *stage {
	t.Helper()
	d, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return &stage{
		t: t, disk: d, recorder: check.NewRecorder(d), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		tool: &tool{Tool: ffmpeg.New(t.Context())},
	}
}

func (s *stage) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *stage) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// tool counts the children, and lets a test meddle with the n-th one.
type tool struct {
	*ffmpeg.Tool
	mu      sync.Mutex
	started []*ffmpeg.Child
	args    func(n int, args []string) []string
}

func (t *tool) Start(ctx context.Context, args []string, outs int) (*ffmpeg.Child, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.args != nil {
		args = t.args(len(t.started), args)
	}
	c, err := t.Tool.Start(ctx, args, outs)
	if err == nil {
		t.started = append(t.started, c)
	}
	return c, err
}

func (t *tool) last() *ffmpeg.Child {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.started) == 0 {
		return nil
	}
	return t.started[len(t.started)-1]
}

// session is one publisher.
type session struct {
	s        *stage
	ladder   *transcode.Ladder
	packager *packager.Packager

	mu   sync.Mutex
	seen int
}

type direct struct {
	out *upload.Output
	k   *session
}

func (d direct) Init(in segment.Init) error { return d.out.Init(context.Background(), in) }
func (d direct) Segment(s segment.Segment) error {
	_, err := d.out.Segment(context.Background(), s)
	d.k.mu.Lock()
	d.k.seen++
	d.k.mu.Unlock()
	return err
}

type intoLadder struct{ *transcode.Ladder }

func (intoLadder) Warn(segment.Warning) {}

func (s *stage) publish(p ladder.Profile) *session {
	s.t.Helper()
	s.epoch++
	out, resumed, err := upload.Open(context.Background(), s.recorder, "p1", s.epoch, upload.Options{
		Now: s.clock, Sleep: func(context.Context, time.Duration) error { return nil },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := out.Resume(context.Background()); err != nil {
		s.t.Fatal(err)
	}
	k := &session{s: s}
	k.ladder = transcode.New(transcode.Options{
		Tool: s.tool, Profile: p, Known: resumed.Videos, Sink: direct{out, k}, Now: s.clock,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	k.packager = packager.New(packager.Options{Now: s.clock, Segment: segment.Options{
		Epoch: s.epoch, SegmentDuration: 2 * time.Second, TargetDuration: resumed.TargetDuration, Sink: intoLadder{k.ladder}, Picture: k.ladder.Picture,
	}})
	return k
}

func (k *session) push(tags []rtmpout.Tag) {
	k.s.t.Helper()
	for _, g := range tags {
		if err := k.packager.Message(rtmpin.Message{Type: rtmpin.MessageType(g.Type), TimestampMS: g.TimestampMS, Payload: g.Payload}); err != nil {
			k.s.t.Fatal(err)
		}
	}
}

// await waits until so many segments are published.
func (k *session) await(n int) {
	k.s.t.Helper()
	k.s.eventually(fmt.Sprintf("%d segments", n), func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.seen >= n
	})
}

func (k *session) end() {
	k.s.t.Helper()
	if err := k.packager.Flush(); err != nil {
		k.s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := k.ladder.Close(ctx); err != nil || ctx.Err() != nil {
		k.s.t.Fatal(err, ctx.Err())
	}
}

func (s *stage) eventually(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("not within a minute: %s", what)
		}
	}
}

func source(t *testing.T, spec mediatest.Spec) (string, []rtmpout.Tag) {
	t.Helper()
	path := mediatest.Generate(t, spec)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var tags []rtmpout.Tag
	for tag, err := range rtmpout.ReadFLV(f) {
		if err != nil {
			t.Fatal(err)
		}
		tags = append(tags, tag)
	}
	return path, tags
}

// sound checks every version of every manifest, and that every rendition can
// be decoded without an error.
func (s *stage) sound(renditions ...string) {
	s.t.Helper()
	for _, f := range check.Check(s.recorder.Log(), prefix) {
		s.t.Error(f)
	}
	body, _, err := s.disk.Get(s.t.Context(), prefix+"v.m3u8")
	if err != nil {
		s.t.Fatal(err)
	}
	files, err := manifest.Close(body, s.clock())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range files {
		if _, err := s.disk.Put(s.t.Context(), prefix+f.Name, [][]byte{f.Body}, control.PutOptions{ContentType: f.ContentType}); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, r := range renditions {
		for _, run := range s.runs(r) {
			mediatest.DecodeStrict(s.t, run)
		}
	}
	server := httptest.NewServer(s.disk.Handler())
	defer server.Close()
	mediatest.DecodeStrict(s.t, server.URL+"/"+prefix+"manifest.mpd")
}

// runs are a rendition's files, one for each init segment: ffmpeg's HLS demuxer
// loses pictures where EXT-X-MAP changes.
func (s *stage) runs(rendition string) (files []string) {
	s.t.Helper()
	list, err := manifest.ParsePlaylist(s.record().Playlist(rendition))
	if err != nil {
		s.t.Fatal(err)
	}
	bodies, order := map[string][]byte{}, []string(nil)
	for _, e := range list.Entries {
		if e.Gap {
			continue
		}
		if bodies[e.Map] == nil {
			bodies[e.Map] = s.object(e.Map)
			order = append(order, e.Map)
		}
		bodies[e.Map] = append(bodies[e.Map], s.object(e.URI)...)
	}
	for i, m := range order {
		path := filepath.Join(s.t.TempDir(), fmt.Sprintf("%s-%d.mp4", rendition, i))
		if err := os.WriteFile(path, bodies[m], 0o600); err != nil {
			s.t.Fatal(err)
		}
		files = append(files, path)
	}
	return files
}

func (s *stage) object(name string) []byte {
	s.t.Helper()
	body, _, err := s.disk.Get(s.t.Context(), prefix+name)
	if err != nil {
		s.t.Fatal(err)
	}
	return slices.Clone(body)
}

// record is what is published.
func (s *stage) record() manifest.Presentation {
	s.t.Helper()
	body, _, err := s.disk.Get(s.t.Context(), prefix+"v.m3u8")
	if err != nil {
		s.t.Fatal(err)
	}
	p, err := manifest.ParseRecord(body)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// tracks says of each period which tracks it has, in what size.
func (s *stage) tracks() (list []string) {
	s.t.Helper()
	for _, d := range s.record().Periods {
		var of []string
		for _, t := range d.Tracks {
			name := t.Name
			if t.HeightPixels > 0 {
				name = fmt.Sprintf("%s:%dx%d", name, t.WidthPixels, t.HeightPixels)
			}
			of = append(of, name)
		}
		list = append(list, strings.Join(of, " "))
	}
	return list
}

func (s *stage) wantTracks(want ...string) {
	s.t.Helper()
	if got := s.tracks(); !slices.Equal(got, want) {
		s.t.Errorf("the periods have %q, want %q", got, want)
	}
}

// whole checks that so many segments follow one another without a hole, with
// so many discontinuities.
func (s *stage) whole(segments, discontinuities int) {
	s.t.Helper()
	p := s.record()
	list, err := manifest.ParsePlaylist(p.Playlist("90p"))
	if err != nil {
		s.t.Fatal(err)
	}
	if len(list.Entries) != segments || len(p.Periods) != discontinuities+1 {
		s.t.Errorf("%d segments in %d periods, want %d in %d", len(list.Entries), len(p.Periods), segments, discontinuities+1)
	}
	for i, e := range list.Entries {
		if e.Gap {
			s.t.Errorf("segment %d is a gap", e.Number)
		}
		if i == 0 {
			continue
		}
		before := list.Entries[i-1]
		if hole := e.Time.Sub(before.Time.Add(before.Duration)); hole.Abs() > 90*time.Millisecond {
			s.t.Errorf("between segments %d and %d there are %v", before.Number, e.Number, hole)
		}
	}
}

// stop lets a child stand still.
func (s *stage) stop(c *ffmpeg.Child) {
	s.t.Helper()
	if err := syscall.Kill(c.PID(), syscall.SIGSTOP); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) children() []*ffmpeg.Child {
	s.tool.mu.Lock()
	defer s.tool.mu.Unlock()
	return slices.Clone(s.tool.started)
}

// quiet waits until the ladder has taken all that was pushed: from then on it
// waits for its child alone.
func (k *session) quiet() {
	k.s.t.Helper()
	k.s.eventually("the ladder has taken everything", k.ladder.Idle)
}
