package dynamo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/roomcast/roomcast/internal/control"
)

// sweepJob is the partition of jobs in the sweeper's index.
const sweepJob = "JOB"

func jobItem(j control.Job) (item, error) {
	it := single("JOB", j.ID)
	it[attrSweep], it[attrSweepBy] = text(sweepJob), text(orderedTime(j.DueAt)+"#"+j.ID)
	return it, document(it, j)
}

// DueJobs answers the jobs that are due at now, oldest first.
func (s *Store) DueJobs(ctx context.Context, now time.Time, limit int) ([]control.Job, error) {
	condition := "#sweep = :sweep AND #sweepBy < :end"
	var due []control.Job
	l := listing[control.Job]{index: attrSweep}
	out, err := s.api.Query(ctx, &dynamodb.QueryInput{
		TableName: s.table, IndexName: aws.String(attrSweep), KeyConditionExpression: &condition,
		ExpressionAttributeNames: names(condition),
		ExpressionAttributeValues: bind(item{
			"sweep": text(sweepJob), "end": text(orderedTime(now.Add(time.Microsecond))),
		}),
		Limit: aws.Int32(int32(min(max(limit, 1), 1000))), // #nosec G115 -- at most 1000
	})
	if err == nil {
		var jobs []*control.Job
		if jobs, err = l.records(ctx, s, out.Items); err == nil {
			for _, j := range jobs {
				if j != nil && j.DueAt.UnixMicro() <= now.UnixMicro() {
					due = append(due, *j)
				}
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list due jobs: %w", err)
	}
	return due, nil
}

// Job answers the job.
func (s *Store) Job(ctx context.Context, id string) (control.Job, error) {
	return one[control.Job](ctx, s, "JOB", id)
}

// FinishJob removes a job; a job that is gone is no error.
func (s *Store) FinishJob(ctx context.Context, id string) error {
	if _, err := s.api.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: s.table, Key: single("JOB", id)}); err != nil {
		return fmt.Errorf("finish job %s: %w", id, err)
	}
	return nil
}

// RetryJob stores a job's new attempts and time; a job that is gone is
// control.ErrNotFound.
func (s *Store) RetryJob(ctx context.Context, j control.Job) error {
	it, err := jobItem(j)
	if err == nil {
		e := where("attribute_exists(#pk)", nil)
		_, err = s.api.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: s.table, Item: it, ConditionExpression: e.condition(), ExpressionAttributeNames: names(e.text),
		})
	}
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		err = control.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("retry job %s: %w", j.ID, err)
	}
	return nil
}
