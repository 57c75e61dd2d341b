package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// walk reads a list to its end and answers all items.
func walk[T any](f *fixture, p control.Page, read func(control.Page) (control.List[T], error), each func()) []T {
	f.Helper()
	var items []T
	for {
		list, err := read(p)
		f.must(err)
		if len(list.Items) > p.Limit {
			f.Fatalf("%d items on a page of %d", len(list.Items), p.Limit)
		}
		if len(list.Items) == 0 && list.Next != "" {
			f.Fatal("an empty page that has a next one")
		}
		items = append(items, list.Items...)
		if list.Next == "" {
			return items
		}
		if each != nil {
			each()
		}
		p.Cursor = list.Next
	}
}

// pages walks every list while records come and change between its pages and
// beside them: what was there before comes exactly once, in order.
func pages(f *fixture) {
	app := f.app()
	const n = 10
	users, rooms := make([]user, n), make([]broadcast.VideoRoom, n)
	for i := range n {
		users[i] = f.user(app.ID)
		rooms[i] = f.room(users[0])
	}
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		room := rooms[n/2]
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := f.commit(control.Changes{Rooms: []broadcast.VideoRoom{room, f.newRoom(users[0])}}); err != nil {
				done <- err
				return
			}
			room.Version++
		}
	}()
	grow := func() { f.user(app.ID) }
	for _, ascending := range []bool{true, false} {
		p := control.Page{Limit: 3, Ascending: ascending}
		got := walk(f, p, func(p control.Page) (control.List[broadcast.VideoRoom], error) {
			return f.store.Rooms(f.ctx, control.RoomFilter{AppID: app.ID}, p)
		}, nil)
		inOrder(f, "rooms", ascending, idsOf(got, func(r broadcast.VideoRoom) string { return string(r.ID) }), idsOf(rooms, func(r broadcast.VideoRoom) string { return string(r.ID) }))

		keys := walk(f, p, func(p control.Page) (control.List[control.KeyRecord], error) {
			return f.store.Keys(f.ctx, control.KeyFilter{AppID: app.ID}, p)
		}, grow)
		inOrder(f, "keys", ascending, idsOf(keys, func(r control.KeyRecord) string { return string(r.Key.ID) }), idsOf(users, func(u user) string { return string(u.key.ID) }))

		members := walk(f, p, func(p control.Page) (control.List[control.Member], error) {
			return f.store.Members(f.ctx, app.ID, p)
		}, grow)
		inOrder(f, "members", ascending, idsOf(members, func(m control.Member) string { return string(m.ID) }), idsOf(users, func(u user) string { return string(u.member.ID) }))
	}
	close(stop)
	f.must(<-done)

	apps := []string{string(app.ID), string(f.app().ID), string(f.app().ID)}
	got := walk(f, control.Page{Limit: 1}, func(p control.Page) (control.List[control.App], error) { return f.store.Apps(f.ctx, p) }, nil)
	inOrder(f, "apps", false, idsOf(got, func(a control.App) string { return string(a.ID) }), apps)
}

func idsOf[T any](items []T, id func(T) string) []string {
	ids := make([]string, len(items))
	for i, item := range items {
		ids[i] = id(item)
	}
	return ids
}

// inOrder checks that ids rise (or fall) strictly, which leaves no room for
// repeats, and that want are among them.
func inOrder(f *fixture, what string, ascending bool, ids, want []string) {
	f.Helper()
	for i := 1; i < len(ids); i++ {
		if ids[i] == ids[i-1] || ids[i] > ids[i-1] != ascending {
			f.Errorf("%s, ascending = %v: %s after %s", what, ascending, ids[i], ids[i-1])
		}
	}
	for _, id := range want {
		if !slices.Contains(ids, id) {
			f.Errorf("%s, ascending = %v: %s was skipped", what, ascending, id)
		}
	}
}

func lastPage(f *fixture) {
	u := f.user(f.app().ID)
	for range 4 {
		f.room(u)
	}
	for limit, want := range map[int]int{2: 2, 3: 2, 4: 1, 5: 1} {
		p, n := control.Page{Limit: limit}, 0
		for {
			list, err := f.store.Rooms(f.ctx, control.RoomFilter{AppID: u.member.AppID}, p)
			f.must(err)
			n++
			if p.Cursor = list.Next; p.Cursor == "" {
				break
			}
		}
		if n != want {
			f.Errorf("4 rooms by %d came in %d pages, want %d", limit, n, want)
		}
	}
	list, err := f.store.Rooms(f.ctx, control.RoomFilter{AppID: "app_none"}, control.Page{Limit: 3})
	f.must(err)
	if len(list.Items) != 0 || list.Next != "" {
		f.Errorf("a list of nothing: %+v", list)
	}
}

