package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// FindPublisher answers where a stream key string leads, in one read.
func (d *DB) FindPublisher(ctx context.Context, h broadcast.Hash) (control.Publisher, error) {
	p, err := d.findPublisher(ctx, h)
	if err != nil {
		return control.Publisher{}, fmt.Errorf("find the publisher of a stream key string: %w", err)
	}
	return p, nil
}

func (d *DB) findPublisher(ctx context.Context, h broadcast.Hash) (control.Publisher, error) {
	var key broadcast.StreamKey
	var app control.App
	var generation int64
	var docs [3][]byte
	p := control.Publisher{}
	err := d.row(ctx, `SELECT h.generation, k.doc, a.doc, l.doc FROM key_hashes h
		JOIN keys k ON k.id = h.key_id JOIN apps a ON a.id = k.app_id JOIN leases l ON l.key_id = k.id
		WHERE h.hash = ?`, []any{h[:]}, []any{&generation, &docs[0], &docs[1], &docs[2]})
	if err != nil {
		return p, err
	}
	for i, rec := range []any{&key, &app, &p.Lease} {
		if err := json.Unmarshal(docs[i], rec); err != nil {
			return p, err
		}
	}
	p.KeyID, p.AppID, p.Generation = key.ID, key.AppID, uint64(generation) // #nosec G115 -- a count
	if p.OutputMode = key.OutputMode; p.OutputMode == "" {
		p.OutputMode = app.DefaultOutputMode
	}
	if p.ProfileID = key.TranscodingProfileID; p.ProfileID == "" {
		p.ProfileID = app.DefaultTranscodingProfileID
	}
	if key.RoomID != "" {
		p.RoomID, p.RoomMode = key.RoomID, key.Mode
	}
	return p, nil
}

// Lease answers the lease.
func (d *DB) Lease(ctx context.Context, id broadcast.KeyID) (broadcast.Lease, error) {
	return one[broadcast.Lease](ctx, d, "lease", leaseSQL, id)
}

// LeaseOfPlayID implements control.PlayIDs.
func (d *DB) LeaseOfPlayID(ctx context.Context, id broadcast.PlayID) (broadcast.Lease, error) {
	if id == "" {
		return broadcast.Lease{}, fmt.Errorf("find a play id: %w", control.ErrNotFound)
	}
	return one[broadcast.Lease](ctx, d, "lease of play id", playIDSQL, id)
}

const playIDSQL = "SELECT doc FROM leases WHERE play_id = ?"

// HeldLeases answers the watched leases by key id.
func (d *DB) HeldLeases(ctx context.Context, after broadcast.KeyID, limit int) ([]broadcast.Lease, error) {
	leases, err := all[broadcast.Lease](ctx, d, heldSQL, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list held leases: %w", err)
	}
	return leases, nil
}

const heldSQL = "SELECT doc FROM leases INDEXED BY leases_watched WHERE watched = 1 AND key_id > ? ORDER BY key_id LIMIT ?"

// TakeLease makes h the holder. It also refuses, as a conflict, while the
// lease's RefusedUntil is ahead of the clock. Where h's session has taken the
// lease on this very condition already, the answer is that lease.
func (d *DB) TakeLease(ctx context.Context, id broadcast.KeyID, c control.LeaseCondition, h broadcast.Holder, p broadcast.Progress) (broadcast.Lease, error) {
	var taken broadcast.Lease
	err := d.changeLease(ctx, "take", id, func(l *broadcast.Lease) (*sql.Stmt, error) {
		if l.Holder != nil && l.Holder.Session == h.Session && l.Epoch == c.Epoch+1 {
			taken = *l
			return nil, nil
		}
		switch {
		case l.KeyGeneration != c.Generation:
			return nil, fmt.Errorf("the key has a new string: %w", control.ErrConflict)
		case l.Epoch != c.Epoch:
			return nil, fmt.Errorf("the epoch is %d: %w", l.Epoch, control.ErrConflict)
		case c.Media == nil && l.Holder != nil:
			return nil, fmt.Errorf("session %s holds it: %w", l.Holder.Session, control.ErrConflict)
		case c.Media != nil && *c.Media != l.Media:
			return nil, fmt.Errorf("its media counter moved: %w", control.ErrConflict)
		case d.now().Before(l.RefusedUntil):
			return nil, fmt.Errorf("publishing is refused until %s: %w", l.RefusedUntil, control.ErrConflict)
		}
		l.Epoch++
		l.Holder = &h
		l.Progress = broadcast.Progress{Mode: p.Mode, Health: p.Health, LastSegment: l.LastSegment}
		taken = *l
		return d.write.setLease, nil
	})
	if err != nil {
		return broadcast.Lease{}, err
	}
	return taken, nil
}

