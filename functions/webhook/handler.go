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

// reserve is left to say what became of a delivery before Lambda ends the
// process.
const reserve = 3 * time.Second

// deliverer is the use case; *control.Service is one.
type deliverer interface {
	Deliver(ctx context.Context, sender control.Sender, c control.Cursor) error
}

type handler struct {
	service deliverer
	sender  control.Sender
	log     *slog.Logger
}

// handle delivers what the groups of its wake-ups have left. A wake-up whose
// group is done, or is another's, does nothing. Only an outage of ours brings
// one back: an endpoint that takes nothing is put off in the table.
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
		if err := json.Unmarshal([]byte(m.Body), &up); err != nil || up.EndpointID == "" || up.Group == "" {
			h.log.ErrorContext(ctx, "wake-up dropped", "message", m.MessageId, "err", err)
			continue
		}
		if err := h.service.Deliver(ctx, h.sender, control.Cursor{EndpointID: up.EndpointID, Group: up.Group}); err != nil {
			h.log.ErrorContext(ctx, "delivery comes again", "endpoint", up.EndpointID, "group", up.Group, "err", err)
			answer.BatchItemFailures = append(answer.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	return answer, nil
}
