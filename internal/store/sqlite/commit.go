package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// commitMemory is how long a Changes.ID is recognised as done.
const commitMemory = time.Hour

// transact runs f as one transaction. Waiting for the writer ends with ctx;
// what has begun is finished, so that no answer is lost to a caller who left.
func (d *DB) transact(ctx context.Context, f func(context.Context, *sql.Tx) error) error {
	if err := d.transactQuietly(ctx, f); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changed != nil {
		close(d.changed)
		d.changed = nil
	}
	return nil
}

// Changed is closed with the next transaction, except for those in which a
// worker changes a lease: these make nothing due. Only transactions of this DB
// count: no other process may write to its file.
func (d *DB) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.changed == nil {
		d.changed = make(chan struct{})
	}
	return d.changed
}

func (d *DB) transactQuietly(ctx context.Context, f func(context.Context, *sql.Tx) error) error {
	conn, err := d.writer.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // back to the pool
	ctx = context.WithoutCancel(ctx)
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return mapError(err)
	}
	if err := f(ctx, tx); err != nil {
		_ = tx.Rollback() // a full disk has rolled back already
		return err
	}
	return mapError(tx.Commit())
}

// Commit writes c, all or nothing. A Changes whose ID was committed within the
// last hour is a success and changes nothing. Deleting a member deletes its
// key, the key's string and hash; its lease stays.
func (d *DB) Commit(ctx context.Context, c control.Changes) error {
	if c.ID == "" {
		return errors.New("commit: the changes have no id")
	}
	err := d.transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		now := d.now()
		n, err := affected(ctx, tx, d.write.commit, c.ID, micros(now))
		if err != nil || n == 0 {
			return err
		}
		if _, err := affected(ctx, tx, d.write.purge, micros(now.Add(-commitMemory))); err != nil {
			return err
		}
		for _, part := range []func(context.Context, *sql.Tx, *control.Changes) error{
			d.saveOnce, d.saveEndpoints, d.saveRecords, d.saveProfiles, d.saveShows, d.saveLeases, d.saveStrings, d.saveTrail, d.remove, d.watch,
		} {
			if err := part(ctx, tx, &c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("commit %s: %w", c.ID, err)
	}
	return nil
}

func (d *DB) saveRecords(ctx context.Context, tx *sql.Tx, c *control.Changes) error {
	for _, a := range c.Apps {
		v := a.Version
		a.Version++
		if err := d.put.apps.save(ctx, tx, a.ID, v, a); err != nil {
			return err
		}
	}
	for _, k := range c.APIKeys {
		v := k.Version
		k.Version++
		if err := d.put.apiKeys.save(ctx, tx, k.ID, v, k, k.AppID); err != nil {
			return err
		}
	}
	for _, m := range c.Members {
		v := m.Version
		m.Version++
		if err := d.put.members.save(ctx, tx, m.ID, v, m, m.AppID, m.AppUserID); err != nil {
			return err
		}
	}
	return nil
}

func (d *DB) saveShows(ctx context.Context, tx *sql.Tx, c *control.Changes) error {
	for _, k := range c.Keys {
		v := k.Version
		k.Version++
		err := d.put.keys.save(ctx, tx, k.ID, v, k, k.AppID, k.MemberID, k.State,
			int64(k.Fence.Epoch), int64(k.Fence.Seq)) // #nosec G115 -- counts; LastSeq is the largest int64
		if err != nil {
			return err
		}
	}
	for _, r := range c.Rooms {
		v := r.Version
		r.Version++
		if err := d.put.rooms.save(ctx, tx, r.ID, v, r, r.AppID, r.MemberID, r.State, liveAt(r)); err != nil {
			return err
		}
	}
	for _, p := range c.Posts {
		v := p.Version
		p.Version++
		if err := d.put.posts.save(ctx, tx, p.ID, v, p, p.AppID, p.MemberID, p.State); err != nil {
			return err
		}
	}
	return nil
}

func (d *DB) saveLeases(ctx context.Context, tx *sql.Tx, c *control.Changes) error {
	for _, w := range c.Leases {
		stmt := d.write.newLease
		if !w.New {
			stored, err := d.readLease(ctx, tx, w.Lease.KeyID)
			risen := w.IfRenewals != nil && stored.Renewals != *w.IfRenewals
			if errors.Is(err, control.ErrNotFound) || err == nil && (stored.Epoch != w.IfEpoch || risen) {
				err = fmt.Errorf("write lease %s where the epoch is %d: %w", w.Lease.KeyID, w.IfEpoch, control.ErrConflict)
			}
			if err != nil {
				return err
			}
			stmt = d.write.setLease
		}
		if err := d.storeLease(ctx, tx, stmt, w.Lease); err != nil {
			return err
		}
	}
	return nil
}

// saveStrings replaces stream key strings. OldHash must be the one that leads
// to the key now.
func (d *DB) saveStrings(ctx context.Context, tx *sql.Tx, c *control.Changes) error {
	for _, s := range c.Strings {
		what := fmt.Sprintf("replace the string of stream key %s", s.KeyID)
		if s.OldHash != (broadcast.Hash{}) {
			if err := exactlyOne(ctx, tx, d.write.unhash, what, s.OldHash[:], s.KeyID); err != nil {
				return err
			}
		}
		generation := int64(s.Generation) // #nosec G115 -- a count
		if err := exactlyOne(ctx, tx, d.write.hash, what, s.Hash[:], s.KeyID, generation); err != nil {
			return err
		}
		if err := exactlyOne(ctx, tx, d.write.secret, what, s.KeyID, s.String); err != nil {
			return err
		}
	}
	return nil
}

// saveTrail writes what is only ever added: journal, notices, jobs.
func (d *DB) saveTrail(ctx context.Context, tx *sql.Tx, c *control.Changes) error {
	for _, e := range c.Journal {
		doc, err := json.Marshal(e)
		if err != nil {
			return err
		}
		err = exactlyOne(ctx, tx, d.write.journal, "write journal entry "+e.ID,
			e.Aggregate, int64(e.Version), e.ID, string(doc)) // #nosec G115 -- a count
		if err != nil {
			return err
		}
	}
	for _, n := range c.Notices {
		doc, err := json.Marshal(n)
		if err != nil {
			return err
		}
		err = exactlyOne(ctx, tx, d.write.notice, "write notice "+string(n.ID),
			n.ID, n.Aggregate, int64(n.Sequence), string(doc)) // #nosec G115 -- a count
		if err != nil {
			return err
		}
	}
	for _, j := range c.Jobs {
		doc, err := json.Marshal(j)
		if err != nil {
			return err
		}
		if err := exactlyOne(ctx, tx, d.write.job, "write job "+j.ID, j.ID, micros(j.DueAt), string(doc)); err != nil {
			return err
		}
	}
	return nil
}

func (d *DB) remove(ctx context.Context, tx *sql.Tx, c *control.Changes) error {
	for _, r := range c.DeleteRooms {
		if err := d.put.rooms.remove(ctx, tx, r.ID, r.Version); err != nil {
			return err
		}
	}
	for _, p := range c.DeletePosts {
		if err := d.put.posts.remove(ctx, tx, p.ID, p.Version); err != nil {
			return err
		}
	}
	for _, k := range c.DeleteKeys { // its string and hash go with it
		if err := d.put.keys.remove(ctx, tx, k.ID, k.Version); err != nil {
			return err
		}
	}
	for _, m := range c.DeleteMembers {
		if err := d.put.members.remove(ctx, tx, m.ID, m.Version); err != nil {
			return err
		}
	}
	for _, k := range c.DeleteAPIKeys {
		if err := d.put.apiKeys.remove(ctx, tx, k.ID, k.Version); err != nil {
			return err
		}
	}
	for _, a := range c.DeleteApps {
		if err := d.put.apps.remove(ctx, tx, a.ID, a.Version); err != nil {
			return err
		}
	}
	return nil
}

// watch brings the index of watched leases up to date where this transaction
// wrote a key or a lease.
func (d *DB) watch(ctx context.Context, tx *sql.Tx, c *control.Changes) error {
	var ids []broadcast.KeyID
	for _, k := range c.Keys {
		ids = append(ids, k.ID)
	}
	for _, w := range c.Leases {
		ids = append(ids, w.Lease.KeyID)
	}
	for _, k := range c.DeleteKeys {
		ids = append(ids, k.ID)
	}
	for _, m := range c.DeleteMembers {
		ids = append(ids, m.KeyID)
	}
	for _, id := range ids {
		if _, err := affected(ctx, tx, d.write.watch, id); err != nil {
			return err
		}
	}
	return nil
}
