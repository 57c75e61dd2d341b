package local

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/control"
)

// Send puts a message at the end of its group, or drops it where its DedupID
// was sent to the group within the last 5 minutes.
func (q *Queue) Send(ctx context.Context, m control.QueueMessage) error {
	if err := check(m); err != nil {
		return fmt.Errorf("send to group %s: %w", m.Group, err)
	}
	body := m.Body
	if body == nil {
		body = []byte{}
	}
	err := q.batch.do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		now := q.opt.Now()
		old := micros(now.Add(-dedupWindow))
		if _, err := exec(ctx, tx, q.stmts.forget, old); err != nil {
			return err
		}
		n, err := exec(ctx, tx, q.stmts.remember, m.Group, m.DedupID, micros(now), old)
		if err != nil || n == 0 {
			return err
		}
		_, err = exec(ctx, tx, q.stmts.send, m.Group, m.DedupID, body)
		return err
	})
	if err != nil {
		return fmt.Errorf("send to group %s: %w", m.Group, err)
	}
	q.wake.broadcast()
	return nil
}

func check(m control.QueueMessage) error {
	switch {
	case m.Group == "" || len(m.Group) > maxNameBytes:
		return fmt.Errorf("a group has 1 to %d bytes", maxNameBytes)
	case m.DedupID == "" || len(m.DedupID) > maxNameBytes:
		return fmt.Errorf("a deduplication id has 1 to %d bytes", maxNameBytes)
	case len(m.Body) > maxBodyBytes:
		return fmt.Errorf("a body has at most %d bytes, not %d", maxBodyBytes, len(m.Body))
	}
	return nil
}

// Ack removes a delivered message. A receipt is over when its visibility
// timeout is, or when the message was acknowledged or returned.
func (q *Queue) Ack(ctx context.Context, d control.Delivery) error {
	seq, attempts, known := parseReceipt(d.Receipt)
	next := int64(0)
	err := q.batch.do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var group string
		err := tx.StmtContext(ctx, q.stmts.ack).QueryRowContext(ctx, seq, attempts, micros(q.opt.Now())).Scan(&group)
		if errors.Is(err, sql.ErrNoRows) {
			known = false
			return nil
		}
		if err == nil {
			next, err = exec(ctx, tx, q.stmts.promote, group)
		}
		return err
	})
	if err == nil && !known {
		err = control.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("acknowledge delivery %s: %w", d.Receipt, err)
	}
	if next > 0 {
		q.wake.broadcast()
	}
	return nil
}

// Return makes a delivered message visible again after delay; its group waits
// with it. It has been received once more.
func (q *Queue) Return(ctx context.Context, d control.Delivery, delay time.Duration) error {
	seq, attempts, known := parseReceipt(d.Receipt)
	err := q.batch.do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		now := q.opt.Now()
		n, err := exec(ctx, tx, q.stmts.giveBack, micros(now.Add(delay)), seq, attempts, micros(now))
		known = known && n == 1
		return err
	})
	if err == nil && !known {
		err = control.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("return delivery %s: %w", d.Receipt, err)
	}
	q.wake.broadcast()
	return nil
}

// A receipt is the message's number and that of the delivery.
func receipt(seq int64, attempts int) string { return fmt.Sprintf("%d.%d", seq, attempts) }

// parseReceipt answers -1, which no message has, where s is no receipt.
func parseReceipt(s string) (seq, attempts int64, ok bool) {
	a, b, _ := strings.Cut(s, ".")
	seq, err := strconv.ParseInt(a, 10, 64)
	attempts, err2 := strconv.ParseInt(b, 10, 64)
	if errors.Join(err, err2) != nil {
		return -1, -1, false
	}
	return seq, attempts, true
}
