package local

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/control"
)

// Receive delivers the heads of up to limit groups, which take turns: one with
// a backlog holds no other up. While there are none it waits, and is woken at
// once by whatever makes one deliverable.
func (q *Queue) Receive(ctx context.Context, limit int, wait time.Duration) ([]control.Delivery, error) {
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		woken := q.wake.wait()
		got, due, err := q.poll(ctx, max(limit, 1))
		if err != nil {
			return nil, fmt.Errorf("receive: %w", err)
		}
		if len(got) > 0 || wait <= 0 {
			return got, nil
		}
		var visible <-chan time.Time
		if due > 0 {
			t := time.NewTimer(due)
			defer t.Stop()
			visible = t.C
		}
		select {
		case <-woken:
		case <-visible:
		case <-timeout.C:
			return nil, nil
		case <-ctx.Done():
			return nil, fmt.Errorf("receive: %w", ctx.Err())
		}
	}
}

// poll delivers what can be delivered now. due is after how long there will be
// something that is on its way or delayed now; 0 = there is nothing.
func (q *Queue) poll(ctx context.Context, limit int) (got []control.Delivery, due time.Duration, err error) {
	err = q.batch.do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		now := q.opt.Now()
		for {
			heads, err := q.heads(ctx, tx, now, limit-len(got))
			if err != nil {
				return err
			}
			buried := false
			for _, h := range heads {
				if h.Attempts >= q.opt.MaxReceives {
					buried = true
					if err := q.bury(ctx, tx, h); err != nil {
						return err
					}
					continue
				}
				h.Attempts++
				h.Receipt = receipt(h.seq, h.Attempts)
				if _, err := exec(ctx, tx, q.stmts.deliver, micros(now.Add(q.opt.Visibility)), h.seq); err != nil {
					return err
				}
				got = append(got, h.Delivery)
			}
			if !buried || len(got) == limit {
				break
			}
		}
		due, err = q.due(ctx, tx, now)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return got, due, nil
}

// head is the oldest message of a group.
type head struct {
	control.Delivery
	seq int64
}

func (q *Queue) heads(ctx context.Context, tx *sql.Tx, now time.Time, limit int) ([]head, error) {
	rows, err := tx.StmtContext(ctx, q.stmts.heads).QueryContext(ctx, micros(now), limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err has the error
	var heads []head
	for rows.Next() {
		var h head
		if err := rows.Scan(&h.seq, &h.Group, &h.DedupID, &h.Body, &h.Attempts); err != nil {
			return nil, err
		}
		heads = append(heads, h)
	}
	return heads, rows.Err()
}

func (q *Queue) due(ctx context.Context, tx *sql.Tx, now time.Time) (time.Duration, error) {
	var at sql.NullInt64
	if err := tx.StmtContext(ctx, q.stmts.due).QueryRowContext(ctx, micros(now)).Scan(&at); err != nil || !at.Valid {
		return 0, err
	}
	// A millisecond more than what is left: the clock must have passed it.
	return time.UnixMicro(at.Int64).Sub(now) + time.Millisecond, nil
}

// bury moves a message to the dead letters; its group goes on.
func (q *Queue) bury(ctx context.Context, tx *sql.Tx, h head) error {
	if _, err := exec(ctx, tx, q.stmts.bury, h.seq); err != nil {
		return err
	}
	if _, err := exec(ctx, tx, q.stmts.remove, h.seq); err != nil {
		return err
	}
	_, err := exec(ctx, tx, q.stmts.promote, h.Group)
	return err
}
