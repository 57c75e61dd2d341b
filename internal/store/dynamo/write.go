package dynamo

import (
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// The attributes of some kinds of item only.
const (
	attrUser       = "appUserId"
	attrMember     = "memberId"
	attrKeyOfUser  = "keyId"
	attrKey        = "keyId"
	attrApp        = "appId"
	attrString     = "string"
	attrHash       = "hash"
	attrGeneration = "generation"
)

// writer turns a Changes into the writes of one transaction.
type writer struct {
	*batch
	c   *control.Changes
	now time.Time
	// keys are those that c holds or means; the zero key where there is none.
	keys map[broadcast.KeyID]broadcast.StreamKey
	// former are the user ids that members have, where they get another.
	former map[broadcast.MemberID]string
}

func (w *writer) all() error {
	for _, part := range []func() error{
		w.saveRecords, w.saveProfiles, w.saveMembers, w.saveShows, w.saveLeases, w.saveStrings, w.saveEndpoints, w.saveOnce, w.saveTrail, w.remove,
	} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// save writes a record of that version under the condition e.
func (w *writer) save(it item, version uint64, rec any, e expr) error {
	if err := document(it, rec); err != nil {
		return err
	}
	it[attrVersion] = number(version + 1)
	w.put(it, e)
	return nil
}

func (w *writer) saveRecords() error {
	for _, a := range w.c.Apps {
		v := a.Version
		a.Version++
		it := listed(single("APP", string(a.ID)), "APP", string(a.ID), "", "", "")
		if err := w.save(it, v, a, atVersion(v)); err != nil {
			return err
		}
	}
	for _, k := range w.c.APIKeys {
		v := k.Version
		k.Version++
		it := listed(single("APIKEY", k.ID), "APIKEY", k.ID, k.AppID, "", "")
		delete(it, attrOfAll)
		if err := w.save(it, v, k, atVersion(v)); err != nil {
			return err
		}
	}
	return nil
}

func userKey(app broadcast.AppID, user string) item { return single("USER", string(app)+"#"+user) }

func (w *writer) saveMembers() error {
	for _, m := range w.c.Members {
		v := m.Version
		m.Version++
		it := listed(single("MEMBER", string(m.ID)), "MEMBER", string(m.ID), m.AppID, "", "")
		delete(it, attrOfAll)
		it[attrUser] = text(m.AppUserID)
		user := userKey(m.AppID, m.AppUserID)
		user[attrMember], user[attrKeyOfUser] = text(string(m.ID)), text(string(m.KeyID))
		e := atVersion(v)
		former, renamed := w.former[m.ID]
		switch {
		case v == 0:
			w.put(user, absent())
		case renamed:
			w.delete(userKey(m.AppID, former), where("#memberId = :memberId", item{"memberId": text(string(m.ID))}))
			w.put(user, absent())
			e = where("#version = :version AND #appUserId = :appUserId", item{"version": number(v), "appUserId": text(former)})
		default:
			e = where("#version = :version AND #appUserId = :appUserId", item{"version": number(v), "appUserId": text(m.AppUserID)})
		}
		if err := w.save(it, v, m, e); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) saveShows() error {
	for _, k := range w.c.Keys {
		v := k.Version
		k.Version++
		it := listed(single("KEY", string(k.ID)), "KEY", string(k.ID), k.AppID, "", string(k.State))
		if err := w.save(it, v, k, atVersion(v)); err != nil {
			return err
		}
	}
	for _, r := range w.c.Rooms {
		v := r.Version
		r.Version++
		it := listed(single("ROOM", string(r.ID)), "ROOM", string(r.ID), r.AppID, r.MemberID, string(r.State))
		if r.State.Carried() {
			it[attrSweep], it[attrSweepBy] = text(sweepLive), text(livePlace(r))
		}
		if err := w.save(it, v, r, atVersion(v)); err != nil {
			return err
		}
	}
	for _, p := range w.c.Posts {
		v := p.Version
		p.Version++
		it := listed(single("POST", string(p.ID)), "POST", string(p.ID), p.AppID, p.MemberID, string(p.State))
		if err := w.save(it, v, p, atVersion(v)); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) saveLeases() error {
	for _, lw := range w.c.Leases {
		it, err := leaseItem(lw.Lease)
		if err != nil {
			return err
		}
		if id := lw.Lease.PlayID; id != "" {
			play := single("PLAY", string(id))
			play[attrKey] = text(string(lw.Lease.KeyID))
			w.put(play, where("attribute_not_exists(#pk) OR #keyId = :keyId", item{"keyId": play[attrKey]}))
		}
		if w.watched(lw.Lease) {
			watch(it, lw.Lease.KeyID)
		}
		switch {
		case lw.New:
			w.put(it, absent())
		case lw.IfRenewals != nil:
			w.put(it, where("#epoch = :epoch AND #renewals = :renewals",
				item{"epoch": number(lw.IfEpoch), "renewals": number(*lw.IfRenewals)}))
		default:
			w.put(it, where("#epoch = :epoch", item{"epoch": number(lw.IfEpoch)}))
		}
	}
	return nil
}

// watched reports whether the sweeper must look at the lease: it is held, or
// ahead of its key as far as c tells. HeldLeases sorts out the others.
func (w *writer) watched(l broadcast.Lease) bool {
	if l.Holder != nil {
		return true
	}
	at := broadcast.Fence{Epoch: l.Epoch, Seq: l.Seq}
	gone := slices.ContainsFunc(w.c.DeleteKeys, func(k broadcast.StreamKey) bool { return k.ID == l.KeyID }) ||
		slices.ContainsFunc(w.c.DeleteMembers, func(m control.Member) bool { return m.KeyID == l.KeyID })
	if gone {
		return false
	}
	for _, k := range w.c.Keys {
		if k.ID == l.KeyID {
			return k.Fence.Before(at)
		}
	}
	return broadcast.Fence{}.Before(at)
}

func hashKey(h broadcast.Hash) item { return single("HASH", hex.EncodeToString(h[:])) }

func (w *writer) saveStrings() error {
	for _, s := range w.c.Strings {
		hash := hex.EncodeToString(s.Hash[:])
		secret := single("SECRET", string(s.KeyID))
		secret[attrString], secret[attrHash] = text(s.String), text(hash)
		e := absent()
		if s.OldHash != (broadcast.Hash{}) {
			old := hex.EncodeToString(s.OldHash[:])
			e = where("#hash = :hash", item{"hash": text(old)})
			w.delete(hashKey(s.OldHash), where("#keyId = :keyId", item{"keyId": text(string(s.KeyID))}))
		}
		w.put(secret, e)
		way := hashKey(s.Hash)
		way[attrKey], way[attrApp], way[attrGeneration] = text(string(s.KeyID)), text(string(w.keys[s.KeyID].AppID)), number(s.Generation)
		w.put(way, absent())
	}
	return nil
}

// saveTrail writes what is only ever added: journal, notices, jobs.
func (w *writer) saveTrail() error {
	for _, e := range w.c.Journal {
		it := key("JOURNAL#"+e.Aggregate, ordered(e.Version)+"#"+e.ID)
		if err := document(it, e); err != nil {
			return err
		}
		w.put(it, absent())
	}
	for _, n := range w.c.Notices {
		it, err := noticeItem(n, w.now.Add(noticeMemory))
		if err != nil {
			return err
		}
		w.put(it, absent())
	}
	for _, j := range w.c.Jobs {
		it, err := jobItem(j)
		if err != nil {
			return err
		}
		w.put(it, absent())
	}
	return nil
}

func (w *writer) remove() error {
	for _, r := range w.c.DeleteRooms {
		w.delete(single("ROOM", string(r.ID)), stored(r.Version))
	}
	for _, p := range w.c.DeletePosts {
		w.delete(single("POST", string(p.ID)), stored(p.Version))
	}
	for _, m := range w.c.DeleteMembers {
		if m.AppUserID == "" {
			return errors.New("delete a member: it has no appUserId")
		}
		w.delete(single("MEMBER", string(m.ID)), where("#version = :version AND #appUserId = :appUserId",
			item{"version": number(m.Version), "appUserId": text(m.AppUserID)}))
		w.delete(userKey(m.AppID, m.AppUserID), where("#memberId = :memberId", item{"memberId": text(string(m.ID))}))
		apart := slices.ContainsFunc(w.c.DeleteKeys, func(k broadcast.StreamKey) bool { return k.ID == m.KeyID })
		if k := w.keys[m.KeyID]; !apart && k.ID != "" {
			w.removeKey(k)
		}
	}
	for _, k := range w.c.DeleteKeys {
		w.removeKey(k)
	}
	for _, k := range w.c.DeleteAPIKeys {
		w.delete(single("APIKEY", k.ID), stored(k.Version))
	}
	for _, a := range w.c.DeleteApps {
		w.delete(single("APP", string(a.ID)), stored(a.Version))
	}
	return nil
}

func (w *writer) removeKey(k broadcast.StreamKey) {
	w.delete(single("KEY", string(k.ID)), stored(k.Version))
	w.delete(single("SECRET", string(k.ID)), expr{})
	w.delete(hashKey(k.Hash), where("attribute_not_exists(#pk) OR #keyId = :keyId", item{"keyId": text(string(k.ID))}))
}

// stored holds where the record is there and has this version.
func stored(v uint64) expr { return where("#version = :version", item{"version": number(v)}) }

func unix(t time.Time) types.AttributeValue {
	return number(uint64(max(t.Unix(), 0))) // #nosec G115 -- not negative
}
