package main

import (
	"context"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/telemetry"
)

const groupAttribute = "MessageGroupId"

// applier is the use case; *control.Service is one.
type applier interface {
	ApplyEvent(ctx context.Context, e broadcast.Event) error
}

type handler struct {
	service applier
	log     *slog.Logger
}

// handle applies a batch in its order. What failed comes again, and with it
// all that follows in its group, untried: order holds. An event that cannot be
// read is dropped: it will never be readable.
func (h *handler) handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	ctx = telemetry.Invoked(ctx)
	// Never nil: as null, Lambda would take the batch for failed.
	answer := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	failed := map[string]bool{}
	for _, m := range batch.Records {
		group := m.Attributes[groupAttribute]
		if !failed[group] && h.apply(ctx, group, m) {
			continue
		}
		failed[group] = true
		answer.BatchItemFailures = append(answer.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
	}
	return answer, nil
}

// apply reports whether there is nothing left to do.
func (h *handler) apply(ctx context.Context, group string, m events.SQSMessage) bool {
	e, err := control.DecodeEvent([]byte(m.Body))
	if err != nil {
		h.log.ErrorContext(ctx, "state event dropped", "group", group, "message", m.MessageId, "err", err)
		return true
	}
	ctx = telemetry.With(ctx, slog.String(telemetry.Key, string(e.KeyID)), slog.String(telemetry.Session, string(e.Session)))
	if err := h.service.ApplyEvent(ctx, e); err != nil {
		h.log.ErrorContext(ctx, "state event comes again", "group", group, "message", m.MessageId,
			"attempt", m.Attributes["ApproximateReceiveCount"], "err", err)
		return false
	}
	return true
}
