package local

import (
	"context"
	"database/sql"
)

// nextTurn is behind all turns there are.
const nextTurn = "(SELECT coalesce(max(turn), 0) + 1 FROM queue_messages INDEXED BY queue_turns WHERE turn > 0)"

type statements struct {
	remember, forget, send, heads, due, deliver, ack, giveBack, promote *sql.Stmt
	bury, remove, dead, exhume, unearth                                 *sql.Stmt
}

func (s *statements) prepare(ctx context.Context, db *sql.DB) error {
	for _, p := range []struct {
		to    **sql.Stmt
		query string
	}{
		// No row is written when the same id came after the given time.
		{&s.remember, `INSERT INTO queue_dedup (grp, dedup, sent_at) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET sent_at = excluded.sent_at WHERE sent_at <= ?`},
		{&s.forget, "DELETE FROM queue_dedup WHERE sent_at <= ?"},
		{&s.send, `INSERT INTO queue_messages (grp, dedup, body, turn) VALUES (?1, ?2, ?3,
			iif(EXISTS (SELECT 1 FROM queue_messages WHERE grp = ?1), 0, ` + nextTurn + "))"},
		{&s.heads, `SELECT seq, grp, dedup, body, attempts FROM queue_messages INDEXED BY queue_turns
			WHERE turn > 0 AND visible_at <= ? ORDER BY turn LIMIT ?`},
		{&s.due, "SELECT min(visible_at) FROM queue_messages INDEXED BY queue_turns WHERE turn > 0 AND visible_at > ?"},
		{&s.deliver, "UPDATE queue_messages SET attempts = attempts + 1, in_flight = 1, visible_at = ? WHERE seq = ?"},
		{&s.ack, `DELETE FROM queue_messages
			WHERE seq = ? AND attempts = ? AND in_flight = 1 AND visible_at > ? RETURNING grp`},
		{&s.giveBack, `UPDATE queue_messages SET in_flight = 0, visible_at = ?
			WHERE seq = ? AND attempts = ? AND in_flight = 1 AND visible_at > ?`},
		{&s.promote, "UPDATE queue_messages SET turn = " + nextTurn + " WHERE seq = (SELECT min(seq) FROM queue_messages WHERE grp = ?)"},
		{&s.bury, `INSERT INTO queue_dead (grp, dedup, body, attempts)
			SELECT grp, dedup, body, attempts FROM queue_messages WHERE seq = ?`},
		{&s.remove, "DELETE FROM queue_messages WHERE seq = ?"},
		{&s.dead, "SELECT id, grp, dedup, body, attempts FROM queue_dead ORDER BY id LIMIT ?"},
		{&s.exhume, `INSERT INTO queue_messages (grp, dedup, body, turn)
			SELECT grp, dedup, body, iif(EXISTS (SELECT 1 FROM queue_messages m WHERE m.grp = d.grp), 0, ` + nextTurn + `)
			FROM queue_dead d WHERE id = ?`},
		{&s.unearth, "DELETE FROM queue_dead WHERE id = ?"},
	} {
		var err error
		if *p.to, err = db.PrepareContext(ctx, p.query); err != nil {
			return err
		}
	}
	return nil
}

// exec runs s in tx and answers how many rows it wrote.
func exec(ctx context.Context, tx *sql.Tx, s *sql.Stmt, args ...any) (int64, error) {
	r, err := tx.StmtContext(ctx, s).ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}