func filters(f *fixture) {
	apps := []control.App{f.app(), f.app()}
	var rooms []broadcast.VideoRoom
	var keys []broadcast.StreamKey
	roomStates := []broadcast.RoomState{broadcast.RoomScheduled, broadcast.RoomEnded, broadcast.RoomCancelled}
	keyStates := []broadcast.KeyState{broadcast.KeyInactive, broadcast.KeyActive}
	for i := range 4 {
		u := f.user(apps[i/2].ID)
		u.key.State = keyStates[i%2]
		f.must(f.commit(control.Changes{Keys: []broadcast.StreamKey{u.key}}))
		keys = append(keys, u.key)
		for _, s := range roomStates {
			r := f.room(u)
			r.State = s // moves from one state's list to another's
			f.must(f.commit(control.Changes{Rooms: []broadcast.VideoRoom{r}}))
			rooms = append(rooms, r)
		}
	}
	for _, app := range []broadcast.AppID{"", apps[0].ID, apps[1].ID} {
		for _, member := range []broadcast.MemberID{"", rooms[0].MemberID, rooms[len(rooms)-1].MemberID} {
			for _, state := range append([]broadcast.RoomState{""}, roomStates...) {
				filter := control.RoomFilter{AppID: app, MemberID: member, State: state}
				var want []string
				for _, r := range rooms {
					if (app == "" || r.AppID == app) && (member == "" || r.MemberID == member) && (state == "" || r.State == state) {
						want = append(want, string(r.ID))
					}
				}
				got := walk(f, control.Page{Limit: 2, Ascending: true}, func(p control.Page) (control.List[broadcast.VideoRoom], error) {
					return f.store.Rooms(f.ctx, filter, p)
				}, nil)
				f.equal(fmt.Sprintf("rooms by %+v", filter), idsOf(got, func(r broadcast.VideoRoom) string { return string(r.ID) }), append([]string{}, want...))
			}
		}
		for _, state := range append([]broadcast.KeyState{""}, keyStates...) {
			want := []string{}
			for _, k := range keys {
				if (app == "" || k.AppID == app) && (state == "" || k.State == state) {
					want = append(want, string(k.ID))
				}
			}
			got := walk(f, control.Page{Limit: 2, Ascending: true}, func(p control.Page) (control.List[control.KeyRecord], error) {
				return f.store.Keys(f.ctx, control.KeyFilter{AppID: app, State: state}, p)
			}, nil)
			f.equal("keys by "+string(app)+" "+string(state), idsOf(got, func(r control.KeyRecord) string { return string(r.Key.ID) }), want)
		}
	}
}

func cursors(f *fixture) {
	u := f.user(f.app().ID)
	f.room(u)
	f.room(u)
	list, err := f.store.Rooms(f.ctx, control.RoomFilter{}, control.Page{Limit: 1})
	f.must(err)
	for _, cursor := range []string{"x", "%%%", "////", "\x00", "bm90IG9uZQ", "W10", "WyJtZW1iZXJzIixudWxsXQ", list.Next, list.Next + "A", list.Next[1:]} {
		_, err := f.store.Members(f.ctx, u.member.AppID, control.Page{Limit: 1, Cursor: cursor})
		var refusal *broadcast.Refusal
		if !errors.As(err, &refusal) || refusal.Code != broadcast.CodeInvalidCursor {
			f.Errorf("cursor %q for the list of members: %v", cursor, err)
		}
	}
}

