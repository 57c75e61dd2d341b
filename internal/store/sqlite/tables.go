package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/roomcast/roomcast/internal/control"
)

// table writes the records of one table under the version condition.
type table struct {
	name                   string
	insert, update, delete *sql.Stmt
}

// tables are those that hold versioned records.
type tables struct{ apps, apiKeys, members, keys, rooms, posts, endpoints, profiles table }

// writes are the other prepared statements of the writing connection.
type writes struct {
	commit, purge, secret, hash, unhash, journal, notice, job             *sql.Stmt
	newLease, lease, setLease, renewLease, watch, finish, retry, claimJob *sql.Stmt
	once, purgeOnce, place, feedRise, purgeFeed                           *sql.Stmt
	wake, claim, cursor, saveCursor, endCursor, dropCursors               *sql.Stmt
	failing, failingSince, recovered, deadLetter                          *sql.Stmt
	revision, use, unused                                                 *sql.Stmt
}

const (
	leaseSQL = "SELECT doc FROM leases WHERE key_id = ?"
	// renewSQL leaves key_id and watched alone, and so the index of watched
	// leases: the lease is held, before and after.
	renewSQL = "UPDATE leases SET doc = ?, seq = ? WHERE key_id = ?"
	watchSQL = `UPDATE leases SET watched = w FROM (
			SELECT l.key_id AS id, l.held OR ifnull((l.epoch, l.seq) > (k.fence_epoch, k.fence_seq), 0) AS w
			FROM leases l LEFT JOIN keys k ON k.id = l.key_id WHERE l.key_id = ?)
		WHERE key_id = id AND watched <> w`
)

func (d *DB) prepare(ctx context.Context) error {
	for _, t := range []struct {
		to   *table
		name string
		cols string
	}{
		{&d.put.apps, "apps", ""},
		{&d.put.apiKeys, "api_keys", "app_id"},
		{&d.put.members, "members", "app_id app_user_id"},
		{&d.put.keys, "keys", "app_id member_id state fence_epoch fence_seq"},
		{&d.put.rooms, "rooms", "app_id member_id state live_at"},
		{&d.put.posts, "posts", "app_id member_id state"},
		{&d.put.endpoints, "endpoints", "app_id"},
		{&d.put.profiles, "profiles", "app_id"},
	} {
		if err := d.prepareTable(ctx, t.to, t.name, strings.Fields(t.cols)); err != nil {
			return err
		}
	}
	for _, s := range []struct {
		to    **sql.Stmt
		query string
	}{
		{&d.write.commit, "INSERT INTO commits (id, at) VALUES (?, ?) ON CONFLICT DO NOTHING"},
		{&d.write.purge, "DELETE FROM commits WHERE at < ?"},
		{&d.write.secret, "INSERT INTO key_strings (key_id, string) VALUES (?, ?) ON CONFLICT (key_id) DO UPDATE SET string = excluded.string"},
		{&d.write.hash, "INSERT INTO key_hashes (hash, key_id, generation) VALUES (?, ?, ?)"},
		{&d.write.unhash, "DELETE FROM key_hashes WHERE hash = ? AND key_id = ?"},
		{&d.write.journal, "INSERT INTO journal (aggregate, version, id, doc) VALUES (?, ?, ?, ?)"},
		{&d.write.notice, "INSERT INTO notices (id, aggregate, sequence, doc) VALUES (?, ?, ?, ?)"},
		{&d.write.job, "INSERT INTO jobs (id, due_at, doc) VALUES (?, ?, ?)"},
		{&d.write.newLease, "INSERT INTO leases (doc, epoch, seq, held, play_id, key_id, watched) VALUES (?, ?, ?, ?, ?, ?, 0)"},
		{&d.write.lease, leaseSQL},
		{&d.write.setLease, "UPDATE leases SET doc = ?, epoch = ?, seq = ?, held = ?, play_id = ? WHERE key_id = ?"},
		{&d.write.renewLease, renewSQL},
		{&d.write.watch, watchSQL},
		{&d.write.once, onceSQL},
		{&d.write.purgeOnce, purgeOnceSQL},
		{&d.write.place, placeSQL},
		{&d.write.feedRise, feedRiseSQL},
		{&d.write.purgeFeed, purgeFeedSQL},
		{&d.write.wake, wakeSQL},
		{&d.write.claim, claimSQL},
		{&d.write.cursor, cursorSQL},
		{&d.write.saveCursor, saveCursorSQL},
		{&d.write.endCursor, endCursorSQL},
		{&d.write.dropCursors, dropCursorsSQL},
		{&d.write.failing, failingSQL},
		{&d.write.failingSince, "SELECT ifnull(max(failing_since), ?2) FROM endpoints WHERE id = ?1"},
		{&d.write.recovered, recoveredSQL},
		{&d.write.deadLetter, deadLetterSQL},
		{&d.write.revision, revisionSQL},
		{&d.write.use, useSQL},
		{&d.write.unused, unusedSQL},
		{&d.write.finish, "DELETE FROM jobs WHERE id = ?"},
		{&d.write.retry, "UPDATE jobs SET due_at = ?, doc = ? WHERE id = ?"},
		{&d.write.claimJob, "UPDATE jobs SET due_at = ?, doc = ? WHERE id = ? AND due_at = ?"},
	} {
		var err error
		if *s.to, err = d.writer.PrepareContext(ctx, s.query); err != nil {
			return mapError(err)
		}
	}
	return nil
}

