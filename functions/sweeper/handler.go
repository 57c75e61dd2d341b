package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/roomcast/roomcast/internal/telemetry"
)

const (
	// passEvery is how soon a loss is noticed besides the patience of the
	// rules; the scheduler's shortest period is a minute.
	passEvery = 2 * time.Second
	// idleEvery is the same while there is nothing to watch: a first stream,
	// too, is seen within 15 s.
	idleEvery = 13 * time.Second
	// shift is how long one invocation goes on: the next one begins after a
	// minute, mostly in the same process, which remembers what it saw.
	shift = 54 * time.Second
	// reserve is left for the last pass before Lambda ends the process.
	reserve = 3 * time.Second
)

type handler struct {
	passes []passer
	now    func() time.Time
	log    *slog.Logger
}

// passer is *control.Sweeper or *control.Rewaker. Neither is safe for
// concurrent use: a process gets one invocation at a time.
type passer interface {
	Pass(ctx context.Context) error
	// Busy says whether the last pass found something to watch.
	Busy() bool
}

func newHandler(sweeper, rewaker passer, now func() time.Time, log *slog.Logger) *handler {
	return &handler{passes: []passer{sweeper, rewaker}, now: now, log: log}
}

// handle makes passes for most of a minute, fewer while there is nothing to
// watch. A pass that fails comes again; the invocation fails where the last one
// did, so that an outage is seen.
func (h *handler) handle(ctx context.Context, _ events.EventBridgeEvent) error {
	ctx = telemetry.Invoked(ctx)
	end := h.now().Add(shift)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-reserve).Before(end) {
		end = deadline.Add(-reserve)
	}
	for {
		var err error
		busy := false
		for _, p := range h.passes {
			err = errors.Join(err, p.Pass(ctx))
			busy = busy || p.Busy()
		}
		if err != nil {
			h.log.ErrorContext(ctx, "comes again", "work", "sweep", "err", err)
		}
		pause := passEvery
		if !busy && err == nil {
			pause = idleEvery
		}
		if h.now().Add(pause).After(end) {
			return err
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}