func journal(f *fixture) {
	entry := func(version uint64, id string) control.JournalEntry {
		return control.JournalEntry{ID: id, Aggregate: "room_1", Version: version, At: epoch, Kind: control.EntryTransition}
	}
	f.must(f.commit(control.Changes{Journal: []control.JournalEntry{entry(10, "jnl_3"), entry(2, "jnl_2"), entry(2, "jnl_1")}}))
	f.must(f.commit(control.Changes{Journal: []control.JournalEntry{entry(1, "jnl_9"), entry(2, "jnl_4")}}))
	f.must(f.commit(control.Changes{Journal: []control.JournalEntry{{ID: "jnl_5", Aggregate: "room_10", Version: 2}, {ID: "jnl_6", Aggregate: "room_", Version: 2}}}))
	want := []string{"1 jnl_9", "2 jnl_1", "2 jnl_2", "2 jnl_4", "10 jnl_3"}
	for _, limit := range []int{1, 2, 5} {
		for _, ascending := range []bool{true, false} {
			got := walk(f, control.Page{Limit: limit, Ascending: ascending}, func(p control.Page) (control.List[control.JournalEntry], error) {
				return f.store.Journal(f.ctx, "room_1", p)
			}, nil)
			lines := idsOf(got, func(e control.JournalEntry) string { return strconv.FormatUint(e.Version, 10) + " " + e.ID })
			if !ascending {
				slices.Reverse(lines)
			}
			f.equal(fmt.Sprintf("journal by %d, ascending = %v", limit, ascending), lines, want)
		}
	}
}

func liveRooms(f *fixture) {
	u := f.user(f.app().ID)
	var rooms []broadcast.VideoRoom
	for i := range 6 {
		r := f.room(u)
		at := epoch.Add(-time.Duration(i) * time.Hour)
		r.State, r.LiveStartedAt = broadcast.RoomLive, &at
		if i%2 == 1 {
			r.State = broadcast.RoomLiveInactive
		}
		f.must(f.commit(control.Changes{Rooms: []broadcast.VideoRoom{r}}))
		r.Version++
		rooms = append(rooms, r)
	}
	ended := rooms[2]
	ended.State = broadcast.RoomEnded
	f.must(f.commit(control.Changes{Rooms: []broadcast.VideoRoom{ended}}))
	want := []broadcast.VideoRoom{rooms[5], rooms[4], rooms[3], rooms[1], rooms[0]}
	for _, ascending := range []bool{true, false} {
		got := walk(f, control.Page{Limit: 2, Ascending: ascending}, func(p control.Page) (control.List[broadcast.VideoRoom], error) {
			return f.store.LiveRooms(f.ctx, p)
		}, nil)
		f.equal("live rooms", got, want)
	}
}

func jobs(f *fixture) {
	job := func(id string, due time.Duration) control.Job {
		return control.Job{ID: id, Kind: control.JobClose, RoomID: "room", PlayID: "play", DueAt: epoch.Add(due)}
	}
	a, b, c := job("job_a", 2*time.Minute), job("job_b", time.Minute), job("job_c", time.Hour)
	f.must(f.commit(control.Changes{Jobs: []control.Job{a, b, c}}))
	due := func(at time.Duration, limit int, want ...control.Job) {
		f.Helper()
		got := must2[[]control.Job](f)(f.store.DueJobs(f.ctx, epoch.Add(at), limit))
		f.equal("due after "+at.String(), append([]control.Job{}, got...), append([]control.Job{}, want...))
	}
	f.equal("a job that is not due", must2[control.Job](f)(f.store.Job(f.ctx, c.ID)), c)
	due(0, 5)
	due(time.Minute, 5, b)
	due(2*time.Minute, 5, b, a)
	due(2*time.Minute, 1, b)
	b.Attempts, b.DueAt = 1, epoch.Add(30*time.Minute)
	f.must(f.store.RetryJob(f.ctx, b))
	due(2*time.Minute, 5, a)
	due(time.Hour, 5, a, b, c)
	f.must(f.store.FinishJob(f.ctx, a.ID))
	f.must(f.store.FinishJob(f.ctx, a.ID))
	due(time.Hour, 5, b, c)
	f.equal("by its id", must2[control.Job](f)(f.store.Job(f.ctx, c.ID)), c)
	_, err := f.store.Job(f.ctx, a.ID)
	f.is("a finished one", err, control.ErrNotFound)
	mine, yours := c, c
	mine.DueAt, mine.Launches, yours.DueAt = epoch.Add(2*time.Hour), 1, epoch.Add(3*time.Hour)
	f.must(f.store.ClaimJob(f.ctx, c.DueAt, mine))
	f.is("a second claim", f.store.ClaimJob(f.ctx, c.DueAt, yours), control.ErrConflict)
	f.equal("the claimed one", must2[control.Job](f)(f.store.Job(f.ctx, c.ID)), mine)
	f.must(f.store.ClaimJob(f.ctx, mine.DueAt, yours))
	due(time.Hour, 5, b)
	f.is("a claim on what is finished", f.store.ClaimJob(f.ctx, a.DueAt, a), control.ErrConflict)
	f.is("retry what is finished", f.store.RetryJob(f.ctx, a), control.ErrNotFound)
}
