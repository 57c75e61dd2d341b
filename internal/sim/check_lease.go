package sim

import (
	"context"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

const (
	// silentAfter and deadAfter are how long a counter must stand before
	// somebody takes over, or the sweeper buries.
	silentAfter = 5 * time.Second
	deadAfter   = 15 * time.Second
	// endAfter is when a session that cannot renew is over: 15 s and its last
	// call.
	endAfter = 15*time.Second + 2*callTimeout
	// toldWithin is how long after the first picture the key says so at the
	// latest, where nothing is lost.
	toldWithin = 5 * time.Second
)

// leases: only a close mints a play id, every close and revocation has a new
// epoch and fences its key, and only the dead are buried.
func (k *checker) leases(c control.Changes) error {
	for _, w := range c.Leases {
		l := w.Lease
		h := k.key(l.KeyID)
		if w.New || l.PlayID != h.play {
			if _, used := k.plays[l.PlayID]; used {
				return fmt.Errorf("play id %s is minted twice", l.PlayID)
			}
			k.plays[l.PlayID] = ""
		}
		switch {
		case w.New:
		case w.IfRenewals != nil:
			if stood := k.w.now - h.renewed; stood < deadAfter && h.holder != "" {
				return fmt.Errorf("%s is buried %s after a renewal", l.KeyID, stood)
			}
		default:
			if l.Epoch <= h.epoch || l.Holder != nil {
				return fmt.Errorf("the lease of %s is closed with epoch %d after %d, holder %+v", l.KeyID, l.Epoch, h.epoch, l.Holder)
			}
			if err := k.fenced(c, l); err != nil {
				return err
			}
			h.closed, h.closedAt = l.Epoch, k.w.now
		}
		h.play, h.epoch = l.PlayID, l.Epoch
		k.held(h, l)
	}
	return nil
}

func (k *checker) fenced(c control.Changes, l broadcast.Lease) error {
	for _, key := range c.Keys {
		if key.ID == l.KeyID && key.Fence != (broadcast.Fence{Epoch: l.Epoch}) {
			return fmt.Errorf("the lease of %s is closed with epoch %d and the fence is %+v", l.KeyID, l.Epoch, key.Fence)
		}
		if key.State.Live() && l.PlayID != k.key(key.ID).play {
			return fmt.Errorf("%s carries a room and gets another play id", key.ID)
		}
	}
	return nil
}

// held notes who holds l now.
func (k *checker) held(h *keyHistory, l broadcast.Lease) {
	h.holder = ""
	if l.Holder != nil {
		h.holder = l.Holder.Session
	}
	if h.media != l.Media {
		h.moved = k.w.now
	}
	h.media = l.Media
}

// take: a new epoch, the key's string of today, nobody held it or was silent,
// and the play id stays.
func (k *checker) take(ctx context.Context, id broadcast.KeyID, c control.LeaseCondition, holder broadcast.Holder, p broadcast.Progress) (broadcast.Lease, error) {
	w := k.w
	before := w.store.leases[id]
	l, err := w.store.TakeLease(ctx, id, c, holder, p)
	if err != nil {
		return l, err
	}
	h, s := k.key(id), k.sessions[holder.Session]
	key := w.store.keys[id]
	switch {
	case l.Epoch <= h.epoch:
		w.fail("%s takes %s with epoch %d after %d", holder.Session, id, l.Epoch, h.epoch)
	case s.hash != key.Hash:
		w.fail("%s takes %s with a string that is not the key's", holder.Session, id)
	case before.Holder != nil && w.now-h.moved < silentAfter:
		w.fail("%s takes %s over from %s, whose media moved %s ago", holder.Session, id, before.Holder.Session, w.now-h.moved)
	case l.PlayID != h.play:
		w.fail("%s mints play id %s", holder.Session, l.PlayID)
	case w.wall().Before(before.RefusedUntil):
		w.fail("%s takes %s, which is refused until %s", holder.Session, id, before.RefusedUntil)
	}
	h.epoch, h.taken, h.renewed, h.moved, s.renewed = l.Epoch, w.now, w.now, w.now, w.now
	k.held(h, l)
	return l, nil
}

// renew: only the holder does.
func (k *checker) renew(ctx context.Context, id broadcast.KeyID, epoch uint64, session broadcast.SessionID, p broadcast.Progress) error {
	err := k.w.store.RenewLease(ctx, id, epoch, session, p)
	if err != nil {
		return err
	}
	l := k.w.store.leases[id]
	h := k.key(id)
	if l.Holder == nil || l.Holder.Session != session || l.Epoch != epoch {
		k.w.fail("%s renews epoch %d of %s, held by %+v in epoch %d", session, epoch, id, l.Holder, l.Epoch)
	}
	h.renewed = k.w.now
	k.held(h, l)
	k.sessions[session].renewed = k.w.now
	return nil
}

// release: nobody ends another's hold.
func (k *checker) release(ctx context.Context, id broadcast.KeyID, epoch uint64, session broadcast.SessionID, p broadcast.Progress) error {
	before := k.w.store.leases[id].Holder
	err := k.w.store.ReleaseLease(ctx, id, epoch, session, p)
	if err != nil {
		return err
	}
	l := k.w.store.leases[id]
	if before != nil && l.Holder == nil && before.Session != session {
		k.w.fail("%s releases what %s holds", session, before.Session)
	}
	k.held(k.key(id), l)
	return nil
}

// ended: a session that could not renew, or lost its lease, did not go on.
func (k *checker) ended(s *session) {
	if on := k.w.now - max(s.renewed, s.k.stood); on > endAfter {
		k.w.fail("%s went on for %s without a renewal", s.id, on)
	}
}

// holder is the session that holds a key's lease; nil = none, or a dead one.
func (k *checker) holder(id broadcast.KeyID) *session {
	l := k.w.store.leases[id]
	if l.Holder == nil {
		return nil
	}
	return k.sessions[l.Holder.Session]
}

// truth: every key and room is where its publishers are.
func (k *checker) truth() {
	for _, m := range k.w.members {
		key, there := k.w.store.keys[m.key]
		if !there {
			continue
		}
		if err := k.trueKey(m, key); err != nil {
			k.w.fail("%s after the last fault: %v", truthWithin, err)
		}
	}
	for _, r := range k.w.store.rooms {
		if err := k.inTime(r); err != nil {
			k.w.fail("%s after the last fault: %v", truthWithin, err)
		}
	}
	for _, s := range k.sessions {
		if !s.over && s.c.session == s {
			k.ended(s)
		}
	}
}

func (k *checker) trueKey(m *member, key broadcast.StreamKey) error {
	var alive *session
	for _, s := range k.sessions {
		if s.key != key.ID || s.over || s.c.session != s {
			continue
		}
		if k.holder(key.ID) != s && k.w.now-k.key(key.ID).taken < cutWithin {
			continue // its next renewal tells it that it was taken over
		}
		if alive != nil {
			return fmt.Errorf("%s and %s both publish %s", alive.id, s.id, key.ID)
		}
		alive = s
	}
	ingesting := key.State != broadcast.KeyInactive && key.State != broadcast.KeyInactiveLive
	viewable := key.State == broadcast.KeyActive || key.State == broadcast.KeyActiveLive
	switch {
	case alive == nil && ingesting:
		return fmt.Errorf("%s is %s and nobody publishes", key.ID, key.State)
	case alive == nil && m.steady && k.w.now-k.key(key.ID).closedAt > 15*time.Second:
		return fmt.Errorf("%s is %s and its owner is not let in", key.ID, key.State)
	case alive == nil:
		return nil
	case k.w.now-k.key(key.ID).closedAt < cutWithin+time.Second:
		return nil // its end is on its way to it
	case k.holder(key.ID) != alive:
		return fmt.Errorf("%s publishes %s without its lease", alive.id, key.ID)
	case alive.published && k.w.now-alive.viewable > toldWithin && !viewable:
		return fmt.Errorf("%s is %s and %s is viewable since %s", key.ID, key.State, alive.id, alive.viewable)
	case !alive.published && viewable:
		return fmt.Errorf("%s is %s and %s is not viewable", key.ID, key.State, alive.id)
	}
	return nil
}

// inTime: no room is live past the limits of its app.
func (k *checker) inTime(r broadcast.VideoRoom) error {
	if !r.State.Carried() {
		return nil
	}
	app, now := k.w.store.apps[r.AppID], k.w.wall()
	const sweep = 20 * time.Second
	if app.MaxLive != nil && now.Sub(*r.LiveStartedAt) > *app.MaxLive+sweep {
		return fmt.Errorf("%s is live since %s, past its limit of %s", r.ID, r.LiveStartedAt, *app.MaxLive)
	}
	if app.ReconnectWindow != nil && r.DroppedAt != nil && now.Sub(*r.DroppedAt) > *app.ReconnectWindow+sweep {
		return fmt.Errorf("%s is without its publisher since %s, past its limit of %s", r.ID, r.DroppedAt, *app.ReconnectWindow)
	}
	return nil
}
