package dynamo

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// FindPublisher answers where a stream key string leads: the hash's item, then
// key, app and lease, each consistently. They need not be of one moment: the
// lease is taken on the generation that the hash had.
func (s *Store) FindPublisher(ctx context.Context, h broadcast.Hash) (control.Publisher, error) {
	p, err := s.findPublisher(ctx, h)
	if err != nil {
		return control.Publisher{}, fmt.Errorf("find the publisher of a stream key string: %w", err)
	}
	return p, nil
}

func (s *Store) findPublisher(ctx context.Context, h broadcast.Hash) (control.Publisher, error) {
	way, err := s.get(ctx, hashKey(h))
	if err != nil {
		return control.Publisher{}, err
	}
	id, appID := textOf(way, attrKey), textOf(way, attrApp)
	keys := []item{single("KEY", id), single("APP", appID), leaseKey(broadcast.KeyID(id))}
	found, err := s.getAll(ctx, keys)
	if err != nil {
		return control.Publisher{}, err
	}
	if len(found) != len(keys) {
		return control.Publisher{}, control.ErrNotFound
	}
	key, err := decode[broadcast.StreamKey](found[nameOf(keys[0])])
	if err != nil {
		return control.Publisher{}, err
	}
	app, err := decode[control.App](found[nameOf(keys[1])])
	if err != nil {
		return control.Publisher{}, err
	}
	lease, err := leaseOf(found[nameOf(keys[2])])
	if err != nil {
		return control.Publisher{}, err
	}
	p := control.Publisher{
		KeyID: key.ID, AppID: key.AppID, Generation: numberOf(way, attrGeneration),
		OutputMode: key.OutputMode, ProfileID: key.TranscodingProfileID, Lease: lease,
	}
	if p.OutputMode == "" {
		p.OutputMode = app.DefaultOutputMode
	}
	if p.ProfileID == "" {
		p.ProfileID = app.DefaultTranscodingProfileID
	}
	if key.RoomID != "" {
		p.RoomID, p.RoomMode = key.RoomID, key.Mode
	}
	return p, nil
}

// Lease answers the lease.
func (s *Store) Lease(ctx context.Context, id broadcast.KeyID) (broadcast.Lease, error) {
	it, err := s.get(ctx, leaseKey(id))
	var l broadcast.Lease
	if err == nil {
		l, err = leaseOf(it)
	}
	if err != nil {
		return broadcast.Lease{}, fmt.Errorf("read lease %s: %w", id, err)
	}
	return l, nil
}

// LeaseOfPlayID implements control.PlayIDs. The items of play ids that were
// closed stay and lead to a lease that has another one.
func (s *Store) LeaseOfPlayID(ctx context.Context, id broadcast.PlayID) (broadcast.Lease, error) {
	it, err := s.get(ctx, single("PLAY", string(id)))
	var l broadcast.Lease
	if err == nil {
		l, err = s.Lease(ctx, broadcast.KeyID(textOf(it, attrKey)))
	}
	if err == nil && l.PlayID != id {
		err = control.ErrNotFound
	}
	if err != nil {
		return broadcast.Lease{}, fmt.Errorf("find play id %s: %w", id, err)
	}
	return l, nil
}

