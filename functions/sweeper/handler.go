package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/roomcast/roomcast/internal/control"
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
	pass func(context.Context) error
	jobs func(context.Context) error
	now  func() time.Time
	log  *slog.Logger
}

// sweeper is *control.Sweeper. It is not safe for concurrent use: a process
// gets one invocation at a time.
type sweeper interface {
	Pass(ctx context.Context) error
}

func newHandler(service *control.Service, s sweeper, now func() time.Time, log *slog.Logger) *handler {
	jobs := func(ctx context.Context) error {
		return service.RunJobs(ctx, control.JobClose, control.JobArchive, control.JobDiscard, control.JobDelete, control.JobExpire)
	}
	return &handler{pass: s.Pass, jobs: jobs, now: now, log: log}
}

// handle makes passes for most of a minute. A pass that fails comes again; the
// invocation fails where the last one did, so that an outage is seen.
func (h *handler) handle(ctx context.Context, _ events.EventBridgeEvent) error {
	end := h.now().Add(shift)
	if deadline, ok := ctx.Deadline(); ok && deadline.Add(-reserve).Before(end) {
		end = deadline.Add(-reserve)
	}
	for {
		err := errors.Join(h.pass(ctx), h.jobs(ctx))
		if err != nil {
			h.log.ErrorContext(ctx, "comes again", "work", "sweep", "err", err)
		}
		if h.now().Add(passEvery).After(end) {
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
