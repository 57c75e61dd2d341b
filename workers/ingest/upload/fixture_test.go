package upload_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/media"
	"github.com/roomcast/roomcast/internal/mediatest/check"
	"github.com/roomcast/roomcast/internal/mediatest/check/boxes"
	"github.com/roomcast/roomcast/internal/objects/disk"
	"github.com/roomcast/roomcast/workers/ingest/segment"
	"github.com/roomcast/roomcast/workers/ingest/upload"
)

const prefix = "live/p1/"

// faults stands between an output and the storage.
type faults struct {
	control.Objects
	mu   sync.Mutex
	puts int
	// before and after say what happens to the n-th Put, counted from 1: an
	// error before it is done, or instead of its answer.
	before, after func(n int, key string) error
}

func (f *faults) Put(ctx context.Context, key string, body [][]byte, o control.PutOptions) (string, error) {
	f.mu.Lock()
	f.puts++
	n := f.puts
	f.mu.Unlock()
	if f.before != nil {
		if err := f.before(n, key); err != nil {
			return "", err
		}
	}
	tag, err := f.Objects.Put(ctx, key, body, o)
	if f.after != nil {
		if err := f.after(n, key); err != nil {
			return "", err
		}
	}
	return tag, err
}

// stage is a storage with its recorder, and a clock.
type stage struct {
	t     *testing.T
	store *check.Recorder
	at    time.Time
}

// newStage plays on a directory.
func newStage(t *testing.T) *stage {
	t.Helper()
	d, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() }) // nothing is lost: the test is over
	return stageOn(t, d)
}

func newMemoryStage(t *testing.T) *stage {
	t.Helper()
	return stageOn(t, &memory{bodies: map[string][]byte{}})
}

func stageOn(t *testing.T, objects control.Objects) *stage {
	t.Helper()
	return &stage{t: t, store: check.NewRecorder(objects), at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

func (s *stage) options() upload.Options {
	return upload.Options{
		Now:   func() time.Time { return s.at },
		Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}
}

func (s *stage) get(name string) string {
	s.t.Helper()
	b, _, err := s.store.Get(s.t.Context(), prefix+name)
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	return string(b)
}

// sound fails when the checker finds anything in what was written so far.
func (s *stage) sound() {
	s.t.Helper()
	for i, f := range check.Check(s.store.Log(), prefix) {
		if s.t.Error(f); i == 10 {
			return
		}
	}
}

func track(name string) (media.Config, uint32) {
	if name == "v" {
		return media.Config{
			Kind: media.Video, Codec: media.AVC, Codecs: "avc1.42c01e", Timescale: 90_000,
			WidthPixels: 320, HeightPixels: 240,
		}, 3_600
	}
	return media.Config{
		Kind: media.Audio, Codec: media.AAC, Codecs: "mp4a.40.2", Timescale: 48_000, SampleRateHz: 48_000, Channels: 2,
	}, 1024
}

// publisher is one session that packages in real time: 2 s of video at 25
// pictures/s and 48 kHz audio.
type publisher struct {
	s      *stage
	out    *upload.Output
	run    segment.Run
	tracks []string
	began  time.Time
	n      int
}

func (s *stage) open(objects control.Objects, epoch uint64, tracks ...string) (*publisher, upload.Resumed, error) {
	out, resumed, err := upload.Open(s.t.Context(), objects, "p1", epoch, s.options())
	if err == nil {
		err = out.Resume(s.t.Context())
	}
	return &publisher{s: s, out: out, run: segment.Run{Epoch: epoch, Index: -1}, tracks: tracks}, resumed, err
}

func (s *stage) mustOpen(epoch uint64, tracks ...string) *publisher {
	s.t.Helper()
	p, _, err := s.open(s.store, epoch, tracks...)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

func (p *publisher) nextInit() segment.Init {
	p.run.Index++
	p.n = 0
	p.began = p.s.at
	in := segment.Init{Run: p.run, TargetDuration: 2 * time.Second}
	for _, name := range p.tracks {
		c, _ := track(name)
		body, err := boxes.Init(c.Kind, c.Timescale)
		if err != nil {
			p.s.t.Fatal(err)
		}
		in.Tracks = append(in.Tracks, segment.TrackInit{Name: name, Config: c, Body: body})
	}
	return in
}

// nextSegment is the run's next 2 s; the tracks that are named are gaps.
func (p *publisher) nextSegment(gaps ...string) segment.Segment {
	seg := segment.Segment{Run: p.run, Independent: true, Start: p.began.Add(time.Duration(2*p.n) * time.Second)}
	for _, name := range p.tracks {
		c, dur := track(name)
		count, cts := 50, uint32(7_200)
		first := media.Ticks(50 * p.n)
		if name == "a" {
			first = media.Ticks(p.n * 2 * 48_000 / 1024)
			count, cts = (p.n+1)*2*48_000/1024-int(first), 0
		}
		if slices.Contains(gaps, name) {
			seg.Tracks = append(seg.Tracks, segment.TrackSegment{Name: name, Gap: true, EarliestPTS: first * media.Ticks(dur), Duration: media.Ticks(count) * media.Ticks(dur)})
			continue
		}
		body, err := boxes.Segment(c.Kind, first*media.Ticks(dur), count, dur, cts)
		if err != nil {
			p.s.t.Fatal(err)
		}
		seg.Tracks = append(seg.Tracks, segment.TrackSegment{
			Name: name, BaseDTS: first * media.Ticks(dur), EarliestPTS: first*media.Ticks(dur) + media.Ticks(cts),
			Duration: media.Ticks(count) * media.Ticks(dur), SizeBytes: int64(len(body)),
			Body: [][]byte{body[:20], body[20:]},
		})
	}
	p.n++
	p.s.at = p.began.Add(time.Duration(2*p.n) * time.Second)
	return seg
}

// play publishes an init, where it is the first call, and n segments.
func (p *publisher) play(n int, gaps ...string) (ack upload.Ack, err error) {
	if p.run.Index < 0 {
		if err := p.out.Init(p.s.t.Context(), p.nextInit()); err != nil {
			return ack, err
		}
	}
	for range n {
		if ack, err = p.out.Segment(p.s.t.Context(), p.nextSegment(gaps...)); err != nil {
			return ack, err
		}
	}
	return ack, nil
}

func (p *publisher) mustPlay(n int, gaps ...string) upload.Ack {
	p.s.t.Helper()
	ack, err := p.play(n, gaps...)
	if err != nil {
		p.s.t.Fatal(err)
	}
	return ack
}
