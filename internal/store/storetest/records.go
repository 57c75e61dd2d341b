package storetest

import (
	"errors"
	"reflect"
	"strconv"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// fill sets every field of a record to something that is not its zero value,
// so that a field that a store forgets is seen, also one that comes later.
func fill(v reflect.Value, n *int) {
	*n++
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(epoch.Add(time.Duration(*n) * time.Second)))
		return
	case v.Kind() == reflect.String:
		v.SetString("text " + strconv.Itoa(*n))
	case v.CanInt():
		v.SetInt(int64(*n))
	case v.CanUint() && v.Kind() != reflect.Uint8:
		v.SetUint(uint64(*n)) //nolint:gosec // counts up from 1
	case v.Kind() == reflect.Uint8:
		v.SetUint(uint64(*n % 256)) //nolint:gosec // less than 256
	case v.CanFloat():
		v.SetFloat(float64(*n) + 0.25)
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case v.Kind() == reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case v.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n)
		fill(value, n)
		v.SetMapIndex(key, value)
	default:
		panic("storetest cannot fill a " + v.Kind().String())
	}
}

func filled[T any](n int) T {
	var rec T
	fill(reflect.ValueOf(&rec).Elem(), &n)
	return rec
}

func everyField(f *fixture) {
	app := filled[control.App](1)
	apiKey := filled[control.APIKey](2)
	member := filled[control.Member](3)
	key := filled[broadcast.StreamKey](4)
	room := filled[broadcast.VideoRoom](5)
	post := filled[broadcast.VideoPost](6)
	lease := filled[broadcast.Lease](7)
	entry := filled[control.JournalEntry](8)
	job := filled[control.Job](9)
	app.Version, apiKey.Version, member.Version, key.Version, room.Version, post.Version = 0, 0, 0, 0, 0, 0
	apiKey.AppID, member.AppID, key.AppID, room.AppID, post.AppID = app.ID, app.ID, app.ID, app.ID, app.ID
	key.MemberID, room.MemberID, post.MemberID = member.ID, member.ID, member.ID
	member.KeyID, room.KeyID, lease.KeyID = key.ID, key.ID, key.ID
	key.Fence.Seq = broadcast.LastSeq
	lease.Seq = broadcast.LastSeq
	f.must(f.commit(control.Changes{
		Apps: []control.App{app}, APIKeys: []control.APIKey{apiKey}, Members: []control.Member{member},
		Keys: []broadcast.StreamKey{key}, Rooms: []broadcast.VideoRoom{room}, Posts: []broadcast.VideoPost{post},
		Leases:  []control.LeaseWrite{{Lease: lease, New: true}},
		Journal: []control.JournalEntry{entry}, Jobs: []control.Job{job},
	}))
	app.Version, apiKey.Version, member.Version, key.Version, room.Version, post.Version = 1, 1, 1, 1, 1, 1

	f.equal("app", must2[control.App](f)(f.store.App(f.ctx, app.ID)), app)
	f.equal("API key", must2[control.APIKey](f)(f.store.APIKey(f.ctx, apiKey.ID)), apiKey)
	f.equal("member", must2[control.Member](f)(f.store.Member(f.ctx, member.ID)), member)
	f.equal("member by user", must2[control.Member](f)(f.store.MemberByUser(f.ctx, app.ID, member.AppUserID)), member)
	gotKey, gotLease, err := f.store.Key(f.ctx, key.ID)
	f.must(err)
	f.equal("key", gotKey, key)
	f.equal("lease with the key", gotLease, lease)
	f.equal("lease", must2[broadcast.Lease](f)(f.leases.Lease(f.ctx, key.ID)), lease)
	f.equal("room", must2[broadcast.VideoRoom](f)(f.store.Room(f.ctx, room.ID)), room)
	f.equal("post", must2[broadcast.VideoPost](f)(f.store.Post(f.ctx, post.ID)), post)
	entries := must2[control.List[control.JournalEntry]](f)(f.store.Journal(f.ctx, entry.Aggregate, control.Page{Limit: 5}))
	f.equal("journal", entries.Items, []control.JournalEntry{entry})
	f.equal("jobs", must2[[]control.Job](f)(f.store.DueJobs(f.ctx, job.DueAt, 5)), []control.Job{job})
}