// prepareTable makes statements whose arguments are: the document, cols, the
// id and, for update and delete, the version.
func (d *DB) prepareTable(ctx context.Context, t *table, name string, cols []string) (err error) {
	t.name = name
	all := append(append([]string{"doc"}, cols...), "id")
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(all)), ", ")
	insert := "INSERT INTO " + name + " (" + strings.Join(all, ", ") + ", version) VALUES (" + marks + ", 1)" //nolint:gosec // names of this file's own tables
	//nolint:gosec // names of this file's own tables
	update := "UPDATE " + name + " SET " + strings.Join(all[:len(all)-1], " = ?, ") +
		" = ?, version = version + 1 WHERE id = ? AND version = ?"
	if t.insert, err = d.writer.PrepareContext(ctx, insert); err != nil {
		return mapError(err)
	}
	if t.update, err = d.writer.PrepareContext(ctx, update); err != nil {
		return mapError(err)
	}
	t.delete, err = d.writer.PrepareContext(ctx, "DELETE FROM "+name+" WHERE id = ? AND version = ?") //nolint:gosec // a name of this file's own
	return mapError(err)
}

// save writes one record: version is that of the stored one, doc the record
// with its new version.
func (t *table) save(ctx context.Context, tx *sql.Tx, id any, version uint64, doc any, cols ...any) error {
	b, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	stmt, args := t.insert, append(append([]any{string(b)}, cols...), id)
	if version > 0 {
		stmt, args = t.update, append(args, int64(version)) // #nosec G115 -- a count
	}
	return exactlyOne(ctx, tx, stmt, fmt.Sprintf("write %s %v at version %d", t.name, id, version), args...)
}

// remove deletes one record of that version.
func (t *table) remove(ctx context.Context, tx *sql.Tx, id any, version uint64) error {
	return exactlyOne(ctx, tx, t.delete, fmt.Sprintf("delete %s %v at version %d", t.name, id, version),
		id, int64(version)) // #nosec G115 -- a count
}

// exactlyOne runs a statement whose condition must hold for one row.
func exactlyOne(ctx context.Context, tx *sql.Tx, s *sql.Stmt, what string, args ...any) error {
	n, err := affected(ctx, tx, s, args...)
	if err == nil && n != 1 {
		err = control.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func affected(ctx context.Context, tx *sql.Tx, s *sql.Stmt, args ...any) (int64, error) {
	r, err := tx.StmtContext(ctx, s).ExecContext(ctx, args...)
	if err != nil {
		return 0, mapError(err)
	}
	return r.RowsAffected()
}
