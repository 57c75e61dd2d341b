package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/telemetry"
)

// reserve is left to put a job back before Lambda ends the process.
const reserve = 5 * time.Second

// worker is the use case; *control.Service is one.
type worker interface {
	RunWoken(ctx context.Context, id string) error
}

type handler struct {
	service worker
	log     *slog.Logger
}

// handle does the jobs of its wake-ups. A job that fails is due again later, by
// the table; only an outage of ours brings its wake-up back.
func (h *handler) handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	ctx = telemetry.Invoked(ctx)
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-reserve))
		defer cancel()
	}
	answer := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for _, m := range batch.Records {
		var up control.WakeUp
		if err := json.Unmarshal([]byte(m.Body), &up); err != nil || up.JobID == "" {
			h.log.ErrorContext(ctx, "wake-up dropped", "message", m.MessageId, "err", err)
			continue
		}
		ctx := telemetry.With(ctx, slog.String(telemetry.Job, up.JobID))
		if err := h.service.RunWoken(ctx, up.JobID); err != nil {
			h.log.ErrorContext(ctx, "job comes again", "err", err)
			answer.BatchItemFailures = append(answer.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	return answer, nil
}
