// Package local is the FIFO of one machine: tables of its own in a SQLite file
// that somebody else has opened.
package local

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/roomcast/roomcast/internal/control"
)

const (
	// dedupWindow is SQS's.
	dedupWindow = 5 * time.Minute
	// maxBodyBytes is the limit of control.QueueMessage.
	maxBodyBytes = 64 << 10
	// maxNameBytes bounds groups and deduplication ids, as SQS does.
	maxNameBytes = 128
)

// Options of New. Now is required.
type Options struct {
	Now func() time.Time
	// Visibility is how long a delivery may take; 0 = 30 s.
	Visibility time.Duration
	// MaxReceives is how often a message is delivered before it goes to the
	// dead letters; 0 = 10.
	MaxReceives int
}

// Queue is a control.Queue. Safe for concurrent use. What Send, Ack and Return
// answered is on the disk as far as the connection's synchronous setting says.
type Queue struct {
	opt   Options
	batch batch
	wake  signal
	stmts statements
}

var _ control.Queue = (*Queue)(nil)

// A file that was released is never changed. The queue's tables have a version
// of their own, which is how many of these they have seen.
//
//go:embed migrations/*.sql
var migrations embed.FS

// New opens the queue in db, a SQLite database whose transactions begin
// immediately and on whose one connection all its writes are made. It makes
// the tables where there are none. One Queue at a time: deliveries of an
// earlier one are over and come again at once.
func New(ctx context.Context, db *sql.DB, opt Options) (*Queue, error) {
	if opt.Visibility <= 0 {
		opt.Visibility = 30 * time.Second
	}
	if opt.MaxReceives <= 0 {
		opt.MaxReceives = 10
	}
	q := &Queue{opt: opt, batch: batch{db: db}}
	if err := q.migrate(ctx, db); err != nil {
		return nil, fmt.Errorf("open queue: %w", mapError(err))
	}
	if err := q.stmts.prepare(ctx, db); err != nil {
		return nil, fmt.Errorf("open queue: %w", mapError(err))
	}
	if _, err := db.ExecContext(ctx, "UPDATE queue_messages SET in_flight = 0, visible_at = 0 WHERE in_flight = 1"); err != nil {
		return nil, fmt.Errorf("open queue: %w", mapError(err))
	}
	return q, nil
}

func (q *Queue) migrate(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS queue_schema (version INTEGER NOT NULL) STRICT"); err != nil {
		return err
	}
	version := 0
	err = tx.QueryRowContext(ctx, "SELECT version FROM queue_schema").Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		_, err = tx.ExecContext(ctx, "INSERT INTO queue_schema (version) VALUES (0)")
	}
	if err != nil {
		return err
	}
	steps, err := migrations.ReadDir("migrations") // sorted by name
	if err != nil {
		return err
	}
	if version > len(steps) {
		return fmt.Errorf("its tables have version %d and this program knows versions up to %d: use the newer program that wrote them", version, len(steps))
	}
	for _, step := range steps[version:] {
		script, err := migrations.ReadFile("migrations/" + step.Name())
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, string(script)); err != nil {
			return fmt.Errorf("%s: %w", step.Name(), err)
		}
	}
	if _, err := tx.ExecContext(ctx, "UPDATE queue_schema SET version = ? WHERE version < ?", len(steps), len(steps)); err != nil {
		return err
	}
	return tx.Commit()
}

// micros is how times are stored.
func micros(t time.Time) int64 { return t.UnixMicro() }

// mapError says an error of the driver in the words of control.
func mapError(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_FULL {
		return fmt.Errorf("%w: %w", control.ErrNoSpace, err)
	}
	return err
}
