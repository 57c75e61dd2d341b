package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// Store keeps everything in memory and passes the contract of storetest. It is
// for tests: nothing is ever purged. Safe for concurrent use.
type Store struct {
	mu  sync.Mutex
	now func() time.Time
	// bug is a planted one; "" = none.
	bug Bug

	apps    map[broadcast.AppID]control.App
	apiKeys map[string]control.APIKey
	members map[broadcast.MemberID]control.Member
	users   map[user]broadcast.MemberID
	keys    map[broadcast.KeyID]broadcast.StreamKey
	rooms   map[broadcast.RoomID]broadcast.VideoRoom
	posts   map[broadcast.PostID]broadcast.VideoPost
	leases  map[broadcast.KeyID]broadcast.Lease
	strings map[broadcast.KeyID]string
	hashes  map[broadcast.Hash]pointer
	journal map[string]control.JournalEntry
	notices map[broadcast.EventID]control.Notice
	jobs    map[string]control.Job
	commits map[string]struct{}

	profiles  map[broadcast.ProfileID]control.TranscodingProfile
	revisions map[revision]control.TranscodingProfile
}

type user struct {
	app broadcast.AppID
	id  string
}

// pointer is where a hash leads.
type pointer struct {
	key        broadcast.KeyID
	generation uint64
}

var (
	_ control.Store  = (*Store)(nil)
	_ control.Leases = (*Store)(nil)
)

// NewStore makes an empty store on a clock.
func NewStore(now func() time.Time) *Store {
	return &Store{
		now:     now,
		apps:    map[broadcast.AppID]control.App{},
		apiKeys: map[string]control.APIKey{},
		members: map[broadcast.MemberID]control.Member{},
		users:   map[user]broadcast.MemberID{},
		keys:    map[broadcast.KeyID]broadcast.StreamKey{},
		rooms:   map[broadcast.RoomID]broadcast.VideoRoom{},
		posts:   map[broadcast.PostID]broadcast.VideoPost{},
		leases:  map[broadcast.KeyID]broadcast.Lease{},
		strings: map[broadcast.KeyID]string{},
		hashes:  map[broadcast.Hash]pointer{},
		journal: map[string]control.JournalEntry{},
		notices: map[broadcast.EventID]control.Notice{},
		jobs:    map[string]control.Job{},
		commits: map[string]struct{}{},

		profiles:  map[broadcast.ProfileID]control.TranscodingProfile{},
		revisions: map[revision]control.TranscodingProfile{},
	}
}

// undo takes back what a commit has written when a later part is refused.
type undo []func()

func put[K comparable, V any](u *undo, m map[K]V, k K, v V) {
	old, had := m[k]
	*u = append(*u, func() { restore(m, k, old, had) })
	m[k] = v
}

func remove[K comparable, V any](u *undo, m map[K]V, k K) {
	old, had := m[k]
	*u = append(*u, func() { restore(m, k, old, had) })
	delete(m, k)
}

func restore[K comparable, V any](m map[K]V, k K, old V, had bool) {
	if had {
		m[k] = old
	} else {
		delete(m, k)
	}
}

// version checks a record's condition: want 0 = it must not exist.
func version[K comparable, V any](m map[K]V, k K, want uint64, of func(V) uint64) error {
	v, ok := m[k]
	if ok != (want > 0) || ok && of(v) != want {
		return fmt.Errorf("%v at version %d: %w", k, want, control.ErrConflict)
	}
	return nil
}

// add writes what must not be there yet.
func add[K comparable, V any](u *undo, m map[K]V, k K, v V) error {
	if _, ok := m[k]; ok {
		return fmt.Errorf("%v is there already: %w", k, control.ErrConflict)
	}
	put(u, m, k, v)
	return nil
}

