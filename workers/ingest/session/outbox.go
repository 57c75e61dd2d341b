package session

import (
	"context"
	"log/slog"
	"sync"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/lease"
)

// maxUntold bounds what a worker keeps while the queue is out of reach: ten
// minutes of 80 events a second, some 25 MB. What comes then is not kept: the
// sweeper tells it, as the lease is ahead of its key.
const maxUntold = 50_000

// outbox sends the events of all sessions, each until it is taken, those of a
// key in order, also over its sessions. It may outlive them; Handler.Close
// waits for it. Safe for concurrent use.
type outbox struct {
	h *Handler

	mu    sync.Mutex
	keys  map[broadcast.KeyID][]untold
	total int
}

type untold struct {
	broadcast.Event
	log *slog.Logger
}

// send never blocks.
func (o *outbox) send(log *slog.Logger, e broadcast.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.total >= maxUntold {
		log.Error("too many state events are waiting: the sweeper will tell this one", "phase", e.Phase)
		return
	}
	o.total++
	waiting := o.keys[e.KeyID]
	o.keys[e.KeyID] = append(waiting, untold{e, log})
	if len(waiting) == 0 {
		o.h.tails.Go(func() { o.run(e.KeyID) })
	}
}

// run sends one key's events until none is left.
func (o *outbox) run(key broadcast.KeyID) {
	for e, ok := o.head(key, 0); ok; e, ok = o.head(key, 1) {
		err := lease.Tell(o.h.ctx, o.h.Sleep, func(ctx context.Context) error { return o.h.Events.Send(ctx, e.Event) },
			func(err error) { e.log.Warn("state event is sent again", "phase", e.Phase, "err", err) })
		if err != nil {
			e.log.Error("state event is lost; the sweeper will tell it", "phase", e.Phase, "err", err)
		}
	}
}

// head forgets the first done events of a key and answers the one behind them.
func (o *outbox) head(key broadcast.KeyID, done int) (untold, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	left := o.keys[key][done:]
	o.total -= done
	if len(left) == 0 {
		delete(o.keys, key)
		return untold{}, false
	}
	o.keys[key] = left
	return left[0], true
}
