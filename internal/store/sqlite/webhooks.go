package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

var _ control.Webhooks = (*DB)(nil)

const (
	cursorColumns = "endpoint_id, grp, aggregate, next, last, attempts, due_at, claim"
	wakeSQL       = "INSERT INTO cursors (" + cursorColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, '')
		ON CONFLICT (endpoint_id, grp) DO UPDATE SET last = max(last, excluded.last)`
	dueSQL         = "SELECT " + cursorColumns + " FROM cursors WHERE endpoint_id = ? AND due_at <= ? ORDER BY due_at, grp LIMIT ?"
	cursorSQL      = "SELECT " + cursorColumns + " FROM cursors WHERE endpoint_id = ? AND grp = ?"
	claimSQL       = "UPDATE cursors SET claim = ?, due_at = ? WHERE endpoint_id = ? AND grp = ? AND due_at <= ?"
	saveCursorSQL  = "UPDATE cursors SET next = ?, attempts = ?, due_at = ?, claim = ? WHERE endpoint_id = ? AND grp = ? AND claim = ?"
	endCursorSQL   = "DELETE FROM cursors WHERE endpoint_id = ? AND grp = ? AND claim = ? AND last < ?"
	dropCursorsSQL = "DELETE FROM cursors WHERE endpoint_id = ?"
	failingSQL     = "UPDATE endpoints SET failing_since = ? WHERE id = ? AND failing_since IS NULL"
	recoveredSQL   = "UPDATE endpoints SET failing_since = NULL WHERE id = ? AND failing_since IS NOT NULL"
	deadLetterSQL  = "INSERT INTO dead_letters (id, endpoint_id, at, doc) VALUES (?, ?, ?, ?)"
)

func (d *DB) saveEndpoints(ctx context.Context, tx *sql.Tx, c *control.Changes) error {
	for _, e := range c.Endpoints {
		v := e.Version
		e.Version++
		if err := d.put.endpoints.save(ctx, tx, e.ID, v, e, e.AppID); err != nil {
			return err
		}
	}
	for _, e := range c.DeleteEndpoints {
		if err := d.put.endpoints.remove(ctx, tx, e.ID, e.Version); err != nil {
			return err
		}
	}
	return nil
}

// Endpoint answers a webhook endpoint.
func (d *DB) Endpoint(ctx context.Context, id string) (control.Endpoint, error) {
	return one[control.Endpoint](ctx, d, "webhook endpoint", "SELECT doc FROM endpoints WHERE id = ?", id)
}

// Endpoints lists an app's webhook endpoints.
func (d *DB) Endpoints(ctx context.Context, app broadcast.AppID, p control.Page) (control.List[control.Endpoint], error) {
	l := listing[control.Endpoint]{
		table: "endpoints", order: []string{"id"}, where: []string{"app_id = ?"}, args: []any{app},
		place: func(e control.Endpoint) []any { return []any{e.ID} },
	}
	return l.read(ctx, d, p)
}

// Wake adds cursors.
func (d *DB) Wake(ctx context.Context, list []control.Cursor) error {
	return d.write1(ctx, "wake deliveries", func(ctx context.Context, tx *sql.Tx) error {
		for _, c := range list {
			_, err := affected(ctx, tx, d.write.wake, c.EndpointID, c.Group, c.Aggregate,
				int64(c.Next), int64(c.Last), c.Attempts, micros(c.DueAt)) // #nosec G115 -- counts
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (d *DB) write1(ctx context.Context, what string, f func(context.Context, *sql.Tx) error) error {
	if err := d.transact(ctx, f); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// DueEndpoints answers the endpoints that something is due for.
func (d *DB) DueEndpoints(ctx context.Context, now time.Time) (list []string, err error) {
	err = d.scan(ctx, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		list = append(list, id)
		return err
	}, "SELECT DISTINCT endpoint_id FROM cursors WHERE due_at <= ?", micros(now))
	if err != nil {
		return nil, fmt.Errorf("list endpoints with due deliveries: %w", err)
	}
	return list, nil
}

// scan calls f for each row of a query.
func (d *DB) scan(ctx context.Context, f func(*sql.Rows) error, query string, args ...any) error {
	s, err := d.stmt(ctx, query)
	if err != nil {
		return mapError(err)
	}
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return mapError(err)
	}
	defer func() { _ = rows.Close() }() // rows.Err has the error
	for rows.Next() {
		if err := f(rows); err != nil {
			return mapError(err)
		}
	}
	return mapError(rows.Err())
}

func scanCursor(scan func(...any) error) (c control.Cursor, err error) {
	var due int64
	err = scan(&c.EndpointID, &c.Group, &c.Aggregate, &c.Next, &c.Last, &c.Attempts, &due, &c.Claim)
	c.DueAt = time.UnixMicro(due).UTC()
	return c, err
}

// DueCursors answers an endpoint's due cursors, longest due first.
func (d *DB) DueCursors(ctx context.Context, endpoint string, now time.Time, limit int) (list []control.Cursor, err error) {
	err = d.scan(ctx, func(rows *sql.Rows) error {
		c, err := scanCursor(rows.Scan)
		list = append(list, c)
		return err
	}, dueSQL, endpoint, micros(now), limit)
	if err != nil {
		return nil, fmt.Errorf("list due deliveries: %w", err)
	}
	return list, nil
}

// ClaimCursor takes a due cursor.
func (d *DB) ClaimCursor(ctx context.Context, c control.Cursor, token string, now, until time.Time) (got control.Cursor, err error) {
	err = d.write1(ctx, "claim a delivery", func(ctx context.Context, tx *sql.Tx) error {
		err := exactlyOne(ctx, tx, d.write.claim, "claim "+c.Group, token, micros(until), c.EndpointID, c.Group, micros(now))
		if err != nil {
			return err
		}
		got, err = scanCursor(tx.StmtContext(ctx, d.write.cursor).QueryRowContext(ctx, c.EndpointID, c.Group).Scan)
		return mapError(err)
	})
	return got, err
}

// SaveCursor stores how far the claimed cursor is.
func (d *DB) SaveCursor(ctx context.Context, c control.Cursor, release bool) error {
	return d.write1(ctx, "save a delivery", func(ctx context.Context, tx *sql.Tx) error {
		claim := c.Claim
		if release {
			claim = ""
		}
		return exactlyOne(ctx, tx, d.write.saveCursor, "save "+c.Group, int64(c.Next), c.Attempts, micros(c.DueAt), claim,
			c.EndpointID, c.Group, c.Claim) // #nosec G115 -- a count
	})
}

// FinishCursor removes the claimed cursor where nothing is left to do.
func (d *DB) FinishCursor(ctx context.Context, c control.Cursor) error {
	return d.write1(ctx, "finish a delivery", func(ctx context.Context, tx *sql.Tx) error {
		return exactlyOne(ctx, tx, d.write.endCursor, "finish "+c.Group,
			c.EndpointID, c.Group, c.Claim, int64(c.Next)) // #nosec G115 -- a count
	})
}

// DropCursors removes all cursors of an endpoint.
func (d *DB) DropCursors(ctx context.Context, endpoint string) error {
	return d.write1(ctx, "drop deliveries", func(ctx context.Context, tx *sql.Tx) error {
		_, err := affected(ctx, tx, d.write.dropCursors, endpoint)
		return err
	})
}

// Failing remembers since when an endpoint fails. One that is gone fails since at.
func (d *DB) Failing(ctx context.Context, endpoint string, at time.Time) (time.Time, error) {
	since := micros(at)
	err := d.write1(ctx, "remember a failing endpoint", func(ctx context.Context, tx *sql.Tx) error {
		n, err := affected(ctx, tx, d.write.failing, since, endpoint)
		if err != nil || n > 0 {
			return err
		}
		err = tx.StmtContext(ctx, d.write.failingSince).QueryRowContext(ctx, endpoint, since).Scan(&since)
		return mapError(err)
	})
	return time.UnixMicro(since).UTC(), err
}

// Recovered forgets that an endpoint failed.
func (d *DB) Recovered(ctx context.Context, endpoint string) error {
	return d.write1(ctx, "remember a working endpoint", func(ctx context.Context, tx *sql.Tx) error {
		_, err := affected(ctx, tx, d.write.recovered, endpoint)
		return err
	})
}

// AddDeadLetter keeps what an endpoint did not take.
func (d *DB) AddDeadLetter(ctx context.Context, l control.DeadLetter) error {
	doc, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return d.write1(ctx, "write dead letter "+l.ID, func(ctx context.Context, tx *sql.Tx) error {
		return exactlyOne(ctx, tx, d.write.deadLetter, "insert", l.ID, l.EndpointID, micros(l.At), string(doc))
	})
}

// WebhookDeadLetters lists what an endpoint did not take.
func (d *DB) WebhookDeadLetters(ctx context.Context, endpoint string, p control.Page) (control.List[control.DeadLetter], error) {
	l := listing[control.DeadLetter]{
		table: "dead_letters", order: []string{"id"}, where: []string{"endpoint_id = ?"}, args: []any{endpoint},
		place: func(l control.DeadLetter) []any { return []any{l.ID} },
	}
	return l.read(ctx, d, p)
}
