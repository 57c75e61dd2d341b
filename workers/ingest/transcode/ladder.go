// Package transcode makes the renditions of a live ladder: one ffmpeg per
// stream, fed with the pictures of the source's segments, whose renditions are
// cut where the source is cut (docs/adr/0013). It stands between the segmenter
// and the upload queue. When the child dies or falls behind, the source's own
// segments take the renditions' places.
package transcode

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/ffmpeg"
	"github.com/roomcast/roomcast/internal/ladder"
	"github.com/roomcast/roomcast/internal/media"
	"github.com/roomcast/roomcast/workers/ingest/segment"
)

const (
	// maxBehind is how long a segment may wait for its renditions.
	maxBehind = 5 * time.Second
	// freshFor is how old a segment may be that a second child makes again.
	freshFor = maxBehind / 2
	// maxRestarts is how often a session's child is replaced.
	maxRestarts = 1
	// lookEvery is how often the clock is looked at.
	lookEvery = 100 * time.Millisecond
)

// Tool starts ffmpeg: an *ffmpeg.Tool.
type Tool interface {
	Start(ctx context.Context, args []string, outs int) (*ffmpeg.Child, error)
}

// Sink takes what a Ladder makes: an upload queue. Its errors end the session.
type Sink interface {
	Init(segment.Init) error
	Segment(segment.Segment) error
}

// Options are what a Ladder needs; all but Known are required.
type Options struct {
	Tool Tool
	// Profile without steps makes no renditions: those of Known get the
	// source's pictures.
	Profile ladder.Profile
	// Known are the video renditions that an earlier session has published.
	Known []string
	Sink  Sink
	Now   func() time.Time
	Log   *slog.Logger
}

// Ladder takes one publisher's pictures, init segments and segments, and gives
// out those of its renditions, in order. Picture, Init and Segment never
// block; they, Err and Warnings are safe for concurrent use.
type Ladder struct {
	Options
	ctx      context.Context
	kill     context.CancelFunc
	wake     chan struct{}
	children sync.WaitGroup
	done     chan struct{}

	mu       sync.Mutex
	events   []event
	busy     bool // events are taken
	closed   bool // nothing more comes
	hurry    bool // nothing more is waited for
	err      error
	warnings []string

	// What follows is the goroutine's alone.
	init     *segment.Init
	open     []media.AccessUnit // of the segment that is not cut yet
	config   media.Config       // of the open run's pictures
	current  *child             // fed now; nil = none
	fedBy    *child             // was fed all of open
	pending  []*pending
	restarts int
	out      emitter
}

// event is one call; exactly one of its fields is set.
type event struct {
	picture *picture
	init    *segment.Init
	segment *segment.Segment
}

type picture struct {
	config media.Config
	unit   media.AccessUnit
}

// pending is a source segment whose renditions are being made.
type pending struct {
	segment  segment.Segment
	init     *segment.Init
	config   media.Config
	pictures []media.AccessUnit
	child    *child // nil = it goes out as it is
	at       time.Time
}

// New starts a Ladder; Close ends it.
func New(o Options) *Ladder {
	l := &Ladder{Options: o, wake: make(chan struct{}, 1), done: make(chan struct{})}
	l.out.sink = o.Sink
	l.out.know([]string{"v"})
	l.out.know(o.Known)
	l.ctx, l.kill = context.WithCancel(context.Background())
	go l.run()
	return l
}

// Picture takes one picture of the source; it is segment.Options.Picture.
func (l *Ladder) Picture(config media.Config, u media.AccessUnit) {
	_ = l.push(event{picture: &picture{config, u}}) // Segment says it
}

// Init takes a run of the source.
func (l *Ladder) Init(in segment.Init) error { return l.push(event{init: &in}) }

// Segment takes a segment of the source. An error is the sink's.
func (l *Ladder) Segment(s segment.Segment) error { return l.push(event{segment: &s}) }

func (l *Ladder) push(e event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil || l.closed {
		return l.err
	}
	l.events = append(l.events, e)
	l.signal()
	return nil
}

func (l *Ladder) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Err is the sink's error; nil while there is none.
func (l *Ladder) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Warnings are sentences for ingest.warnings.
func (l *Ladder) Warnings() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.warnings)
}

// Close waits until everything is given out: what the child has not made when
// ctx ends goes out as the source has it. It answers the sink's error.
func (l *Ladder) Close(ctx context.Context) error {
	l.mu.Lock()
	l.closed = true
	l.signal()
	l.mu.Unlock()
	select {
	case <-l.done:
	case <-ctx.Done():
		l.mu.Lock()
		l.hurry = true
		l.signal()
		l.mu.Unlock()
		<-l.done
	}
	return l.Err()
}

func (l *Ladder) run() {
	defer close(l.done)
	defer l.children.Wait()
	defer l.kill()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.wake:
		case <-tick.C:
		}
		l.mu.Lock()
		events, closed, hurry := l.events, l.closed, l.hurry
		l.events, l.busy = nil, true
		l.mu.Unlock()
		for _, e := range events {
			l.take(e)
		}
		l.mu.Lock()
		l.busy = false
		l.mu.Unlock()
		if closed && l.current != nil {
			l.current.finish()
		}
		if err := l.advance(hurry); err != nil {
			l.mu.Lock()
			l.err = err
			l.mu.Unlock()
			return
		}
		if closed && len(l.pending) == 0 {
			return
		}
	}
}