// versions walks one record of each kind through new, changed and stale.
func versions(f *fixture) {
	app := f.app()
	u := f.newUser(app.ID)
	f.must(f.commit(u.changes()))
	member, key := u.member, u.key
	member.Version, key.Version = 1, 1
	room := f.room(u)
	apiKey := control.APIKey{ID: "api", AppID: app.ID, CreatedAt: epoch}
	post := broadcast.VideoPost{ID: "post", AppID: app.ID, MemberID: member.ID}
	f.must(f.commit(control.Changes{APIKeys: []control.APIKey{apiKey}, Posts: []broadcast.VideoPost{post}}))

	// at answers a change of the record that expects version v.
	for kind, at := range map[string]func(v uint64) control.Changes{
		"app": func(v uint64) control.Changes {
			app.Version = v
			return control.Changes{Apps: []control.App{app}}
		},
		"api key": func(v uint64) control.Changes {
			apiKey.Version = v
			return control.Changes{APIKeys: []control.APIKey{apiKey}}
		},
		"member": func(v uint64) control.Changes {
			member.Version = v
			return control.Changes{Members: []control.Member{member}}
		},
		"key": func(v uint64) control.Changes {
			key.Version = v
			return control.Changes{Keys: []broadcast.StreamKey{key}}
		},
		"room": func(v uint64) control.Changes {
			room.Version = v
			return control.Changes{Rooms: []broadcast.VideoRoom{room}}
		},
		"post": func(v uint64) control.Changes {
			post.Version = v
			return control.Changes{Posts: []broadcast.VideoPost{post}}
		},
	} {
		f.is("make the "+kind+" again", f.commit(at(0)), control.ErrConflict)
		f.is("write the "+kind+" from the future", f.commit(at(2)), control.ErrConflict)
		c := at(1)
		f.must(f.commit(c))
		if len(c.Rooms) == 1 && c.Rooms[0].Version != 1 {
			f.Error("commit changed what it was handed")
		}
		f.is("write the "+kind+" as it was", f.commit(at(1)), control.ErrConflict)
		f.must(f.commit(at(2)))
	}
	if got := must2[broadcast.VideoRoom](f)(f.store.Room(f.ctx, room.ID)); got.Version != 3 {
		f.Errorf("the room has version %d after three writes", got.Version)
	}

	gone := f.newRoom(u)
	gone.Version = 1
	err := f.commit(control.Changes{Rooms: []broadcast.VideoRoom{gone}})
	f.is("write a room that is not there", err, control.ErrConflict)
	if errors.Is(err, control.ErrNotFound) {
		f.Error("a commit answers ErrNotFound")
	}
}

func missing(f *fixture) {
	app := f.app()
	_, err := f.store.App(f.ctx, "app_none")
	f.is("app", err, control.ErrNotFound)
	_, err = f.store.APIKey(f.ctx, "none")
	f.is("API key", err, control.ErrNotFound)
	_, err = f.store.Member(f.ctx, "mem_none")
	f.is("member", err, control.ErrNotFound)
	_, err = f.store.MemberByUser(f.ctx, app.ID, "nobody")
	f.is("member by user", err, control.ErrNotFound)
	_, _, err = f.store.Key(f.ctx, "key_none")
	f.is("key", err, control.ErrNotFound)
	_, err = f.store.KeyRecord(f.ctx, "key_none")
	f.is("key with its string", err, control.ErrNotFound)
	_, err = f.store.KeyOfUser(f.ctx, app.ID, "nobody")
	f.is("key of a user", err, control.ErrNotFound)
	_, err = f.store.Room(f.ctx, "room_none")
	f.is("room", err, control.ErrNotFound)
	_, err = f.store.Post(f.ctx, "post_none")
	f.is("post", err, control.ErrNotFound)
	_, err = f.leases.Lease(f.ctx, "key_none")
	f.is("lease", err, control.ErrNotFound)
	_, err = f.leases.FindPublisher(f.ctx, hashOf("none"))
	f.is("publisher", err, control.ErrNotFound)
	_, err = f.leases.TakeLease(f.ctx, "key_none", control.LeaseCondition{}, broadcast.Holder{Session: "s"}, broadcast.Progress{})
	f.is("take", err, control.ErrNotFound)
	f.is("renew", f.leases.RenewLease(f.ctx, "key_none", 1, "s", broadcast.Progress{}), control.ErrNotFound)
	f.is("release", f.leases.ReleaseLease(f.ctx, "key_none", 1, "s", broadcast.Progress{}), control.ErrNotFound)
}

func uniqueUser(f *fixture) {
	one, other := f.app(), f.app()
	u := f.user(one.ID)
	twin := f.newUser(one.ID)
	twin.member.AppUserID = u.member.AppUserID
	f.is("a second member of the same user id", f.commit(twin.changes()), control.ErrConflict)
	_, _, err := f.store.Key(f.ctx, twin.key.ID)
	f.is("its key", err, control.ErrNotFound)

	twin.member.AppID, twin.key.AppID = other.ID, other.ID
	f.must(f.commit(twin.changes()))
	got := must2[control.Member](f)(f.store.MemberByUser(f.ctx, other.ID, u.member.AppUserID))
	if got.ID != twin.member.ID {
		f.Errorf("the other app's user is %s, want %s", got.ID, twin.member.ID)
	}
}