// Commit implements control.Store.
func (s *Store) Commit(ctx context.Context, c control.Changes) error {
	if c.ID == "" {
		return errors.New("commit: the changes have no id")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.commits[c.ID]; ok {
		return nil
	}
	var u undo
	for _, part := range []func(*undo, *control.Changes) error{
		s.saveOwners, s.saveProfiles, s.saveShows, s.saveLeases, s.saveStrings, s.saveTrail, s.remove,
	} {
		if err := part(&u, &c); err != nil {
			for i := len(u) - 1; i >= 0; i-- {
				u[i]()
			}
			return fmt.Errorf("commit %s: %w", c.ID, err)
		}
	}
	s.commits[c.ID] = struct{}{}
	return nil
}

func (s *Store) saveOwners(u *undo, c *control.Changes) error {
	for _, a := range c.Apps {
		if err := version(s.apps, a.ID, a.Version, func(v control.App) uint64 { return v.Version }); err != nil {
			return err
		}
		a.Version++
		put(u, s.apps, a.ID, a)
	}
	for _, k := range c.APIKeys {
		if err := version(s.apiKeys, k.ID, k.Version, func(v control.APIKey) uint64 { return v.Version }); err != nil {
			return err
		}
		k.Version++
		put(u, s.apiKeys, k.ID, k)
	}
	for _, m := range c.Members {
		if err := version(s.members, m.ID, m.Version, func(v control.Member) uint64 { return v.Version }); err != nil {
			return err
		}
		name := user{m.AppID, m.AppUserID}
		if id, ok := s.users[name]; ok && id != m.ID {
			return fmt.Errorf("user %s: %w", m.AppUserID, control.ErrConflict)
		}
		m.Version++
		put(u, s.members, m.ID, m)
		put(u, s.users, name, m.ID)
	}
	return nil
}

func (s *Store) saveShows(u *undo, c *control.Changes) error {
	for _, k := range c.Keys {
		err := version(s.keys, k.ID, k.Version, func(v broadcast.StreamKey) uint64 { return v.Version })
		if err != nil && s.bug != BugKeyVersion {
			return err
		}
		k.Version++
		put(u, s.keys, k.ID, k)
	}
	for _, r := range c.Rooms {
		err := version(s.rooms, r.ID, r.Version, func(v broadcast.VideoRoom) uint64 { return v.Version })
		if err != nil && s.bug != BugRoomVersion {
			return err
		}
		r.Version++
		put(u, s.rooms, r.ID, r)
	}
	for _, p := range c.Posts {
		if err := version(s.posts, p.ID, p.Version, func(v broadcast.VideoPost) uint64 { return v.Version }); err != nil {
			return err
		}
		p.Version++
		put(u, s.posts, p.ID, p)
	}
	return nil
}

func (s *Store) saveLeases(u *undo, c *control.Changes) error {
	for _, w := range c.Leases {
		was, ok := s.leases[w.Lease.KeyID]
		refused := ok == w.New || ok && was.Epoch != w.IfEpoch && s.bug != BugCloseAnyEpoch ||
			ok && w.IfRenewals != nil && was.Renewals != *w.IfRenewals && s.bug != BugBuryTheLiving
		if refused {
			return fmt.Errorf("lease of %s: %w", w.Lease.KeyID, control.ErrConflict)
		}
		put(u, s.leases, w.Lease.KeyID, w.Lease)
	}
	return nil
}

func (s *Store) saveStrings(u *undo, c *control.Changes) error {
	for _, k := range c.Strings {
		if k.OldHash != (broadcast.Hash{}) {
			if s.hashes[k.OldHash].key != k.KeyID {
				return fmt.Errorf("old hash of %s: %w", k.KeyID, control.ErrConflict)
			}
			remove(u, s.hashes, k.OldHash)
		} else if _, ok := s.strings[k.KeyID]; ok {
			return fmt.Errorf("string of %s: %w", k.KeyID, control.ErrConflict)
		}
		if err := add(u, s.hashes, k.Hash, pointer{k.KeyID, k.Generation}); err != nil {
			return err
		}
		put(u, s.strings, k.KeyID, k.String)
	}
	return nil
}

func (s *Store) saveTrail(u *undo, c *control.Changes) error {
	for _, e := range c.Journal {
		if err := add(u, s.journal, e.ID, e); err != nil {
			return err
		}
	}
	for _, n := range c.Notices {
		if err := add(u, s.notices, n.ID, n); err != nil {
			return err
		}
	}
	for _, j := range c.Jobs {
		if err := add(u, s.jobs, j.ID, j); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) remove(u *undo, c *control.Changes) error {
	for _, k := range c.DeleteAPIKeys {
		err := version(s.apiKeys, k.ID, k.Version, func(v control.APIKey) uint64 { return v.Version })
		if err != nil || k.Version == 0 {
			return errors.Join(control.ErrConflict, err)
		}
		remove(u, s.apiKeys, k.ID)
	}
	for _, a := range c.DeleteApps {
		err := version(s.apps, a.ID, a.Version, func(v control.App) uint64 { return v.Version })
		if err != nil || a.Version == 0 {
			return errors.Join(control.ErrConflict, err)
		}
		remove(u, s.apps, a.ID)
	}
	for _, r := range c.DeleteRooms {
		err := version(s.rooms, r.ID, r.Version, func(v broadcast.VideoRoom) uint64 { return v.Version })
		if err != nil || r.Version == 0 {
			return errors.Join(control.ErrConflict, err)
		}
		remove(u, s.rooms, r.ID)
	}
	for _, p := range c.DeletePosts {
		err := version(s.posts, p.ID, p.Version, func(v broadcast.VideoPost) uint64 { return v.Version })
		if err != nil || p.Version == 0 {
			return errors.Join(control.ErrConflict, err)
		}
		remove(u, s.posts, p.ID)
	}
	for _, k := range c.DeleteKeys {
		err := version(s.keys, k.ID, k.Version, func(v broadcast.StreamKey) uint64 { return v.Version })
		if (err != nil || k.Version == 0) && s.bug != BugDeleteAnyKey {
			return errors.Join(control.ErrConflict, err)
		}
		s.removeKey(u, k.ID)
	}
	for _, m := range c.DeleteMembers {
		err := version(s.members, m.ID, m.Version, func(v control.Member) uint64 { return v.Version })
		if err != nil || m.Version == 0 {
			return errors.Join(control.ErrConflict, err)
		}
		m = s.members[m.ID]
		remove(u, s.members, m.ID)
		remove(u, s.users, user{m.AppID, m.AppUserID})
		s.removeKey(u, m.KeyID)
	}
	return nil
}

func (s *Store) removeKey(u *undo, id broadcast.KeyID) {
	remove(u, s.keys, id)
	remove(u, s.strings, id)
	for h, p := range s.hashes {
		if p.key == id {
			remove(u, s.hashes, h)
		}
	}
}
