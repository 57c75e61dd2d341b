package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

const (
	// deadAfter: a lease whose counter stands still that long has no worker.
	deadAfter = 15 * time.Second
	// lagAfter: a key that is behind its lease that long has lost an event.
	lagAfter  = 10 * time.Second
	sweepPage = 100
)

// Events takes state events.
type Events interface {
	Send(ctx context.Context, m QueueMessage) error
}

// Sweeper restores the truth after deaths and losses and ends what is over
// (docs/states.md, "Events", "Timers"). It watches counters on its own clock
// and remembers them between passes; several sweepers do no harm. Not safe for
// concurrent use.
type Sweeper struct {
	s      *Service
	events Events
	seen   map[broadcast.KeyID]sighting
	resent int
	busy   bool
	// Alive tells a holder that surely lives from one that may be dead; nil =
	// only the counter counts. On one machine every other process is dead.
	Alive func(broadcast.WorkerID) bool
}

// sighting is what this sweeper knows of a lease, by its own clock.
type sighting struct {
	epoch, renewals, seq uint64
	stands               time.Time // since when the counter stands still
	told                 time.Time // since when the last event is out
	shown                bool      // the key shows the last event
	warned               []string  // kinds of warnings that were told
}

// NewSweeper makes a sweeper that has seen nothing yet.
func (s *Service) NewSweeper(events Events) *Sweeper {
	return &Sweeper{s: s, events: events, seen: map[broadcast.KeyID]sighting{}}
}

// Pass looks at every held or lagging lease and every live room once.
func (w *Sweeper) Pass(ctx context.Context) error {
	w.busy = false
	err := errors.Join(w.leases(ctx), w.rooms(ctx))
	w.busy = w.busy || err != nil || len(w.seen) > 0
	return err
}

// Busy says whether the last pass has found a lease or a live room, or could
// not look: without them nothing is due before the next publisher comes.
func (w *Sweeper) Busy() bool { return w.busy }

func (w *Sweeper) leases(ctx context.Context) error {
	var problems []error
	seen := map[broadcast.KeyID]sighting{}
	after := broadcast.KeyID("")
	for {
		list, err := w.s.Store.HeldLeases(ctx, after, sweepPage)
		if err != nil {
			return fmt.Errorf("list held leases: %w", err)
		}
		for _, l := range list {
			after = l.KeyID
			sight := w.look(l)
			if err := errors.Join(w.lease(ctx, l, &sight), w.warn(ctx, l, &sight)); err != nil {
				problems = append(problems, err)
			}
			seen[l.KeyID] = sight
		}
		if len(list) < sweepPage {
			w.seen = seen
			return errors.Join(problems...)
		}
	}
}

// look compares the lease with what was seen of it before.
func (w *Sweeper) look(l broadcast.Lease) sighting {
	now := w.s.Now()
	fresh := sighting{epoch: l.Epoch, renewals: l.Renewals, seq: l.Seq, stands: now, told: now}
	was, ok := w.seen[l.KeyID]
	if !ok || was.epoch != l.Epoch {
		return fresh
	}
	fresh.warned = was.warned
	if was.renewals == l.Renewals {
		fresh.stands = was.stands
	}
	if was.seq == l.Seq {
		fresh.told, fresh.shown = was.told, was.shown
	}
	return fresh
}

func (w *Sweeper) lease(ctx context.Context, l broadcast.Lease, sight *sighting) error {
	now := w.s.Now()
	if l.Holder != nil && (now.Sub(sight.stands) >= deadAfter || w.Alive != nil && !w.Alive(l.Holder.Worker)) {
		return w.bury(ctx, l)
	}
	if l.Holder == nil && l.Phase == "" {
		// Taken and given back without a word. It was taken from somebody
		// perhaps, whose own end nobody else tells.
		l.Phase = broadcast.Stopped
	}
	if l.Phase == "" || sight.shown || now.Sub(sight.told) < lagAfter {
		return nil
	}
	key, _, err := w.s.Store.Key(ctx, l.KeyID)
	switch {
	case errors.Is(err, ErrNotFound):
		sight.shown = true
		return nil
	case err != nil:
		return fmt.Errorf("compare the lease of %s with its key: %w", l.KeyID, err)
	case !key.Fence.Before(broadcast.Fence{Epoch: l.Epoch, Seq: l.Seq}):
		sight.shown = true
		return nil
	}
	sight.told = now
	return w.send(ctx, l)
}

// bury releases a dead worker's lease and tells its end in its name.
func (w *Sweeper) bury(ctx context.Context, l broadcast.Lease) error {
	gone := l
	gone.Holder, gone.Phase, gone.Seq = nil, broadcast.Stopped, broadcast.LastSeq
	err := w.s.Store.Commit(ctx, Changes{
		ID:     w.s.IDs.New("tx"),
		Leases: []LeaseWrite{{Lease: gone, IfEpoch: l.Epoch, IfRenewals: &l.Renewals}},
	})
	if errors.Is(err, ErrConflict) {
		return nil // it lives, or somebody else was faster
	}
	if err != nil {
		return fmt.Errorf("release the dead worker's lease of %s: %w", l.KeyID, err)
	}
	w.s.Log.WarnContext(ctx, "worker is gone", "key", l.KeyID, "session", l.Holder.Session, "worker", l.Holder.Worker)
	return w.send(ctx, gone)
}

// send tells the lease's last event again, under a new deduplication id.
func (w *Sweeper) send(ctx context.Context, l broadcast.Lease) error {
	w.resent++
	e := broadcast.Event{
		ID: broadcast.EventID(w.s.IDs.New("evt")), KeyID: l.KeyID, Epoch: l.Epoch, Seq: l.Seq,
		Phase: l.Phase, Mode: l.Mode, LastSegment: l.LastSegment, At: w.s.Now(),
	}
	if l.Seq == broadcast.LastSeq {
		e.StopReason = "the worker is gone"
	}
	m, err := EncodeEvent(e, w.resent)
	if err != nil {
		return err
	}
	if err := w.events.Send(ctx, m); err != nil {
		return fmt.Errorf("send %s for %s: %w", e.Phase, l.KeyID, err)
	}
	return nil
}
