package session

import (
	"log/slog"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// A session tells three events; refusals one.
const reporterSize = 8

const (
	firstRetry = 100 * time.Millisecond
	maxRetry   = 5 * time.Second
)

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
		for wait := firstRetry; ; wait = min(2*wait, maxRetry) {
			err := r.h.Events.Send(r.h.ctx, e)
			if err == nil {
				break
			}
			if r.h.Sleep(r.h.ctx, wait) != nil {
				r.log.Error("state event is lost; the sweeper will tell it", "phase", e.Phase, "err", err)
				break
			}
			r.log.Warn("state event is sent again", "phase", e.Phase, "err", err)
		}
	}
}
