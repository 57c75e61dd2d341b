package dynamo

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/roomcast/roomcast/internal/control"
)

// sweepJob is the partition of jobs in the sweeper's index.
const sweepJob = "JOB"

// jobPlace orders jobs by time.
func jobPlace(due time.Time, id string) string { return orderedTime(due) + "#" + id }

func jobItem(j control.Job) (item, error) {
	it := single("JOB", j.ID)
	it[attrSweep], it[attrSweepBy] = text(sweepJob), text(jobPlace(j.DueAt, j.ID))
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
	_, held, err := s.putJob(ctx, j, where("attribute_exists(#pk)", nil))
	if err == nil && !held {
		err = control.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("retry job %s: %w", j.ID, err)
	}
	return nil
}

// ClaimJob stores a job that is still due at was. A claim whose answer was
// lost is there as it was sent.
func (s *Store) ClaimJob(ctx context.Context, was time.Time, j control.Job) error {
	e := where("#sweepBy = :was", item{"was": text(jobPlace(was, j.ID))})
	there, held, err := s.putJob(ctx, j, e)
	if err == nil && !held {
		var is control.Job
		if there != nil {
			is, err = decode[control.Job](there)
		}
		if is.DueAt = is.DueAt.UTC(); err == nil && (there == nil || is != utc(j)) {
			err = control.ErrConflict
		}
	}
	if err != nil {
		return fmt.Errorf("claim job %s: %w", j.ID, err)
	}
	return nil
}

// utc is j as it is read again.
func utc(j control.Job) control.Job {
	j.DueAt = j.DueAt.Round(0).UTC()
	return j
}

// putJob writes a job where e holds; else it answers the one that is there.
func (s *Store) putJob(ctx context.Context, j control.Job, e expr) (item, bool, error) {
	it, err := jobItem(j)
	if err != nil {
		return nil, false, err
	}
	return s.putWhere(ctx, it, e)
}
