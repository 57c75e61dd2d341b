package lease

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// Why a lease was not kept: the session ends at once and writes nothing more.
var (
	// ErrLost: the store refused a renewal: closed, revoked or taken over.
	ErrLost = errors.New("the lease is lost")
	// ErrUnreachable: nothing was renewed for 15 s: somebody else may own it.
	ErrUnreachable = errors.New("the lease cannot be renewed")
)

// Held is a lease that a session holds.
type Held struct {
	Worker  Worker
	KeyID   broadcast.KeyID
	Epoch   uint64
	Session broadcast.SessionID
}

// Keep renews the lease every 2 s until stop ends; then it answers nil. base
// is the context of the writes; progress is asked before each of them, and its
// Health, which nobody changes any more, rides along where it is new; late is
// told each failure that is no end yet. Every other answer is ErrLost or
// ErrUnreachable.
func (h Held) Keep(stop, base context.Context, progress func() broadcast.Progress, late func(error)) error {
	w := h.Worker
	last := w.Uptime()
	var stored *broadcast.Health
	for {
		if w.Sleep(stop, max(0, min(renewEvery, last+endAfter-w.Uptime()))) != nil {
			return nil
		}
		begun := w.Uptime()
		p := progress()
		health := p.Health
		if reflect.DeepEqual(health, stored) {
			p.Health = nil
		}
		err := h.renew(base, last+endAfter-begun, p)
		switch {
		case err == nil:
			last, stored = begun, health
		case errors.Is(err, control.ErrConflict), errors.Is(err, control.ErrNotFound):
			return fmt.Errorf("%w: %w", ErrLost, err)
		case w.Uptime()-last >= endAfter:
			return fmt.Errorf("%w: %w", ErrUnreachable, err)
		default:
			late(err)
		}
	}
}

func (h Held) renew(ctx context.Context, left time.Duration, p broadcast.Progress) error {
	ctx, cancel := context.WithTimeout(ctx, max(lastTry, min(renewTimeout, left)))
	defer cancel()
	return h.Worker.Store.RenewLease(ctx, h.KeyID, h.Epoch, h.Session, p)
}

// Release gives the lease back with the last word of its session. A lease that
// is lost is no error. Where it cannot be written, the sweeper finds the
// counter standing still.
func (h Held) Release(ctx context.Context, p broadcast.Progress) error {
	ctx, cancel := context.WithTimeout(ctx, 2*renewTimeout)
	defer cancel()
	err := h.Worker.Store.ReleaseLease(ctx, h.KeyID, h.Epoch, h.Session, p)
	if errors.Is(err, control.ErrConflict) || errors.Is(err, control.ErrNotFound) {
		return nil
	}
	return err
}

// Log numbers the events of one session and remembers the last one for the
// renewals. The zero value is ready. Safe for concurrent use.
type Log struct {
	mu    sync.Mutex
	phase broadcast.Phase
	seq   uint64
}

// Next answers the number of the next event; false after STOPPED: nothing
// follows it.
func (l *Log) Next(p broadcast.Phase) (seq uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.phase == broadcast.Stopped {
		return 0, false
	}
	l.seq++
	l.phase = p
	return l.seq, true
}

// Last answers the last event's phase and number; "" and 0 = none.
func (l *Log) Last() (broadcast.Phase, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.phase, l.seq
}

// Tell sends until it succeeds, more slowly each time, up to every 5 s. again
// is told each failure. The error is that of the last try, after ctx ended.
func Tell(ctx context.Context, sleep func(context.Context, time.Duration) error, send func(context.Context) error, again func(error)) error {
	for wait := firstRetry; ; wait = min(2*wait, maxRetry) {
		err := send(ctx)
		if err == nil || sleep(ctx, wait) != nil {
			return err
		}
		again(err)
	}
}