// TakeLease makes h the holder. It also refuses, as a conflict, while the
// lease's RefusedUntil is ahead of the clock. Where h's session has taken the
// lease on this very condition already, the answer is that lease.
func (s *Store) TakeLease(ctx context.Context, id broadcast.KeyID, c control.LeaseCondition, h broadcast.Holder, p broadcast.Progress) (broadcast.Lease, error) {
	set, err := progressValues(broadcast.Progress{Mode: p.Mode, Health: p.Health})
	if err != nil {
		return broadcast.Lease{}, fmt.Errorf("take lease %s: %w", id, err)
	}
	delete(set, attrLastSegment) // stays
	set[attrEpoch], set[attrHolder] = number(c.Epoch+1), holderValue(h)
	watch(set, id)
	e := where("#epoch = :ifEpoch AND #keyGeneration = :ifGeneration"+
		" AND (attribute_not_exists(#refusedUntil) OR #refusedUntil <= :now) AND ",
		item{"ifEpoch": number(c.Epoch), "ifGeneration": number(c.Generation), "now": nanos(s.now())})
	if c.Media == nil {
		e.text += "attribute_not_exists(#holder)"
	} else {
		e.text += "#media = :ifMedia"
		e.values["ifMedia"] = number(*c.Media)
	}
	it, held, err := s.updateLease(ctx, id, set, unsaid(p), e)
	if err == nil && !held {
		var l broadcast.Lease
		if l, err = leaseOf(it); err == nil && (l.Holder == nil || l.Holder.Session != h.Session || l.Epoch != c.Epoch+1) {
			err = fmt.Errorf("it is at epoch %d: %w", l.Epoch, control.ErrConflict)
		}
	}
	if err != nil {
		return broadcast.Lease{}, fmt.Errorf("take lease %s: %w", id, err)
	}
	return leaseOf(it)
}

// holds is the condition that session s holds the lease in that epoch.
func holds(epoch uint64, s broadcast.SessionID) expr {
	return where("#epoch = :ifEpoch AND #holder.#session = :ifSession",
		item{"ifEpoch": number(epoch), "ifSession": text(string(s))})
}

// RenewLease stores what the holder reports; without Health, that stays. No
// index is touched.
func (s *Store) RenewLease(ctx context.Context, id broadcast.KeyID, epoch uint64, session broadcast.SessionID, p broadcast.Progress) error {
	set, err := progressValues(p)
	if err == nil {
		var held bool
		if _, held, err = s.updateLease(ctx, id, set, nil, holds(epoch, session)); err == nil && !held {
			err = fmt.Errorf("session %s does not hold epoch %d: %w", session, epoch, control.ErrConflict)
		}
	}
	if err != nil {
		return fmt.Errorf("renew lease %s: %w", id, err)
	}
	return nil
}

// ReleaseLease stores what the holder reports last and removes it; the lease
// stays on the sweeper's list until its key shows it. A lease of this epoch
// that nobody holds is a success: only its holder can have released it, and
// every other end of a hold has a new epoch.
func (s *Store) ReleaseLease(ctx context.Context, id broadcast.KeyID, epoch uint64, session broadcast.SessionID, p broadcast.Progress) error {
	set, err := progressValues(p)
	if err == nil {
		var it item
		var held bool
		it, held, err = s.updateLease(ctx, id, set, append(unsaid(p), attrHolder), holds(epoch, session))
		if _, taken := it[attrHolder]; err == nil && !held && (taken || numberOf(it, attrEpoch) != epoch) {
			err = fmt.Errorf("session %s does not hold epoch %d: %w", session, epoch, control.ErrConflict)
		}
	}
	if err != nil {
		return fmt.Errorf("release lease %s: %w", id, err)
	}
	return nil
}

// unsaid are the attributes that a lease does not have when p is all of it.
func unsaid(p broadcast.Progress) []string {
	if p.Health == nil {
		return []string{attrHealth}
	}
	return nil
}

// updateLease sets and removes attributes of a lease where e holds. It answers
// the new item, or, where e does not hold, the one that is there.
func (s *Store) updateLease(ctx context.Context, id broadcast.KeyID, set item, remove []string, e expr) (item, bool, error) {
	var sets []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		sets = append(sets, "#"+name+" = :"+name)
	}
	update := "SET " + strings.Join(sets, ", ")
	if len(remove) > 0 {
		update += " REMOVE #" + strings.Join(remove, ", #")
	}
	it, held, err := s.conditional(ctx, leaseKey(id), update, e, set)
	if err == nil && !held && it == nil {
		err = control.ErrNotFound
	}
	return it, held, err
}
