package session

import (
	"context"
	"log/slog"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/lease"
)

// A session tells three events; refusals one.
const reporterSize = 8

// reporter sends a session's events in order, each until it is taken. Its
// goroutine may outlive the session; Handler.Close waits for it.
type reporter struct {
	h      *Handler
	log    *slog.Logger
	events chan broadcast.Event
}

func (h *Handler) newReporter(log *slog.Logger) *reporter {
	r := &reporter{h: h, log: log, events: make(chan broadcast.Event, reporterSize)}
	h.tails.Go(r.run)
	return r
}

// send never blocks: there is room for all that a session has to tell.
func (r *reporter) send(e broadcast.Event) { r.events <- e }

// close says that nothing follows.
func (r *reporter) close() { close(r.events) }

func (r *reporter) run() {
	for e := range r.events {
		err := lease.Tell(r.h.ctx, r.h.Sleep, func(ctx context.Context) error { return r.h.Events.Send(ctx, e) },
			func(err error) { r.log.Warn("state event is sent again", "phase", e.Phase, "err", err) })
		if err != nil {
			r.log.Error("state event is lost; the sweeper will tell it", "phase", e.Phase, "err", err)
		}
	}
}
