package storetest

import (
	"errors"
	"maps"
	"slices"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// model drives the store and a map with the same random commits, stale ones
// among them, and compares what both answer.
func model(f *fixture) {
	rapid.Check(f.T, func(t *rapid.T) {
		u := f.user(f.app().ID)
		m := &plain{f: f, u: u, fence: u.key, rooms: map[broadcast.RoomID]broadcast.VideoRoom{}}
		t.Repeat(map[string]func(*rapid.T){
			"commit": m.commit,
			"repeat": m.repeat,
			"check":  m.check,
		})
		m.check(t)
	})
}

// plain is the store in its simplest form: one member's key and rooms.
type plain struct {
	f     *fixture
	u     user
	fence broadcast.StreamKey
	rooms map[broadcast.RoomID]broadcast.VideoRoom
	last  *control.Changes
}

func (m *plain) sorted() []broadcast.RoomID { return slices.Sorted(maps.Keys(m.rooms)) }

// commit changes the key and up to three rooms; each may be stale.
func (m *plain) commit(t *rapid.T) {
	c := control.Changes{ID: m.f.id("commit")}
	next := maps.Clone(m.rooms)
	key, valid := m.fence, true
	if rapid.Bool().Draw(t, "key") {
		k := key
		k.Sequence++
		if rapid.IntRange(0, 4).Draw(t, "stale key") == 0 {
			k.Version += rapid.Uint64Range(1, 2).Draw(t, "by")
			valid = false
		}
		c.Keys = append(c.Keys, k)
		key = k
		key.Version++
	}
	used := map[broadcast.RoomID]bool{}
	for range rapid.IntRange(0, 3).Draw(t, "rooms") {
		valid = m.changeRoom(t, &c, next, used) && valid
	}
	err := m.f.store.Commit(m.f.ctx, c)
	switch {
	case valid && err == nil:
		m.rooms, m.fence, m.last = next, key, &c
	case !valid && errors.Is(err, control.ErrConflict):
	default:
		t.Fatalf("commit %+v: %v, want success = %v", c, err, valid)
	}
}

func (m *plain) changeRoom(t *rapid.T, c *control.Changes, next map[broadcast.RoomID]broadcast.VideoRoom, used map[broadcast.RoomID]bool) bool {
	ids := m.sorted()
	if len(ids) == 0 || rapid.Bool().Draw(t, "new room") {
		r := m.f.newRoom(m.u)
		c.Rooms = append(c.Rooms, r)
		r.Version = 1
		next[r.ID] = r
		return true
	}
	r := m.rooms[rapid.SampledFrom(ids).Draw(t, "room")]
	if used[r.ID] {
		return true
	}
	used[r.ID] = true
	r.State = rapid.SampledFrom(broadcast.RoomStates[:]).Draw(t, "state")
	stale := rapid.IntRange(0, 5).Draw(t, "stale room") == 0
	if stale {
		r.Version = uint64(rapid.IntRange(0, int(r.Version)-1).Draw(t, "version")) // #nosec G115 -- small
	}
	if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
		c.DeleteRooms = append(c.DeleteRooms, r)
		delete(next, r.ID)
		return !stale
	}
	c.Rooms = append(c.Rooms, r)
	r.Version++
	next[r.ID] = r
	return !stale
}

// repeat commits the last one again, as after a lost answer.
func (m *plain) repeat(t *rapid.T) {
	if m.last == nil {
		t.Skip("nothing to repeat")
	}
	if err := m.f.store.Commit(m.f.ctx, *m.last); err != nil {
		t.Fatalf("repeat: %v", err)
	}
}

func (m *plain) check(t *rapid.T) {
	key, _, err := m.f.store.Key(m.f.ctx, m.u.key.ID)
	if err != nil || !cmp.Equal(key, m.fence) {
		t.Fatalf("key %+v (%v), want %+v", key, err, m.fence)
	}
	one := rapid.SampledFrom(broadcast.RoomStates[:]).Draw(t, "listed state")
	for _, state := range []broadcast.RoomState{"", one} {
		var got []broadcast.RoomID
		p := control.Page{Limit: 3, Ascending: true}
		for {
			list, err := m.f.store.Rooms(m.f.ctx, control.RoomFilter{AppID: m.u.member.AppID, State: state}, p)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range list.Items {
				got = append(got, r.ID)
				if want := m.rooms[r.ID]; r.State != want.State || r.Version != want.Version {
					t.Fatalf("room %+v, want %+v", r, want)
				}
			}
			if p.Cursor = list.Next; p.Cursor == "" {
				break
			}
		}
		want := slices.DeleteFunc(m.sorted(), func(id broadcast.RoomID) bool { return state != "" && m.rooms[id].State != state })
		if !slices.Equal(got, want) {
			t.Fatalf("rooms in state %q: %v, want %v", state, got, want)
		}
	}
}
