package sim

import (
	"context"
	"fmt"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

type revision struct {
	id broadcast.ProfileID
	n  uint64
}

func (s *Store) saveProfiles(u *undo, c *control.Changes) error {
	of := func(p control.TranscodingProfile) uint64 { return p.Version }
	for _, p := range c.Profiles {
		if err := version(s.profiles, p.ID, p.Version, of); err != nil {
			return err
		}
		p.Version, p.Uses = p.Version+1, s.profiles[p.ID].Uses
		put(u, s.profiles, p.ID, p)
		p.Uses = 0
		put(u, s.revisions, revision{p.ID, p.Version}, p)
	}
	for _, use := range c.ProfileUses {
		p, ok := s.profiles[use.ID]
		if !ok {
			return fmt.Errorf("profile %s: %w", use.ID, control.ErrConflict)
		}
		p.Uses += use.By
		put(u, s.profiles, use.ID, p)
	}
	for _, p := range c.DeleteProfiles {
		if err := version(s.profiles, p.ID, p.Version, of); err != nil {
			return err
		}
		if p.Version == 0 || s.profiles[p.ID].Uses != 0 {
			return fmt.Errorf("profile %s is named: %w", p.ID, control.ErrConflict)
		}
		remove(u, s.profiles, p.ID)
	}
	return nil
}

// Profile implements control.Store.
func (s *Store) Profile(ctx context.Context, id broadcast.ProfileID) (control.TranscodingProfile, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return find(ctx, s.profiles, id)
}

// ProfileRevision implements control.Store.
func (s *Store) ProfileRevision(ctx context.Context, id broadcast.ProfileID, n uint64) (control.TranscodingProfile, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return find(ctx, s.revisions, revision{id, n})
}

// Profiles implements control.Store.
func (s *Store) Profiles(_ context.Context, app broadcast.AppID, p control.Page) (control.List[control.TranscodingProfile], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return page("profiles", s.profiles, p, func(v control.TranscodingProfile) bool { return v.AppID == app },
		func(v control.TranscodingProfile) []string { return []string{string(v.ID)} })
}
