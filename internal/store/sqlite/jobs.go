package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/control"
)

// DueJobs answers the jobs that are due at now, oldest first.
func (d *DB) DueJobs(ctx context.Context, now time.Time, limit int) ([]control.Job, error) {
	jobs, err := all[control.Job](ctx, d,
		"SELECT doc FROM jobs WHERE due_at <= ? ORDER BY due_at, id LIMIT ?", micros(now), limit)
	if err != nil {
		return nil, fmt.Errorf("list due jobs: %w", err)
	}
	return jobs, nil
}

// Job answers the job.
func (d *DB) Job(ctx context.Context, id string) (control.Job, error) {
	return one[control.Job](ctx, d, "job", "SELECT doc FROM jobs WHERE id = ?", id)
}

// FinishJob removes a job; a job that is gone is no error.
func (d *DB) FinishJob(ctx context.Context, id string) error {
	err := d.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := affected(ctx, tx, d.write.finish, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("finish job %s: %w", id, err)
	}
	return nil
}

// RetryJob stores a job's new attempts and time; a job that is gone is
// control.ErrNotFound.
func (d *DB) RetryJob(ctx context.Context, j control.Job) error {
	return d.putJob(ctx, "retry", j, control.ErrNotFound, func(tx *sql.Tx, due int64, doc string) (int64, error) {
		return affected(ctx, tx, d.write.retry, due, doc, j.ID)
	})
}

// ClaimJob stores a job that is still due at was.
func (d *DB) ClaimJob(ctx context.Context, was time.Time, j control.Job) error {
	return d.putJob(ctx, "claim", j, control.ErrConflict, func(tx *sql.Tx, due int64, doc string) (int64, error) {
		return affected(ctx, tx, d.write.claimJob, due, doc, j.ID, micros(was))
	})
}

// putJob changes one job; none is the error missing.
func (d *DB) putJob(ctx context.Context, what string, j control.Job, missing error, put func(tx *sql.Tx, due int64, doc string) (int64, error)) error {
	doc, err := json.Marshal(j)
	if err == nil {
		err = d.transact(ctx, func(_ context.Context, tx *sql.Tx) error {
			n, err := put(tx, micros(j.DueAt), string(doc))
			if err == nil && n == 0 {
				err = missing
			}
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("%s job %s: %w", what, j.ID, err)
	}
	return nil
}
