package dynamo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

const (
	// commitMemory is how long a Changes.ID is recognised as done.
	commitMemory = time.Hour
	// maxIDLength is that of a Changes.ID.
	maxIDLength = 36
	// noticeMemory is how long a notice stays for those who ask again.
	noticeMemory = 30 * 24 * time.Hour
)

// Commit writes c, all or nothing, in one transaction. A mark of c.ID is
// written with it: where the mark is there already, this very Changes was
// committed before and its answer was lost. Deleting a member deletes its key,
// the key's string and hash.
func (s *Store) Commit(ctx context.Context, c control.Changes) error {
	if c.ID == "" || len(c.ID) > maxIDLength {
		return fmt.Errorf("commit: the changes' id %q has not 1 to %d characters", c.ID, maxIDLength)
	}
	if err := s.commit(ctx, &c); err != nil {
		return fmt.Errorf("commit %s: %w", c.ID, err)
	}
	return nil
}

func (s *Store) commit(ctx context.Context, c *control.Changes) error {
	w := &writer{batch: s.newBatch(), c: c, now: s.now()}
	var err error
	if w.keys, err = s.keysOf(ctx, c); err != nil {
		return err
	}
	// A member whose AppUserID changes is rare: only the failed condition
	// tells the one that was.
	for renamed := false; ; renamed = true {
		mark := single("COMMIT", c.ID)
		mark[attrExpires] = unix(w.now.Add(commitMemory))
		w.put(mark, absent())
		if err := w.all(); err != nil {
			return err
		}
		err := s.write(ctx, w.batch)
		var r *refused
		if !errors.As(err, &r) {
			return err
		}
		if _, ours := r.found[nameOf(mark)]; ours {
			return nil
		}
		if w.former = formerUsers(c, r); renamed || len(w.former) == 0 {
			return err
		}
		w.batch = s.newBatch()
	}
}

// formerUsers answers the user ids of members whose condition failed for
// nothing but another user id.
func formerUsers(c *control.Changes, r *refused) map[broadcast.MemberID]string {
	former := map[broadcast.MemberID]string{}
	for _, m := range c.Members {
		it := r.found[nameOf(single("MEMBER", string(m.ID)))]
		if user := textOf(it, attrUser); it != nil && m.Version > 0 && numberOf(it, attrVersion) == m.Version && user != m.AppUserID {
			former[m.ID] = user
		}
	}
	return former
}

// keysOf reads the keys that c means without holding them: those of deleted
// members, and those that get a string.
func (s *Store) keysOf(ctx context.Context, c *control.Changes) (map[broadcast.KeyID]broadcast.StreamKey, error) {
	keys := map[broadcast.KeyID]broadcast.StreamKey{}
	for _, k := range append(append([]broadcast.StreamKey(nil), c.Keys...), c.DeleteKeys...) {
		keys[k.ID] = k
	}
	var missing []item
	want := func(id broadcast.KeyID) {
		if _, ok := keys[id]; !ok && id != "" {
			keys[id] = broadcast.StreamKey{}
			missing = append(missing, single("KEY", string(id)))
		}
	}
	for _, m := range c.DeleteMembers {
		want(m.KeyID)
	}
	for _, str := range c.Strings {
		want(str.KeyID)
	}
	items, err := s.getAll(ctx, missing)
	if err != nil {
		return nil, err
	}
	for _, it := range items {
		k, err := decode[broadcast.StreamKey](it)
		if err != nil {
			return nil, err
		}
		keys[k.ID] = k
	}
	return keys, nil
}
