package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/control"
)

var _ control.Idempotency = (*DB)(nil)

const (
	onceSQL = `INSERT INTO once (id, expires_at, doc) VALUES (?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at, doc = excluded.doc WHERE once.expires_at <= ?`
	purgeOnceSQL = "DELETE FROM once WHERE id IN (SELECT id FROM once WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)"
)

// saveOnce writes idempotency records where there are none that still count.
func (d *DB) saveOnce(ctx context.Context, tx *sql.Tx, c *control.Changes) error {
	for _, r := range c.Once {
		doc, err := json.Marshal(r)
		if err != nil {
			return err
		}
		if err := exactlyOne(ctx, tx, d.write.once, "remember call "+r.ID,
			r.ID, micros(r.ExpiresAt), string(doc), micros(r.CreatedAt)); err != nil {
			return err
		}
	}
	return nil
}

// Once answers an idempotency record.
func (d *DB) Once(ctx context.Context, id string) (control.OnceRecord, error) {
	return one[control.OnceRecord](ctx, d, "call", "SELECT doc FROM once WHERE id = ?", id)
}

// PurgeOnce removes expired idempotency records.
func (d *DB) PurgeOnce(ctx context.Context, now time.Time, limit int) (n int, err error) {
	err = d.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		gone, err := affected(ctx, tx, d.write.purgeOnce, micros(now), limit)
		n = int(gone)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("remove expired calls: %w", err)
	}
	return n, nil
}
