package main

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/telemetry"
)

// How the keys of the items begin that something is to be done for
// (docs/adr/0010-dynamodb-one-table.md).
const (
	jobKey    = "JOB#"
	noticeKey = "NOTICE#"
)

// outbox is the use case; *control.Service is one.
type outbox interface {
	PlaceNoticesOf(ctx context.Context, refs []control.NoticeRef) error
	WakeJobs(ctx context.Context, ids []string) error
}

type handler struct {
	service outbox
	log     *slog.Logger
}

// handle does what new items ask for. What fails comes again from its first
// record on; what was done already changes nothing then. Lambda halves a batch
// that fails, and tells of a record that always does (OutboxDead of
// infra/queues.yaml): the sweeper finds what it was about.
func (h *handler) handle(ctx context.Context, batch events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	ctx = telemetry.Invoked(ctx)
	var refs []control.NoticeRef
	var jobs []string
	for _, r := range batch.Records {
		if r.EventName != string(events.DynamoDBOperationTypeInsert) {
			continue
		}
		pk, sk := text(r, "pk"), text(r, "sk")
		if id, ok := strings.CutPrefix(pk, jobKey); ok {
			jobs = append(jobs, id)
		}
		if aggregate, ok := strings.CutPrefix(pk, noticeKey); ok {
			sequence, err := strconv.ParseUint(sk, 10, 64)
			if err != nil {
				h.log.ErrorContext(ctx, "record dropped", "pk", pk, "sk", sk, "err", err)
				continue
			}
			refs = append(refs, control.NoticeRef{Aggregate: aggregate, Sequence: sequence})
		}
	}
	answer := events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{}}
	if len(refs) > 0 {
		if err := h.service.PlaceNoticesOf(ctx, refs); err != nil {
			return answer, fmt.Errorf("place %d notices: %w", len(refs), err)
		}
	}
	if len(jobs) > 0 {
		if err := h.service.WakeJobs(ctx, jobs); err != nil {
			return answer, fmt.Errorf("wake %d jobs: %w", len(jobs), err)
		}
	}
	return answer, nil
}

// text is a part of a record's key; "" where it is none of ours.
func text(r events.DynamoDBEventRecord, name string) string {
	v, ok := r.Change.Keys[name]
	if !ok || v.DataType() != events.DataTypeString {
		return ""
	}
	return v.String()
}
