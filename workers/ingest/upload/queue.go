package upload

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/roomcast/roomcast/workers/ingest/segment"
)

// Sink is what a Queue feeds: an *Output.
type Sink interface {
	// Resume is called once, before everything else.
	Resume(ctx context.Context) error
	Init(ctx context.Context, in segment.Init) error
	Segment(ctx context.Context, s segment.Segment) (Ack, error)
}

// QueueOptions bound a Queue; the zero value is 8 items and 64 MiB.
type QueueOptions struct {
	// MaxItems counts inits and segments that wait or are on their way.
	MaxItems int
	// MaxBytes is the sum of their bodies. A single larger one passes when
	// nothing else waits.
	MaxBytes int64
	// Acked is called on the queue's goroutine after each segment; may be nil.
	Acked func(Ack)
}

// Queue stands between the goroutine that packages and the one that uploads.
// It never blocks the former. Safe for concurrent use.
type Queue struct {
	sink   Sink
	opt    QueueOptions
	cancel context.CancelFunc
	wake   chan struct{} // has one token when there is something to look at
	done   chan struct{} // closed when the goroutine has ended

	mu     sync.Mutex
	items  []item
	busy   int // 1 while an item is on its way
	bytes  int64
	closed bool
	err    error
}

type item struct {
	init    *segment.Init
	segment *segment.Segment
	bytes   int64
}

// NewQueue starts the upload goroutine; Close ends it. Ending ctx gives up
// what is on its way, so ctx must outlive the session until Close has flushed.
func NewQueue(ctx context.Context, sink Sink, opt QueueOptions) *Queue {
	if opt.MaxItems <= 0 {
		opt.MaxItems = 8
	}
	if opt.MaxBytes <= 0 {
		opt.MaxBytes = 64 << 20
	}
	ctx, cancel := context.WithCancel(ctx)
	q := &Queue{sink: sink, opt: opt, cancel: cancel, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go q.run(ctx)
	return q
}

// Init queues the init segments of a run. See Segment.
func (q *Queue) Init(in segment.Init) error {
	var n int64
	for _, t := range in.Tracks {
		n += int64(len(t.Body))
	}
	return q.push(item{init: &in, bytes: n})
}

// Segment queues a segment and returns at once. An error ends the session:
// ErrQueueFull when uploads fall behind, or why an upload failed. What was
// queued before is still uploaded, except after a failed upload.
func (q *Queue) Segment(s segment.Segment) error {
	var n int64
	for _, t := range s.Tracks {
		n += t.SizeBytes
	}
	return q.push(item{segment: &s, bytes: n})
}

func (q *Queue) push(it item) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(q.items) + q.busy
	switch {
	case q.err != nil:
		return q.err
	case q.closed:
		return errors.New("upload: the queue is closed")
	case n >= q.opt.MaxItems || n > 0 && q.bytes+it.bytes > q.opt.MaxBytes:
		return fmt.Errorf("%d items with %d bytes wait: %w", n, q.bytes, ErrQueueFull)
	}
	q.items = append(q.items, it)
	q.bytes += it.bytes
	q.signal()
	return nil
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Done is closed when the goroutine has ended: after Close, or at once when
// an upload failed. Err says which.
func (q *Queue) Done() <-chan struct{} { return q.done }

// Err is why an upload failed; nil while none did.
func (q *Queue) Err() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}

// Close takes nothing more, waits until everything is uploaded, but not
// longer than ctx, and ends the goroutine. It answers why something was not
// uploaded. It never ends the presentation. A second call waits the same way.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	q.signal()
	q.mu.Unlock()
	select {
	case <-q.done:
	case <-ctx.Done():
		q.cancel()
		<-q.done
	}
	q.cancel()
	return q.Err()
}

func (q *Queue) run(ctx context.Context) {
	defer close(q.done)
	if err := q.sink.Resume(ctx); err != nil {
		q.fail(err)
		return
	}
	for {
		select {
		case <-ctx.Done():
			q.fail(ctx.Err())
			return
		case <-q.wake:
		}
		for {
			it, ok, end := q.take()
			if end {
				return
			}
			if !ok {
				break
			}
			if err := q.upload(ctx, it); err != nil {
				q.fail(err)
				return
			}
		}
	}
}

func (q *Queue) take() (it item, ok, end bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return item{}, false, q.closed
	}
	it, q.items, q.busy = q.items[0], q.items[1:], 1
	return it, true, false
}

func (q *Queue) upload(ctx context.Context, it item) error {
	defer func() {
		q.mu.Lock()
		q.busy, q.bytes = 0, q.bytes-it.bytes
		q.mu.Unlock()
	}()
	if it.init != nil {
		return q.sink.Init(ctx, *it.init)
	}
	ack, err := q.sink.Segment(ctx, *it.segment)
	if err == nil && q.opt.Acked != nil {
		q.opt.Acked(ack)
	}
	return err
}

func (q *Queue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.err = fmt.Errorf("%w (%d more waited)", err, len(q.items))
	q.items, q.bytes = nil, 0
}
