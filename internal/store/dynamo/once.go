package dynamo

import (
	"context"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/control"
)

var _ control.Idempotency = (*Store)(nil)

// attrUntil is when an idempotency record counts no more, exactly; the table's
// TTL removes it some time later.
const attrUntil = "until"

// saveOnce writes idempotency records where there are none that still count.
func (w *writer) saveOnce() error {
	for _, r := range w.c.Once {
		it := single("ONCE", r.ID)
		it[attrUntil], it[attrExpires] = text(orderedTime(r.ExpiresAt)), unix(r.ExpiresAt.Add(time.Second))
		if err := document(it, r); err != nil {
			return err
		}
		w.put(it, where("attribute_not_exists(#pk) OR #until <= :now", item{"now": text(orderedTime(r.CreatedAt))}))
	}
	return nil
}

// Once answers an idempotency record.
func (s *Store) Once(ctx context.Context, id string) (control.OnceRecord, error) {
	it, err := s.get(ctx, single("ONCE", id))
	var r control.OnceRecord
	if err == nil {
		r, err = decode[control.OnceRecord](it)
	}
	if err != nil {
		return control.OnceRecord{}, fmt.Errorf("read call %s: %w", id, err)
	}
	return r, nil
}

// PurgeOnce has nothing to do: the table's TTL removes what has expired.
func (*Store) PurgeOnce(context.Context, time.Time, int) (int, error) { return 0, nil }
