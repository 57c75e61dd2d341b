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

var _ control.Feed = (*DB)(nil)

const (
	// There is one writer, so that rows come in the order of their commits.
	unplacedSQL   = "SELECT doc FROM notices WHERE position IS NULL ORDER BY rowid LIMIT ?"
	unplacedOfSQL = "SELECT doc FROM notices WHERE aggregate = ? AND sequence <= ? AND position IS NULL ORDER BY sequence"
	feedSQL       = "SELECT doc, position FROM notices WHERE app_id = ? AND position > ? ORDER BY position LIMIT ?"
	ownFeedSQL    = "SELECT doc, position FROM notices WHERE app_id = ? AND member_id = ? AND position > ? ORDER BY position LIMIT ?"
	feedEndSQL    = "SELECT ifnull(max(position), 0) FROM feed_ends WHERE app_id = ?"
	placeSQL      = `UPDATE notices SET position = (SELECT ifnull(max(position), 0) + 1 FROM feed_ends WHERE app_id = ?1),
		app_id = ?1, member_id = ?2, at = ?3 WHERE id = ?4 AND position IS NULL`
	feedRiseSQL  = "INSERT INTO feed_ends (app_id, position) VALUES (?, 1) ON CONFLICT (app_id) DO UPDATE SET position = position + 1"
	purgeFeedSQL = "DELETE FROM notices WHERE id IN (SELECT id FROM notices WHERE position IS NOT NULL AND at < ? ORDER BY at LIMIT ?)"
)

// Unplaced answers notices that have no place in the feed.
func (d *DB) Unplaced(ctx context.Context, limit int) ([]control.Notice, error) {
	list, err := all[control.Notice](ctx, d, unplacedSQL, limit)
	if err != nil {
		return nil, fmt.Errorf("list unplaced notices: %w", err)
	}
	return list, nil
}

// UnplacedOf answers which of these notices, and of those below them, have no
// place.
func (d *DB) UnplacedOf(ctx context.Context, refs []control.NoticeRef) ([]control.Notice, error) {
	var list []control.Notice
	seen := map[broadcast.EventID]bool{}
	for _, r := range refs {
		below, err := all[control.Notice](ctx, d, unplacedOfSQL, r.Aggregate, int64(r.Sequence)) // #nosec G115 -- a count
		if err != nil {
			return nil, fmt.Errorf("read unplaced notices of %s: %w", r.Aggregate, err)
		}
		for _, n := range below {
			if !seen[n.ID] {
				seen[n.ID] = true
				list = append(list, n)
			}
		}
	}
	return list, nil
}

// Place gives notices their places, all or none.
func (d *DB) Place(ctx context.Context, list []control.Notice) error {
	err := d.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, n := range list {
			placed, err := affected(ctx, tx, d.write.place, n.AppID, n.MemberID, micros(n.At), n.ID)
			if err == nil && placed > 0 {
				_, err = affected(ctx, tx, d.write.feedRise, n.AppID)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("place %d notices: %w", len(list), err)
	}
	return nil
}

// Feed answers events in order.
func (d *DB) Feed(ctx context.Context, f control.FeedFilter, after uint64, limit int) ([]control.FeedEvent, error) {
	query, args := feedSQL, []any{f.AppID, int64(after), limit} // #nosec G115 -- a count
	if f.MemberID != "" {
		query, args = ownFeedSQL, []any{f.AppID, f.MemberID, int64(after), limit} // #nosec G115 -- a count
	}
	s, err := d.stmt(ctx, query)
	if err != nil {
		return nil, mapError(err)
	}
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("read the feed of %s: %w", f.AppID, mapError(err))
	}
	defer func() { _ = rows.Close() }() // rows.Err has the error
	var list []control.FeedEvent
	for rows.Next() {
		var doc []byte
		var e control.FeedEvent
		if err := rows.Scan(&doc, &e.Position); err != nil {
			return nil, mapError(err)
		}
		if err := json.Unmarshal(doc, &e.Notice); err != nil {
			return nil, fmt.Errorf("read the feed of %s: %w", f.AppID, err)
		}
		list = append(list, e)
	}
	return list, mapError(rows.Err())
}

// FeedEnd answers the highest position that the app ever had.
func (d *DB) FeedEnd(ctx context.Context, app broadcast.AppID) (uint64, error) {
	var end uint64
	if err := d.row(ctx, feedEndSQL, []any{app}, []any{&end}); err != nil {
		return 0, fmt.Errorf("read the end of the feed of %s: %w", app, err)
	}
	return end, nil
}

// Notice answers a notice by its id.
func (d *DB) Notice(ctx context.Context, id broadcast.EventID) (control.Notice, error) {
	return one[control.Notice](ctx, d, "notice", "SELECT doc FROM notices WHERE id = ?", id)
}

// NoticeAt answers an aggregate's notice by its sequence.
func (d *DB) NoticeAt(ctx context.Context, aggregate string, sequence uint64) (control.Notice, error) {
	return one[control.Notice](ctx, d, "notice", "SELECT doc FROM notices WHERE aggregate = ? AND sequence = ?",
		aggregate, int64(sequence)) // #nosec G115 -- a count
}

// PurgeFeed removes old events.
func (d *DB) PurgeFeed(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = d.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		gone, err := affected(ctx, tx, d.write.purgeFeed, micros(before), limit)
		n = int(gone)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("remove old events: %w", err)
	}
	return n, nil
}
