package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"github.com/roomcast/roomcast/internal/control"
)

// jobKey is how the key of a job's item begins
// (docs/adr/0010-dynamodb-one-table.md).
const jobKey = "JOB#"

// runner is the use case; *control.Service is one.
type runner interface {
	RunJobs(ctx context.Context, kinds ...control.JobKind) error
}

type handler struct {
	jobs runner
	log  *slog.Logger
}

// handle does the short jobs when the stream shows a new one. It is only
// sooner than the sweeper, which does what this has missed: a job that fails
// is stored with its next time, and no record ever holds up the stream for it.
func (h *handler) handle(ctx context.Context, batch events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	answer := events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{}}
	for _, r := range batch.Records {
		if !isNewJob(r) {
			continue
		}
		if err := h.jobs.RunJobs(ctx, control.JobClose, control.JobArchive); err != nil {
			h.log.ErrorContext(ctx, "left to the sweeper", "work", "jobs", "err", fmt.Errorf("do the due jobs: %w", err))
		}
		break // one look finds all that is due
	}
	return answer, nil
}

func isNewJob(r events.DynamoDBEventRecord) bool {
	pk, ok := r.Change.Keys["pk"]
	return ok && r.EventName == string(events.DynamoDBOperationTypeInsert) &&
		pk.DataType() == events.DataTypeString && strings.HasPrefix(pk.String(), jobKey)
}
