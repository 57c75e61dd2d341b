package hub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

const (
	// lookEvery is how often the directory is asked about an interrupted stream
	// whose viewers wait; in its first soonFor, when most encoders come back, it
	// is soonEvery.
	lookEvery = 500 * time.Millisecond
	soonEvery = 200 * time.Millisecond
	soonFor   = 5 * time.Second
	// silentAfter is when a pull that brings nothing is looked after.
	silentAfter = time.Second
	findTimeout = 2 * time.Second
)

var (
	errLonely   = errors.New("nobody watches")
	errReplaced = errors.New("the stream has another upstream")
)

// keep starts the goroutine that looks after a stream without a publisher on
// this worker. The stream's mu is held.
func (s *stream) keep() {
	if s.keeping || s.ended != nil {
		return
	}
	s.keeping = true
	s.hub.loops.Go(s.look)
}

// look ends when a publisher is here, or the stream is over.
func (s *stream) look() {
	h := s.hub
	for {
		moved := false
		if s.watched() {
			ctx, cancel := context.WithTimeout(h.ctx, findTimeout)
			place, err := h.Directory.Find(ctx, s.id)
			cancel()
			switch {
			case h.ctx.Err() != nil: // seen below
			case errors.Is(err, ErrNotFound), err == nil && !place.Playable:
				s.end(ErrEnded)
				return
			case err != nil:
				h.Log.Warn("where is the stream", "playId", s.id, "err", err)
			case h.Pull != nil && place.Worker != "" && place.Worker != h.Worker && place.Address != "":
				if s.wanted(h.Now()) {
					moved = errors.Is(s.pull(place), ErrMoved)
				}
			}
		}
		if h.ctx.Err() != nil {
			s.end(ErrShutdown)
			return
		}
		if s.settled(h.Now()) {
			return
		}
		if !moved {
			_ = h.Sleep(h.ctx, s.patience(h.Now())) // the end is seen above
		}
	}
}

// watched: somebody waits, or is relayed to.
func (s *stream) watched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.viewers > 0
}

// patience is how long to wait until the directory is asked again.
func (s *stream) patience(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.lastAt) < soonFor {
		return soonEvery
	}
	return lookEvery
}

// wanted: somebody watches, or did a moment ago.
func (s *stream) wanted(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.direct > 0 || now.Sub(s.lonely) < s.hub.Linger
}

// settled: nothing is left to look after.
func (s *stream) settled(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.feed != nil {
		s.keeping = false
		return true
	}
	if now.Sub(s.lastAt) >= s.hub.Grace {
		s.finish(ErrGone)
	} else if s.viewers == 0 && now.Sub(s.lonely) >= s.hub.Linger && now.Sub(s.lastAt) >= s.hub.Linger {
		s.finish(errLonely)
	}
	return s.ended != nil
}

func (s *stream) end(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.feed != nil && errors.Is(why, ErrEnded) && !s.feed.relayed {
		s.keeping = false // a publisher came meanwhile; its own end will tell
		return
	}
	s.finish(why)
}

// finish closes the viewers; the stream's mu is held.
func (s *stream) finish(why error) {
	s.ended = why
	s.keeping = false
	s.feed = nil
	s.hub.loops.Go(func() { s.hub.forget(s) }) // the hub's mu is not for here
}

// pull relays the stream from where it is until it is somewhere else, or
// nobody wants it; the error says why we ended it, if we did.
func (s *stream) pull(from Place) error {
	h := s.hub
	f := &Feed{s: s, relayed: true}
	ctx, cancel := context.WithCancelCause(h.ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for h.Sleep(ctx, soonEvery) == nil {
			if err := s.pulled(ctx, f, from); err != nil {
				cancel(err)
			}
		}
	}()
	put := func(m rtmpin.Message) error {
		if !f.told {
			f.told = true // once: it comes on behalf of the first message
			if !s.attach(f, h.Now()) {
				return errReplaced
			}
		}
		f.s.message(f, m, h.Now())
		return ctx.Err()
	}
	err := h.Pull(ctx, from.Address, s.id, put)
	why := context.Cause(ctx)
	cancel(nil)
	<-watched
	s.mu.Lock()
	if s.feed == f {
		s.seal(h.Now())
		s.feed = nil
		s.forgetStarts()
	}
	s.mu.Unlock()
	h.Log.Info("relay ended", "playId", s.id, "from", from.Worker, "err", err, "why", fmt.Sprint(why))
	return why
}

// pulled says why a pull should end; nil = it should not.
func (s *stream) pulled(ctx context.Context, f *Feed, from Place) error {
	now := s.hub.Now()
	if !s.wanted(now) {
		return errLonely
	}
	s.mu.Lock()
	replaced := s.feed != nil && s.feed != f
	silent := now.Sub(s.lastAt) >= silentAfter
	s.mu.Unlock()
	if replaced {
		return errReplaced
	}
	if !silent {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	place, err := s.hub.Directory.Find(ctx, s.id)
	switch {
	case errors.Is(err, ErrNotFound):
		return ErrEnded
	case err == nil && place.Worker != "" && (place.Worker != from.Worker || place.Epoch != from.Epoch):
		return ErrMoved
	}
	return nil
}
