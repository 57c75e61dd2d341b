package sim

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// FindPublisher implements control.Leases.
func (s *Store) FindPublisher(ctx context.Context, h broadcast.Hash) (control.Publisher, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to, ok := s.hashes[h]
	key, there := s.keys[to.key]
	if !ok || !there {
		return control.Publisher{}, fmt.Errorf("publisher: %w", control.ErrNotFound)
	}
	app := s.apps[key.AppID]
	p := control.Publisher{
		KeyID: key.ID, AppID: key.AppID, Generation: to.generation, Lease: s.leases[key.ID],
		OutputMode: cmp.Or(key.OutputMode, app.DefaultOutputMode),
		ProfileID:  cmp.Or(key.TranscodingProfileID, app.DefaultTranscodingProfileID),
	}
	if key.RoomID != "" {
		p.RoomID, p.RoomMode = key.RoomID, key.Mode
	}
	return p, ctx.Err()
}

// Lease implements control.Leases.
func (s *Store) Lease(ctx context.Context, id broadcast.KeyID) (broadcast.Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return find(ctx, s.leases, id)
}

// HeldLeases implements control.Store.
func (s *Store) HeldLeases(ctx context.Context, after broadcast.KeyID, limit int) ([]broadcast.Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var held []broadcast.Lease
	for id, l := range s.leases {
		key, there := s.keys[id]
		ahead := there && key.Fence.Before(broadcast.Fence{Epoch: l.Epoch, Seq: l.Seq})
		if s.bug == BugHeldOnly {
			ahead = false
		}
		if id > after && (l.Holder != nil && s.bug != BugDeadUnseen || ahead) {
			held = append(held, l)
		}
	}
	slices.SortFunc(held, func(a, b broadcast.Lease) int { return cmp.Compare(a.KeyID, b.KeyID) })
	return held[:min(limit, len(held))], ctx.Err()
}

// TakeLease implements control.Leases.
func (s *Store) TakeLease(ctx context.Context, id broadcast.KeyID, c control.LeaseCondition, h broadcast.Holder, p broadcast.Progress) (broadcast.Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := find(ctx, s.leases, id)
	if err != nil {
		return l, err
	}
	if l.Holder != nil && l.Holder.Session == h.Session && l.Epoch == c.Epoch+1 {
		return l, nil
	}
	bad := func(b Bug, broken bool) bool { return broken && s.bug != b }
	if bad(BugTakeOldString, l.KeyGeneration != c.Generation) || l.Epoch != c.Epoch && s.bug != BugTakeAnyEpoch ||
		c.Media == nil && l.Holder != nil || bad(BugTakeTheLiving, c.Media != nil && *c.Media != l.Media) ||
		bad(BugTakeDisconnected, s.now().Before(l.RefusedUntil)) {
		return broadcast.Lease{}, fmt.Errorf("take the lease of %s: %w", id, control.ErrConflict)
	}
	l.Epoch++
	if s.bug == BugTakeSameEpoch {
		l.Epoch--
	}
	if s.bug == BugWorkerMintsPlayID {
		l.PlayID += "x"
	}
	l.Holder = &h
	l.Progress = broadcast.Progress{Mode: p.Mode, Health: p.Health, LastSegment: l.LastSegment}
	s.leases[id] = l
	return l, nil
}

// RenewLease implements control.Leases.
func (s *Store) RenewLease(ctx context.Context, id broadcast.KeyID, epoch uint64, session broadcast.SessionID, p broadcast.Progress) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := find(ctx, s.leases, id)
	if err != nil {
		return err
	}
	if l.Epoch != epoch || l.Holder == nil || l.Holder.Session != session {
		if s.bug == BugRenewAlways {
			return nil
		}
		return fmt.Errorf("renew the lease of %s: %w", id, control.ErrConflict)
	}
	if p.Health == nil {
		p.Health = l.Health
	}
	l.Progress = p
	s.leases[id] = l
	return nil
}

// ReleaseLease implements control.Leases.
func (s *Store) ReleaseLease(ctx context.Context, id broadcast.KeyID, epoch uint64, session broadcast.SessionID, p broadcast.Progress) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := find(ctx, s.leases, id)
	if err != nil {
		return err
	}
	if l.Epoch == epoch && l.Holder == nil {
		return nil
	}
	if s.bug != BugReleaseAnyone && (l.Epoch != epoch || l.Holder == nil || l.Holder.Session != session) {
		return fmt.Errorf("release the lease of %s: %w", id, control.ErrConflict)
	}
	l.Progress, l.Holder = p, nil
	s.leases[id] = l
	return nil
}
