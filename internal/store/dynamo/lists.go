package dynamo

import (
	"context"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// sweepLive is the partition of live rooms in the sweeper's index.
const sweepLive = "LIVE"

// Apps lists all apps.
func (s *Store) Apps(ctx context.Context, p control.Page) (control.List[control.App], error) {
	l := listing[control.App]{
		name: "apps", index: attrOfAll, hash: "APP", sortBy: attrID, ascending: p.Ascending, sure: true,
		keep: func(control.App) bool { return true },
	}
	return l.read(ctx, s, p)
}

// APIKeys lists an app's API keys.
func (s *Store) APIKeys(ctx context.Context, app broadcast.AppID, p control.Page) (control.List[control.APIKey], error) {
	l := listing[control.APIKey]{
		name: "api keys", index: attrOfApp, hash: "APIKEY#" + string(app), sortBy: attrID, ascending: p.Ascending, sure: true,
		keep: func(k control.APIKey) bool { return k.AppID == app },
	}
	return l.read(ctx, s, p)
}

// Members lists an app's members.
func (s *Store) Members(ctx context.Context, app broadcast.AppID, p control.Page) (control.List[control.Member], error) {
	l := listing[control.Member]{
		name: "members", index: attrOfApp, hash: "MEMBER#" + string(app), sortBy: attrID, ascending: p.Ascending, sure: true,
		keep: func(m control.Member) bool { return m.AppID == app },
	}
	return l.read(ctx, s, p)
}

// partition answers the index and its partition that fit a filter best.
func partition(kind, app, state string) (index, hash string) {
	switch {
	case app != "" && state != "":
		return attrOfAppInState, kind + "#" + app + "#" + state
	case app != "":
		return attrOfApp, kind + "#" + app
	case state != "":
		return attrOfAllInState, kind + "#" + state
	}
	return attrOfAll, kind
}

// Keys lists stream keys.
func (s *Store) Keys(ctx context.Context, f control.KeyFilter, p control.Page) (control.List[control.KeyRecord], error) {
	l := listing[control.KeyRecord]{
		name: "keys", sortBy: attrID, ascending: p.Ascending, sure: true,
		keep: func(r control.KeyRecord) bool {
			return (f.AppID == "" || r.Key.AppID == f.AppID) && (f.State == "" || r.Key.State == f.State)
		},
		parts: func(it item) []item { return recordKeys(textOf(it, attrID)) },
		join:  keyRecord,
	}
	l.index, l.hash = partition("KEY", string(f.AppID), string(f.State))
	return l.read(ctx, s, p)
}

// Rooms lists rooms. A member's rooms are few: they are read to filter them.
func (s *Store) Rooms(ctx context.Context, f control.RoomFilter, p control.Page) (control.List[broadcast.VideoRoom], error) {
	l := listing[broadcast.VideoRoom]{
		name: "rooms", sortBy: attrID, ascending: p.Ascending, sure: f.MemberID == "",
		keep: func(r broadcast.VideoRoom) bool {
			return (f.AppID == "" || r.AppID == f.AppID) && (f.MemberID == "" || r.MemberID == f.MemberID) && (f.State == "" || r.State == f.State)
		},
	}
	if f.MemberID != "" {
		l.index, l.hash = attrOfMember, "ROOM#"+string(f.MemberID)
	} else {
		l.index, l.hash = partition("ROOM", string(f.AppID), string(f.State))
	}
	return l.read(ctx, s, p)
}

// Posts lists video posts. A member's posts are few: they are read to filter
// them.
func (s *Store) Posts(ctx context.Context, f control.PostFilter, p control.Page) (control.List[broadcast.VideoPost], error) {
	l := listing[broadcast.VideoPost]{
		name: "posts", sortBy: attrID, ascending: p.Ascending, sure: f.MemberID == "",
		keep: func(v broadcast.VideoPost) bool {
			return (f.AppID == "" || v.AppID == f.AppID) && (f.MemberID == "" || v.MemberID == f.MemberID) && (f.State == "" || v.State == f.State)
		},
	}
	if f.MemberID != "" {
		l.index, l.hash = attrOfMember, "POST#"+string(f.MemberID)
	} else {
		l.index, l.hash = partition("POST", string(f.AppID), string(f.State))
	}
	return l.read(ctx, s, p)
}

// LiveRooms lists the rooms that keys carry, oldest go-live first whatever the
// page says.
func (s *Store) LiveRooms(ctx context.Context, p control.Page) (control.List[broadcast.VideoRoom], error) {
	l := listing[broadcast.VideoRoom]{
		name: "live", index: attrSweep, hash: sweepLive, sortBy: attrSweepBy, ascending: true, sure: true,
		keep: func(r broadcast.VideoRoom) bool { return r.State.Carried() },
	}
	return l.read(ctx, s, p)
}

// livePlace orders live rooms by (LiveStartedAt, id).
func livePlace(r broadcast.VideoRoom) string {
	at := ordered(0)
	if r.LiveStartedAt != nil {
		at = orderedTime(*r.LiveStartedAt)
	}
	return at + "#" + string(r.ID)
}

// Journal lists the entries of a room or key. Consistent.
func (s *Store) Journal(ctx context.Context, aggregate string, p control.Page) (control.List[control.JournalEntry], error) {
	l := listing[control.JournalEntry]{
		name: "journal", hash: "JOURNAL#" + aggregate, sortBy: attrSK, ascending: p.Ascending, sure: true,
		keep: func(control.JournalEntry) bool { return true },
	}
	return l.read(ctx, s, p)
}
