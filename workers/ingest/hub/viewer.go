package hub

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"time"
)

// How far a viewer may be behind what was sent to the others before messages
// are left out for it, and for how long in a row before it is closed.
const (
	maxBehind      = 2 * time.Second
	maxBehindBytes = 4 << 20
	tooSlowAfter   = 10 * time.Second
)

// Why a viewer is closed.
var (
	ErrEnded    = errors.New("the stream has ended")
	ErrGone     = errors.New("the publisher did not come back")
	ErrTooSlow  = errors.New("the viewer is slower than the stream")
	ErrLeft     = errors.New("the viewer left")
	ErrMoved    = errors.New("the stream is published on another worker")
	ErrShutdown = errors.New("the server is shutting down")
)

// Sink is a viewer's connection. Used by one goroutine at a time.
type Sink interface {
	// TryWrite takes what it can at once and says how many bytes; it never
	// waits. The slices are shared: not to be changed, and not to be kept for
	// longer than they are needed.
	TryWrite(bufs [][]byte) (int, error)
	// Gone reports whether the peer has closed its side. Never waits.
	Gone() bool
}

// maxBuffers bounds what one write of a viewer takes.
const maxBuffers = 16

// viewer is one connection's place in a stream. What follows the blank line
// belongs to its shard's goroutine.
type viewer struct {
	format Format
	sink   Sink
	closed func(error)
	sent   *atomic.Uint64 // of the hub, bytes
	addr   netip.Addr
	relay  bool
	left   atomic.Bool

	begun   bool      // something was written
	waiting bool      // for a start: from seq on
	seq     uint64    // the next batch to take up
	headers *headers  // what the viewer knows behind rest; nil = nothing
	rest    [][]byte  // taken up, not written yet
	first   uint64    // the batch of rest[0]
	prelude bool      // rest[0] goes ahead of that batch
	partial bool      // rest[0] is what is left of a buffer
	since   time.Time // joined or skipped: older media do not count as behind
	floor   uint64    // bytes of the stream at that time
	behind  time.Time // since when it has been overflowing; zero = it is not
	checked time.Time // when it last was seen to be there
}

// push sends what the socket takes. An error closes the viewer.
func (v *viewer) push(w window, now time.Time) error {
	if v.left.Load() {
		return ErrLeft
	}
	for {
		if len(v.rest) == 0 && !v.take(w, now) {
			return v.idle(now)
		}
		n, err := v.sink.TryWrite(v.rest)
		if err != nil {
			return ErrLeft
		}
		if n > 0 {
			v.checked = now
			v.wrote(n)
		}
		if len(v.rest) > 0 {
			return v.stuck(w, now)
		}
	}
}

// idle: everything is sent.
func (v *viewer) idle(now time.Time) error {
	v.behind = time.Time{}
	if now.Sub(v.checked) >= time.Second {
		v.checked = now
		if v.sink.Gone() {
			return ErrLeft
		}
	}
	return nil
}

// take takes up the next batches; false: there are none for it.
func (v *viewer) take(w window, now time.Time) bool {
	if v.seq < w.next && w.at(v.seq) == nil {
		v.waiting = true // they have left the window
	}
	if v.waiting && !v.restart(w, now) {
		return false
	}
	for v.seq < w.next && len(v.rest) < maxBuffers {
		b := w.at(v.seq)
		if len(v.rest) == 0 {
			v.first = v.seq
		}
		v.rest = append(v.rest, b.packed(v.format))
		v.headers = b.after
		v.seq++
	}
	return len(v.rest) > 0
}

// restart goes on at the newest start that is not behind what was taken up.
func (v *viewer) restart(w window, now time.Time) bool {
	if w.start == none || w.start < v.seq {
		return false
	}
	v.seq, v.waiting = w.start, false
	v.since, v.floor, v.behind = now, w.through, time.Time{}
	b := w.at(v.seq)
	if v.begun && b.before == v.headers {
		return true
	}
	if p := b.prelude(v.format, !v.begun); len(p) > 0 {
		v.rest = append(v.rest, p)
		v.first, v.prelude = v.seq, true
	}
	return true
}

// wrote takes n written bytes off, n > 0.
func (v *viewer) wrote(n int) {
	v.begun = true
	v.sent.Add(uint64(n)) //nolint:gosec // positive
	for len(v.rest) > 0 && n >= len(v.rest[0]) {
		n -= len(v.rest[0])
		v.rest[0] = nil
		v.rest = v.rest[1:]
		if !v.prelude {
			v.first++
		}
		v.prelude, v.partial = false, false
	}
	if len(v.rest) == 0 {
		v.rest = nil
	} else if n > 0 {
		v.rest[0] = v.rest[0][n:]
		v.partial = true
	}
}

// stuck: the socket is full. Where that lasts, the rest of the GOP is left
// out, up to the next start; a buffer that has begun is finished.
func (v *viewer) stuck(w window, now time.Time) error {
	if !v.behind.IsZero() && now.Sub(v.behind) >= tooSlowAfter {
		return ErrTooSlow
	}
	if v.waiting || !v.tooFar(w, now) {
		return nil
	}
	if v.behind.IsZero() {
		v.behind = now
	}
	v.seq, v.waiting, v.headers = v.first, true, nil
	if !v.partial {
		v.rest = nil
		return nil
	}
	v.rest = v.rest[:1:1]
	if !v.prelude {
		v.seq++
	}
	return nil
}

func (v *viewer) tooFar(w window, now time.Time) bool {
	b := w.at(v.first)
	if b == nil {
		return true
	}
	late := b.sealed
	if late.Before(v.since) {
		late = v.since
	}
	done := max(b.through-uint64(b.bytes), v.floor) //nolint:gosec // not negative
	return now.Sub(late) >= maxBehind || w.through >= done+maxBehindBytes
}
