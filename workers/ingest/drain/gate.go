// Package drain lets a worker end without cutting a show (docs/adr, "Draining"):
// it lets nobody in any more, waits until everybody has left, and goes.
package drain

import (
	"context"
	"errors"
	"sync"

	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

// What publishers are told. Encoders try again after Publish.Failed; BadName
// many of them take for a wrong stream key, and give up.
const (
	codeMoved = "NetStream.Publish.Failed"
	textMoved = "this server is being replaced, please reconnect"
)

// Gate is an rtmpin.Handler that knows who is inside, and can be closed. Safe
// for concurrent use.
type Gate struct {
	next rtmpin.Handler

	mu     sync.Mutex
	closed bool
	inside map[*passed]struct{}
	counts Counts
}

// Counts are publishes since the start.
type Counts struct {
	// Granted were admitted, Refused were told why not, Failed met a fault of
	// ours.
	Granted, Refused, Failed uint64
}

// NewGate makes an open gate before next.
func NewGate(next rtmpin.Handler) *Gate {
	return &Gate{next: next, inside: map[*passed]struct{}{}}
}

// passed is a publisher who is inside, or is being asked about.
type passed struct {
	rtmpin.Publisher
	gate *Gate
	conn rtmpin.Conn
	sent bool // told to leave; guarded by the gate's mu
}

// Publish implements rtmpin.Handler.
func (g *Gate) Publish(ctx context.Context, req rtmpin.PublishRequest, conn rtmpin.Conn) (rtmpin.Publisher, error) {
	p := &passed{gate: g, conn: conn}
	if !g.enter(p) {
		return nil, &rtmpin.Reject{Code: codeMoved, Description: textMoved}
	}
	pub, err := g.next.Publish(ctx, req, conn)
	g.count(pub != nil, err)
	if err != nil || pub == nil {
		g.leave(p)
		return nil, err
	}
	g.mu.Lock()
	p.Publisher = pub // who sends it away reads this
	g.mu.Unlock()
	return p, nil
}

// End implements rtmpin.Publisher.
func (p *passed) End(cause rtmpin.EndCause, err error) {
	defer p.gate.leave(p)
	p.Publisher.End(cause, err)
}

func (g *Gate) count(granted bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var refused *rtmpin.Reject
	switch {
	case err == nil && granted:
		g.counts.Granted++
	case errors.As(err, &refused):
		g.counts.Refused++
	default:
		g.counts.Failed++
	}
}

// Counts answers what has come of all publishes.
func (g *Gate) Counts() Counts {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.counts
}

func (g *Gate) enter(p *passed) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.inside[p] = struct{}{}
	}
	return !g.closed
}

func (g *Gate) leave(p *passed) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.inside, p)
}

// Close refuses publishers from now on, Open admits them again. Who is inside
// stays.
func (g *Gate) Close() { g.set(true) }

// Open undoes Close.
func (g *Gate) Open() { g.set(false) }

func (g *Gate) set(closed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = closed
}

// Publishers is how many are inside, those among them who are still being
// asked about, or whose last segments are being written.
func (g *Gate) Publishers() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.inside)
}
