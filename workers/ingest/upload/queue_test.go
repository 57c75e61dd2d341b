package upload_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast/workers/ingest/segment"
	"github.com/roomcast/roomcast/workers/ingest/upload"
)

// gate is a Sink that waits for its turn.
type gate struct {
	mu   sync.Mutex
	got  []int
	turn chan error
}

func (g *gate) Resume(context.Context) error { return nil }

func (g *gate) Init(ctx context.Context, in segment.Init) error { return g.pass(ctx, -in.Run.Index) }

func (g *gate) Segment(ctx context.Context, s segment.Segment) (upload.Ack, error) {
	return upload.Ack{LastSegment: uint64(s.Run.Index)}, g.pass(ctx, s.Run.Index)
}

func (g *gate) pass(ctx context.Context, n int) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-g.turn:
		g.mu.Lock()
		g.got = append(g.got, n)
		g.mu.Unlock()
		return err
	}
}

func item(n int, size int64) segment.Segment {
	return segment.Segment{Run: segment.Run{Index: n}, Tracks: []segment.TrackSegment{{SizeBytes: size}}}
}

func TestTheQueueUploadsInOrderAndCloseFlushes(t *testing.T) {
	defer goleak.VerifyNone(t)
	g := &gate{turn: make(chan error, 9)}
	var acks []uint64
	q := upload.NewQueue(t.Context(), g, upload.QueueOptions{Acked: func(a upload.Ack) { acks = append(acks, a.LastSegment) }})
	if err := q.Init(segment.Init{Run: segment.Run{Index: 1}}); err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		if err := q.Segment(item(n+1, 1)); err != nil {
			t.Fatal(err)
		}
	}
	for range 6 {
		g.turn <- nil
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Errorf("the second Close: %v", err)
	}
	if err := q.Segment(item(7, 1)); err == nil {
		t.Error("a closed queue takes segments")
	}
	if len(g.got) != 6 || g.got[0] != -1 || g.got[5] != 5 || len(acks) != 5 || acks[4] != 5 {
		t.Errorf("uploaded %v, acknowledged %v", g.got, acks)
	}
}

func TestAFullQueueSaysSo(t *testing.T) {
	defer goleak.VerifyNone(t)
	for name, c := range map[string]struct {
		opt   upload.QueueOptions
		sizes []int64
	}{
		"by count": {upload.QueueOptions{MaxItems: 3}, []int64{1, 1, 1, 1}},
		"by bytes": {upload.QueueOptions{MaxBytes: 10}, []int64{11, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			g := &gate{turn: make(chan error, 9)}
			q := upload.NewQueue(t.Context(), g, c.opt)
			for i, size := range c.sizes {
				err := q.Segment(item(i, size))
				if full := i == len(c.sizes)-1; errors.Is(err, upload.ErrQueueFull) != full {
					t.Errorf("segment %d: %v", i, err)
				}
				g.mu.Lock()
				g.mu.Unlock() //nolint:staticcheck // nothing is let through yet
			}
			for range c.sizes {
				g.turn <- nil
			}
			if err := q.Close(t.Context()); err != nil {
				t.Errorf("what was queued before is not uploaded: %v", err)
			}
			if len(g.got) != len(c.sizes)-1 {
				t.Errorf("uploaded %v", g.got)
			}
		})
	}
}

func TestAFailedUploadEndsTheQueue(t *testing.T) {
	defer goleak.VerifyNone(t)
	g := &gate{turn: make(chan error, 1)}
	q := upload.NewQueue(t.Context(), g, upload.QueueOptions{})
	for n := range 3 {
		if err := q.Segment(item(n, 1)); err != nil {
			t.Fatal(err)
		}
	}
	g.turn <- errOut
	<-q.Done()
	if err := q.Err(); !errors.Is(err, errOut) {
		t.Errorf("Err: %v", err)
	}
	if err := q.Segment(item(4, 1)); !errors.Is(err, errOut) {
		t.Errorf("a segment after the failure: %v", err)
	}
	if err := q.Close(t.Context()); !errors.Is(err, errOut) {
		t.Errorf("Close: %v", err)
	}
}

func TestCloseWaitsNoLongerThanItsContext(t *testing.T) {
	defer goleak.VerifyNone(t)
	q := upload.NewQueue(t.Context(), &gate{turn: make(chan error)}, upload.QueueOptions{})
	if err := q.Segment(item(1, 1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := q.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Close: %v", err)
	}
}

func TestAQueuePublishesASession(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := newStage(t)
	p := s.mustOpen(1, "v", "a")
	acks := make(chan upload.Ack, 20)
	q := upload.NewQueue(t.Context(), p.out, upload.QueueOptions{MaxItems: 30, Acked: func(a upload.Ack) { acks <- a }})
	init := p.nextInit()
	var segs []segment.Segment
	for range 12 {
		segs = append(segs, p.nextSegment()) // also moves the clock, before the queue reads it
	}
	if err := q.Init(init); err != nil {
		t.Fatal(err)
	}
	for _, seg := range segs {
		if err := q.Segment(seg); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(acks); n != 12 {
		t.Errorf("%d acknowledgements", n)
	}
	s.sound()
}
