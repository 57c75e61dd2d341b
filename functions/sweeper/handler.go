package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/roomcast/roomcast/internal/telemetry"
)

const (
	// passEvery is how soon a loss is noticed besides the patience of the
	// rules; the scheduler's shortest period is a minute.
	passEvery = 2 * time.Second
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

// call is what an invocation is told: by the scheduler nothing that matters, by
// the table's stream that a publisher has taken a lease.
type call struct{ Records []json.RawMessage }

// handle makes passes for most of a minute, or one where nothing is there to
// watch: then nothing becomes due before a publisher comes, and the stream calls
// at once (docs/adr/0017). The index that a pass looks at may be later than the
// stream, so that such a call goes on whatever it finds. A pass that fails comes
// again; the invocation fails where the last one did, so that an outage is seen.
func (h *handler) handle(ctx context.Context, in call) error {
	ctx = telemetry.Invoked(ctx)
	end := h.now().Add(shift)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-reserve).Before(end) {
		end = deadline.Add(-reserve)
	}
	for {
		var err error
		busy := len(in.Records) > 0
		for _, p := range h.passes {
			err = errors.Join(err, p.Pass(ctx))
			busy = busy || p.Busy()
		}
		if err != nil {
			h.log.ErrorContext(ctx, "comes again", "work", "sweep", "err", err)
		}
		if !busy && err == nil || h.now().Add(passEvery).After(end) {
			return err
		}
		t := time.NewTimer(passEvery)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}
