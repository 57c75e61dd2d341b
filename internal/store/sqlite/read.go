package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// stmt answers the prepared reading statement of a query. The set of queries
// is small and fixed: constants and the combinations of filters.
func (d *DB) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.reads[query]; s != nil {
		return s, nil
	}
	s, err := d.readers.PrepareContext(ctx, query)
	if err == nil {
		d.reads[query] = s
	}
	return s, err
}

// row reads the one row of a query into dest.
func (d *DB) row(ctx context.Context, query string, args, dest []any) error {
	s, err := d.stmt(ctx, query)
	if err != nil {
		return mapError(err)
	}
	return mapError(s.QueryRowContext(ctx, args...).Scan(dest...))
}

// one reads the one document of a query.
func one[T any](ctx context.Context, d *DB, what, query string, args ...any) (T, error) {
	var rec T
	var doc []byte
	err := d.row(ctx, query, args, []any{&doc})
	if err == nil {
		err = json.Unmarshal(doc, &rec)
	}
	if err != nil {
		var none T
		return none, fmt.Errorf("read %s %v: %w", what, args, err)
	}
	return rec, nil
}

// all reads every document of a query.
func all[T any](ctx context.Context, d *DB, query string, args ...any) ([]T, error) {
	s, err := d.stmt(ctx, query)
	if err != nil {
		return nil, mapError(err)
	}
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return nil, mapError(err)
	}
	defer func() { _ = rows.Close() }() // rows.Err has the error
	var recs []T
	for rows.Next() {
		var doc []byte
		var rec T
		if err := rows.Scan(&doc); err != nil {
			return nil, mapError(err)
		}
		if err := json.Unmarshal(doc, &rec); err != nil {
			return nil, err
		}
		recs = append(recs, rec)
	}
	return recs, mapError(rows.Err())
}

// App answers the app.
func (d *DB) App(ctx context.Context, id broadcast.AppID) (control.App, error) {
	return one[control.App](ctx, d, "app", "SELECT doc FROM apps WHERE id = ?", id)
}

// APIKey answers the API key.
func (d *DB) APIKey(ctx context.Context, id string) (control.APIKey, error) {
	return one[control.APIKey](ctx, d, "API key", "SELECT doc FROM api_keys WHERE id = ?", id)
}

// Member answers the member.
func (d *DB) Member(ctx context.Context, id broadcast.MemberID) (control.Member, error) {
	return one[control.Member](ctx, d, "member", "SELECT doc FROM members WHERE id = ?", id)
}

// MemberByUser answers the member whom the app calls appUserID.
func (d *DB) MemberByUser(ctx context.Context, app broadcast.AppID, appUserID string) (control.Member, error) {
	return one[control.Member](ctx, d, "member",
		"SELECT doc FROM members WHERE app_id = ? AND app_user_id = ?", app, appUserID)
}

// Key answers the key and its lease as they were at one moment.
func (d *DB) Key(ctx context.Context, id broadcast.KeyID) (broadcast.StreamKey, broadcast.Lease, error) {
	var key broadcast.StreamKey
	var lease broadcast.Lease
	var keyDoc, leaseDoc []byte
	err := d.row(ctx, "SELECT k.doc, l.doc FROM keys k JOIN leases l ON l.key_id = k.id WHERE k.id = ?",
		[]any{id}, []any{&keyDoc, &leaseDoc})
	if err == nil {
		err = json.Unmarshal(keyDoc, &key)
	}
	if err == nil {
		err = json.Unmarshal(leaseDoc, &lease)
	}
	if err != nil {
		return broadcast.StreamKey{}, broadcast.Lease{}, fmt.Errorf("read stream key %s: %w", id, err)
	}
	return key, lease, nil
}

const keyRecordSQL = `SELECT k.doc, l.doc, s.string FROM keys k
	JOIN leases l ON l.key_id = k.id JOIN key_strings s ON s.key_id = k.id WHERE k.id = `

// KeyRecord answers the key, its lease and its secret as they were at one moment.
func (d *DB) KeyRecord(ctx context.Context, id broadcast.KeyID) (control.KeyRecord, error) {
	return d.keyRecord(ctx, keyRecordSQL+"?", id)
}

// KeyOfUser is KeyRecord of the member whom the app calls appUserID.
func (d *DB) KeyOfUser(ctx context.Context, app broadcast.AppID, appUserID string) (control.KeyRecord, error) {
	return d.keyRecord(ctx, keyRecordSQL+"(SELECT doc ->> 'KeyID' FROM members WHERE app_id = ? AND app_user_id = ?)", app, appUserID)
}

func (d *DB) keyRecord(ctx context.Context, query string, args ...any) (r control.KeyRecord, err error) {
	var key, lease []byte
	err = d.row(ctx, query, args, []any{&key, &lease, &r.String})
	if err == nil {
		err = json.Unmarshal(key, &r.Key)
	}
	if err == nil {
		err = json.Unmarshal(lease, &r.Lease)
	}
	if err != nil {
		return control.KeyRecord{}, fmt.Errorf("read stream key %v: %w", args[0], err)
	}
	return r, nil
}

// Room answers the room.
func (d *DB) Room(ctx context.Context, id broadcast.RoomID) (broadcast.VideoRoom, error) {
	return one[broadcast.VideoRoom](ctx, d, "room", "SELECT doc FROM rooms WHERE id = ?", id)
}

// Post answers the video post.
func (d *DB) Post(ctx context.Context, id broadcast.PostID) (broadcast.VideoPost, error) {
	return one[broadcast.VideoPost](ctx, d, "post", "SELECT doc FROM posts WHERE id = ?", id)
}
