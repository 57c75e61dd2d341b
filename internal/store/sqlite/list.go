package sqlite

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// listing is one list: its table, its filters and the columns that order it.
// The order is total and a record's place in it never changes, so that a
// cursor (the place of the last item) neither skips nor repeats.
type listing[T any] struct {
	table string
	where []string
	args  []any
	// order are the columns of the place, most significant first; place
	// answers an item's values of them.
	order []string
	place func(T) []any
}

// filter adds a condition unless v is the zero value.
func (l *listing[T]) filter(column, v string) {
	if v != "" {
		l.where = append(l.where, column+" = ?")
		l.args = append(l.args, v)
	}
}

func (l *listing[T]) read(ctx context.Context, d *DB, p control.Page) (control.List[T], error) {
	list, err := l.page(ctx, d, p)
	if err != nil {
		return control.List[T]{}, fmt.Errorf("list %s: %w", l.table, err)
	}
	return list, nil
}

func (l *listing[T]) page(ctx context.Context, d *DB, p control.Page) (control.List[T], error) {
	var list control.List[T]
	limit := max(p.Limit, 1)
	query, args, err := l.query(p, limit+1)
	if err != nil {
		return list, err
	}
	if list.Items, err = all[T](ctx, d, query, args...); err != nil {
		return list, err
	}
	if len(list.Items) > limit {
		list.Items = list.Items[:limit]
		list.Next, err = cursor(l.table, l.place(list.Items[limit-1]))
	}
	return list, err
}

func (l *listing[T]) query(p control.Page, limit int) (string, []any, error) {
	where, args := l.where, l.args
	than, direction := "<", " DESC"
	if p.Ascending {
		than, direction = ">", ""
	}
	if p.Cursor != "" {
		place, err := parseCursor(l.table, p.Cursor, len(l.order))
		if err != nil {
			return "", nil, err
		}
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(place)), ", ")
		where = append(where, "("+strings.Join(l.order, ", ")+") "+than+" ("+marks+")")
		args = append(args, place...)
	}
	query := "SELECT doc FROM " + l.table
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	query += " ORDER BY " + strings.Join(l.order, direction+", ") + direction + " LIMIT ?"
	return query, append(args, limit), nil
}

// A cursor is the list's name and a place in it, as JSON in base64url.
func cursor(table string, place []any) (string, error) {
	b, err := json.Marshal(append([]any{table}, place...))
	return base64.RawURLEncoding.EncodeToString(b), err
}

func parseCursor(table, s string, columns int) ([]any, error) {
	refusal := &broadcast.Refusal{Code: broadcast.CodeInvalidCursor, Message: "the cursor is not one of this list"}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil, refusal
	}
	var raw []any
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	if d.Decode(&raw) != nil || len(raw) != columns+1 || raw[0] != table {
		return nil, refusal
	}
	place := raw[1:]
	for i, v := range place {
		switch v := v.(type) {
		case string:
		case json.Number:
			n, err := v.Int64()
			if err != nil {
				return nil, refusal
			}
			place[i] = n
		default:
			return nil, refusal
		}
	}
	return place, nil
}

// Apps lists all apps.
func (d *DB) Apps(ctx context.Context, p control.Page) (control.List[control.App], error) {
	l := listing[control.App]{
		table: "apps", order: []string{"id"},
		place: func(a control.App) []any { return []any{a.ID} },
	}
	return l.read(ctx, d, p)
}

// APIKeys lists an app's API keys.
func (d *DB) APIKeys(ctx context.Context, app broadcast.AppID, p control.Page) (control.List[control.APIKey], error) {
	l := listing[control.APIKey]{
		table: "api_keys", order: []string{"id"}, where: []string{"app_id = ?"}, args: []any{app},
		place: func(k control.APIKey) []any { return []any{k.ID} },
	}
	return l.read(ctx, d, p)
}

// Members lists an app's members.
func (d *DB) Members(ctx context.Context, app broadcast.AppID, p control.Page) (control.List[control.Member], error) {
	l := listing[control.Member]{
		table: "members", order: []string{"id"},
		where: []string{"app_id = ?"}, args: []any{app},
		place: func(m control.Member) []any { return []any{m.ID} },
	}
	return l.read(ctx, d, p)
}

// Keys lists stream keys.
func (d *DB) Keys(ctx context.Context, f control.KeyFilter, p control.Page) (list control.List[control.KeyRecord], err error) {
	l := listing[broadcast.StreamKey]{
		table: "keys", order: []string{"id"},
		place: func(k broadcast.StreamKey) []any { return []any{k.ID} },
	}
	l.filter("app_id", string(f.AppID))
	l.filter("state", string(f.State))
	keys, err := l.read(ctx, d, p)
	list.Next = keys.Next
	for _, k := range keys.Items {
		r, err := d.KeyRecord(ctx, k.ID)
		if errors.Is(err, control.ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return list, err
		}
		if f.State == "" || r.Key.State == f.State {
			list.Items = append(list.Items, r)
		}
	}
	return list, err
}

// Rooms lists rooms.
func (d *DB) Rooms(ctx context.Context, f control.RoomFilter, p control.Page) (control.List[broadcast.VideoRoom], error) {
	l := listing[broadcast.VideoRoom]{
		table: "rooms", order: []string{"id"},
		place: func(r broadcast.VideoRoom) []any { return []any{r.ID} },
	}
	l.filter("app_id", string(f.AppID))
	l.filter("member_id", string(f.MemberID))
	l.filter("state", string(f.State))
	return l.read(ctx, d, p)
}

// Posts lists video posts.
func (d *DB) Posts(ctx context.Context, f control.PostFilter, p control.Page) (control.List[broadcast.VideoPost], error) {
	l := listing[broadcast.VideoPost]{
		table: "posts", order: []string{"id"},
		place: func(p broadcast.VideoPost) []any { return []any{p.ID} },
	}
	l.filter("app_id", string(f.AppID))
	l.filter("member_id", string(f.MemberID))
	l.filter("state", string(f.State))
	return l.read(ctx, d, p)
}

// LiveRooms lists the rooms that keys carry, oldest go-live first whatever the
// page says.
func (d *DB) LiveRooms(ctx context.Context, p control.Page) (control.List[broadcast.VideoRoom], error) {
	l := listing[broadcast.VideoRoom]{
		table: "rooms", order: []string{"live_at", "id"}, where: []string{"live_at IS NOT NULL"},
		place: func(r broadcast.VideoRoom) []any { return []any{liveAt(r), r.ID} },
	}
	p.Ascending = true
	return l.read(ctx, d, p)
}

// liveAt is the column of that name.
func liveAt(r broadcast.VideoRoom) any {
	switch {
	case !r.State.Carried():
		return nil
	case r.LiveStartedAt == nil:
		return int64(0)
	}
	return micros(*r.LiveStartedAt)
}

// Journal lists the entries of a room or key.
func (d *DB) Journal(ctx context.Context, aggregate string, p control.Page) (control.List[control.JournalEntry], error) {
	l := listing[control.JournalEntry]{
		table: "journal", order: []string{"version", "id"},
		where: []string{"aggregate = ?"}, args: []any{aggregate},
		place: func(e control.JournalEntry) []any { return []any{int64(e.Version), e.ID} }, // #nosec G115 -- a count
	}
	return l.read(ctx, d, p)
}

// micros is how times are compared: UTC, in microseconds.
func micros(t time.Time) int64 { return t.UnixMicro() }
