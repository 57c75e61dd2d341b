package drain

import (
	"context"
	"time"
)

const (
	// awayEvery is the least pause between two publishers that are sent away:
	// who takes them in must not be overrun. Where there is time it is
	// awaySlowly, so that an outage of each show is as short as it can be.
	awayEvery  = 200 * time.Millisecond
	awaySlowly = 2 * time.Second
	// awayWithin is when all are told, as far as awayEvery allows: Fargate
	// leaves 120 s after a SIGTERM.
	awayWithin = 60 * time.Second
)

// Leaver is a publisher that knows when it is best sent away. What Gate's
// handler admits may be one.
type Leaver interface {
	// LeaveIn is how long until a moment at which its encoder, cut then, is
	// back just before its next key frame; 0 = now, or nothing is known.
	LeaveIn(now time.Time) time.Duration
}

// Farewell sends the publishers inside a gate away, one after the other, each
// at a good moment. All fields are required. Not safe for concurrent use.
type Farewell struct {
	Gate *Gate
	Now  func() time.Time
	// Sleep waits, or answers ctx's error when that ends first.
	Sleep func(ctx context.Context, d time.Duration) error

	until time.Time // awayWithin after the first; zero = nobody is told yet
}

// Next closes the connection of one publisher cleanly, and pauses; false = all
// have been told.
func (f *Farewell) Next(ctx context.Context) (more bool, err error) {
	now := f.Now()
	p, wait, left := f.Gate.ready(now)
	if p == nil {
		return false, nil
	}
	if f.until.IsZero() {
		f.until = now.Add(awayWithin)
	}
	// Half of its share of the time may go into the wait, the other half into
	// the pause.
	share := max(0, f.until.Sub(now)) / time.Duration(2*left)
	if err := f.Sleep(ctx, min(wait, share)); err != nil {
		return true, err
	}
	f.Gate.sendAway(p)
	return true, f.Sleep(ctx, min(max(share, awayEvery), awaySlowly))
}

// All calls Next until all have been told.
func (f *Farewell) All(ctx context.Context) error {
	for {
		if more, err := f.Next(ctx); err != nil || !more {
			return err
		}
	}
}

// ready answers the publisher that may be sent away the soonest, in how long,
// and how many are still to be told; nil = none.
func (g *Gate) ready(now time.Time) (first *passed, wait time.Duration, left int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for p := range g.inside {
		if p.sent {
			continue
		}
		left++
		in := time.Duration(0)
		if l, ok := p.Publisher.(Leaver); ok {
			in = l.LeaveIn(now)
		}
		if first == nil || in < wait {
			first, wait = p, in
		}
	}
	return first, wait, left
}

func (g *Gate) sendAway(p *passed) {
	g.mu.Lock()
	p.sent = true
	g.mu.Unlock()
	p.conn.Kick(codeMoved, textMoved)
}