func replaceString(f *fixture) {
	u := f.user(f.app().ID)
	all := control.KeyRecord{Key: u.key, Lease: u.lease, String: u.string.String}
	f.equal("key with its string", must2[control.KeyRecord](f)(f.store.KeyRecord(f.ctx, u.key.ID)), all)
	f.equal("key of the user", must2[control.KeyRecord](f)(f.store.KeyOfUser(f.ctx, u.member.AppID, u.member.AppUserID)), all)

	next := control.KeyString{KeyID: u.key.ID, String: "new", Hash: hashOf("new"), Generation: 2}
	f.is("a second string beside the first", f.commit(control.Changes{Strings: []control.KeyString{next}}), control.ErrConflict)
	next.OldHash = hashOf("never was")
	f.is("in place of another one", f.commit(control.Changes{Strings: []control.KeyString{next}}), control.ErrConflict)
	next.OldHash = u.string.Hash
	f.must(f.commit(control.Changes{Strings: []control.KeyString{next}}))

	f.equal("string", must2[control.KeyRecord](f)(f.store.KeyRecord(f.ctx, u.key.ID)).String, "new")
	_, err := f.leases.FindPublisher(f.ctx, u.string.Hash)
	f.is("the old hash", err, control.ErrNotFound)
	p := must2[control.Publisher](f)(f.leases.FindPublisher(f.ctx, next.Hash))
	if p.KeyID != u.key.ID || p.Generation != 2 {
		f.Errorf("the new hash leads to %s, generation %d", p.KeyID, p.Generation)
	}

	thief := f.newUser(u.member.AppID)
	thief.string.Hash = next.Hash
	f.is("another key with the same hash", f.commit(thief.changes()), control.ErrConflict)
}

func deleteMember(f *fixture) {
	u := f.user(f.app().ID)
	r := f.room(u)
	stale := u.member
	stale.Version = 7
	f.is("delete at another version", f.commit(control.Changes{DeleteMembers: []control.Member{stale}}), control.ErrConflict)
	must2[control.Member](f)(f.store.Member(f.ctx, u.member.ID))

	c := control.Changes{DeleteMembers: []control.Member{u.member}, DeleteRooms: []broadcast.VideoRoom{r}}
	closed := u.lease
	closed.Epoch++
	c.Leases = []control.LeaseWrite{{Lease: closed}}
	f.must(f.commit(c))
	_, err := f.store.Member(f.ctx, u.member.ID)
	f.is("member", err, control.ErrNotFound)
	_, err = f.store.MemberByUser(f.ctx, u.member.AppID, u.member.AppUserID)
	f.is("member by user", err, control.ErrNotFound)
	_, _, err = f.store.Key(f.ctx, u.key.ID)
	f.is("key", err, control.ErrNotFound)
	_, err = f.store.KeyRecord(f.ctx, u.key.ID)
	f.is("string", err, control.ErrNotFound)
	_, err = f.leases.FindPublisher(f.ctx, u.string.Hash)
	f.is("hash", err, control.ErrNotFound)
	_, err = f.store.Room(f.ctx, r.ID)
	f.is("room", err, control.ErrNotFound)
	f.equal("lease", must2[broadcast.Lease](f)(f.leases.Lease(f.ctx, u.key.ID)), closed)
	if held := must2[[]broadcast.Lease](f)(f.store.HeldLeases(f.ctx, "", 10)); len(held) != 0 {
		f.Errorf("the lease of a key that is gone is on the sweeper's list: %v", held)
	}
	f.is("delete again", f.commit(control.Changes{DeleteMembers: []control.Member{u.member}}), control.ErrConflict)

	again := f.newUser(u.member.AppID)
	again.member.AppUserID = u.member.AppUserID
	f.must(f.commit(again.changes()))
}

func deleteRoom(f *fixture) {
	u := f.user(f.app().ID)
	r := f.room(u)
	f.must(f.commit(control.Changes{Rooms: []broadcast.VideoRoom{r}}))
	f.is("delete as it was", f.commit(control.Changes{DeleteRooms: []broadcast.VideoRoom{r}}), control.ErrConflict)
	r.Version = 2
	f.must(f.commit(control.Changes{DeleteRooms: []broadcast.VideoRoom{r}}))
	_, err := f.store.Room(f.ctx, r.ID)
	f.is("room", err, control.ErrNotFound)
	rooms := must2[control.List[broadcast.VideoRoom]](f)(f.store.Rooms(f.ctx, control.RoomFilter{AppID: u.member.AppID}, control.Page{Limit: 5}))
	f.equal("rooms", len(rooms.Items), 0)
}
