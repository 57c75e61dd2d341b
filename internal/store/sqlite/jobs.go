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
	doc, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("retry job %s: %w", j.ID, err)
	}
	err = d.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		n, err := affected(ctx, tx, d.write.retry, micros(j.DueAt), string(doc), j.ID)
		if err == nil && n == 0 {
			err = control.ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("retry job %s: %w", j.ID, err)
	}
	return nil
}
