package local

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"github.com/roomcast/roomcast/internal/control"
)

const deadPrefix = "dead-"

// DeadLetters lists up to limit dead letters, oldest first. A message becomes
// one when it would be received once too often.
func (q *Queue) DeadLetters(ctx context.Context, limit int) ([]control.Delivery, error) {
	var dead []control.Delivery
	err := q.batch.do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		rows, err := tx.StmtContext(ctx, q.stmts.dead).QueryContext(ctx, limit)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // rows.Err has the error
		for rows.Next() {
			var d control.Delivery
			var id int64
			if err := rows.Scan(&id, &d.Group, &d.DedupID, &d.Body, &d.Attempts); err != nil {
				return err
			}
			d.Receipt = deadPrefix + strconv.FormatInt(id, 10)
			dead = append(dead, d)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return dead, nil
}

// Replay sends a dead letter again, to the end of its group, as a message that
// was never received. One that is not there is control.ErrNotFound.
func (q *Queue) Replay(ctx context.Context, receipt string) error {
	if err := q.unearth(ctx, receipt, true); err != nil {
		return fmt.Errorf("replay dead letter %s: %w", receipt, err)
	}
	q.wake.broadcast()
	return nil
}

// Drop removes a dead letter. One that is not there is control.ErrNotFound.
func (q *Queue) Drop(ctx context.Context, receipt string) error {
	if err := q.unearth(ctx, receipt, false); err != nil {
		return fmt.Errorf("drop dead letter %s: %w", receipt, err)
	}
	return nil
}

func (q *Queue) unearth(ctx context.Context, receipt string, send bool) error {
	digits, ok := strings.CutPrefix(receipt, deadPrefix)
	id, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil {
		return control.ErrNotFound
	}
	found := false
	err = q.batch.do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if send {
			if _, err := exec(ctx, tx, q.stmts.exhume, id); err != nil {
				return err
			}
		}
		n, err := exec(ctx, tx, q.stmts.unearth, id)
		found = n == 1
		return err
	})
	if err == nil && !found {
		err = control.ErrNotFound
	}
	return err
}