// RenewLease stores what the holder reports; without Health, that stays.
func (d *DB) RenewLease(ctx context.Context, id broadcast.KeyID, epoch uint64, s broadcast.SessionID, p broadcast.Progress) error {
	return d.changeLease(ctx, "renew", id, func(l *broadcast.Lease) (*sql.Stmt, error) {
		if l.Epoch != epoch || l.Holder == nil || l.Holder.Session != s {
			return nil, fmt.Errorf("session %s does not hold epoch %d: %w", s, epoch, control.ErrConflict)
		}
		if p.Health == nil {
			p.Health = l.Health
		}
		l.Progress = p
		return d.write.renewLease, nil
	})
}

// ReleaseLease stores what the holder reports last and removes it. A lease of
// this epoch that nobody holds is a success: only its holder can have released
// it, and every other end of a hold has a new epoch.
func (d *DB) ReleaseLease(ctx context.Context, id broadcast.KeyID, epoch uint64, s broadcast.SessionID, p broadcast.Progress) error {
	return d.changeLease(ctx, "release", id, func(l *broadcast.Lease) (*sql.Stmt, error) {
		if l.Epoch == epoch && l.Holder == nil {
			return nil, nil
		}
		if l.Epoch != epoch || l.Holder.Session != s {
			return nil, fmt.Errorf("session %s does not hold epoch %d: %w", s, epoch, control.ErrConflict)
		}
		l.Progress, l.Holder = p, nil
		return d.write.setLease, nil
	})
}

// changeLease reads a lease, lets f change it and stores it with the statement
// that f answers; nil = there is nothing to store.
func (d *DB) changeLease(ctx context.Context, verb string, id broadcast.KeyID, f func(*broadcast.Lease) (*sql.Stmt, error)) error {
	err := d.transactQuietly(ctx, func(ctx context.Context, tx *sql.Tx) error {
		l, err := d.readLease(ctx, tx, id)
		if err != nil {
			return err
		}
		stmt, err := f(&l)
		if err != nil || stmt == nil {
			return err
		}
		if err := d.storeLease(ctx, tx, stmt, l); err != nil || stmt == d.write.renewLease {
			return err
		}
		_, err = affected(ctx, tx, d.write.watch, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s lease %s: %w", verb, id, err)
	}
	return nil
}

func (d *DB) readLease(ctx context.Context, tx *sql.Tx, id broadcast.KeyID) (broadcast.Lease, error) {
	var l broadcast.Lease
	var doc []byte
	if err := tx.StmtContext(ctx, d.write.lease).QueryRowContext(ctx, id).Scan(&doc); err != nil {
		return l, mapError(err)
	}
	return l, json.Unmarshal(doc, &l)
}

func (d *DB) storeLease(ctx context.Context, tx *sql.Tx, stmt *sql.Stmt, l broadcast.Lease) error {
	doc, err := json.Marshal(l)
	if err != nil {
		return err
	}
	args := []any{string(doc), int64(l.Epoch), int64(l.Seq), l.Holder != nil, string(l.PlayID), l.KeyID} // #nosec G115 -- counts; LastSeq is the largest int64
	if stmt == d.write.renewLease {
		args = []any{string(doc), int64(l.Seq), l.KeyID} // #nosec G115 -- as above
	}
	return exactlyOne(ctx, tx, stmt, "write lease "+string(l.KeyID), args...)
}