func (l *Ladder) take(e event) {
	switch {
	case e.init != nil:
		l.init = e.init
	case e.segment != nil:
		l.cut(*e.segment)
	case e.picture != nil:
		u := e.picture.unit
		if len(l.open) == 0 {
			if l.config = e.picture.config; l.current == nil && u.Key && l.restarts <= maxRestarts {
				l.current = l.start(l.config)
			}
			l.fedBy = l.current
		}
		l.open = append(l.open, u)
		if l.current != nil {
			l.current.feed(u)
		}
	}
}

// cut takes a segment of the open pictures.
func (l *Ladder) cut(s segment.Segment) {
	n := min(s.Pictures, len(l.open))
	p := &pending{segment: s, init: l.init, config: l.config, pictures: slices.Clone(l.open[:n]), at: l.Now()}
	if n > 0 {
		p.child = l.fedBy
	}
	l.pending = append(l.pending, p)
	l.open = slices.Clone(l.open[n:])
	l.fedBy = l.current
	if s.Until == 0 && n > 0 && l.current != nil {
		l.current.finish() // the run is over
		l.current, l.fedBy = nil, nil
	}
}

// start begins a child; nil = it cannot be.
func (l *Ladder) start(config media.Config) *child {
	renditions := l.renditions(config)
	if len(renditions) == 0 {
		return nil
	}
	c, err := startChild(l.ctx, l.Tool, config, renditions, &l.children, l.look)
	if err != nil {
		l.restarts++
		l.warn(err)
		return nil
	}
	return c
}

func (l *Ladder) look() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.signal()
}

func (l *Ladder) renditions(c media.Config) []ladder.Rendition {
	return ladder.Video(l.Profile, ladder.Source{WidthPixels: c.WidthPixels, HeightPixels: c.HeightPixels, HasVideo: true})
}

// names are the renditions' names in object names: the best one is "v", which
// is also what the recording is made of.
func names(list []ladder.Rendition) []string {
	out := []string{"v"}
	for i, r := range list[min(1, len(list)):] {
		name := strings.Map(func(c rune) rune {
			if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
				return c
			}
			return -1
		}, strings.ToLower(r.Name))
		if name == "" || name == "a" || name == "index" || name == "master" || slices.Contains(out, name) {
			name = fmt.Sprintf("v%d", i+2)
		}
		out = append(out, name)
	}
	return out
}

// advance gives out what is ready, in order, and replaces a child that is of
// no use. The error is the sink's.
func (l *Ladder) advance(hurry bool) error {
	for len(l.pending) > 0 {
		p := l.pending[0]
		if p.child == nil {
			if err := l.pass(p); err != nil {
				return err
			}
			l.pending = l.pending[1:]
			continue
		}
		err := l.give(p)
		var broken *brokenError
		switch {
		case err == nil:
			l.pending = l.pending[1:]
		case !errors.As(err, &broken):
			return err
		case broken.err != errWait: //nolint:errorlint // never wrapped
			l.replace(p.child, broken.err)
		case hurry || l.Now().Sub(p.at) > maxBehind:
			l.replace(p.child, fmt.Errorf("it is more than %v behind", maxBehind))
		default:
			return nil
		}
	}
	if c := l.current; c != nil {
		c.mu.Lock()
		err := c.broken
		c.mu.Unlock()
		if err != nil {
			l.replace(c, err)
		}
	}
	return nil
}

// replace ends a child. Its segments go out as they are; those that a second
// child can still make in time are made again.
func (l *Ladder) replace(c *child, why error) {
	c.kill()
	running := c == l.current
	var again []*pending
	for _, p := range l.pending {
		if p.child != c {
			continue
		}
		p.child = nil
		if fresh := l.Now().Sub(p.at) <= freshFor; fresh && (len(again) > 0 || p.segment.Independent) {
			again = append(again, p)
		}
	}
	l.restarts++
	l.warn(why)
	if running {
		l.current, l.fedBy = nil, nil
	}
	if l.restarts > maxRestarts {
		return
	}
	var next *child
	switch {
	case len(again) > 0:
		next = l.start(again[0].config)
	case running && len(l.open) > 0 && l.open[0].Key:
		next = l.start(l.config)
	}
	if next == nil {
		return // the next segment that begins with a key frame starts one
	}
	for _, p := range again {
		p.child = next
		for _, u := range p.pictures {
			next.feed(u)
		}
	}
	if !running {
		next.finish()
		return
	}
	for _, u := range l.open {
		next.feed(u)
	}
	l.current, l.fedBy = next, next
}

// warn tells the key's owner what has become of the ladder.
func (l *Ladder) warn(why error) {
	text := "the ladder's encoder was started again; for some seconds viewers may have got the source's picture"
	if l.restarts > maxRestarts {
		text = "the ladder's encoder failed again: every rendition is the source's picture until you publish anew"
	}
	l.Log.Warn("live ladder", "err", why, "restarts", l.restarts)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.warnings = []string{text}
}
