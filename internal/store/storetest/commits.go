package storetest

import (
	"context"
	"errors"
	"sync"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// allOrNothing spoils a commit that writes one of everything in one place
// after the other.
func allOrNothing(f *fixture) {
	app := f.app()
	u, other, third := f.user(app.ID), f.user(app.ID), f.user(app.ID)
	old := f.room(u)
	for what, spoil := range map[string]func(c *control.Changes){
		"app":             func(c *control.Changes) { c.Apps[0].Version = 9 },
		"API key":         func(c *control.Changes) { c.APIKeys[0].Version = 9 },
		"member":          func(c *control.Changes) { c.Members[0].Version = 9 },
		"user id":         func(c *control.Changes) { c.Members[0].AppUserID = third.member.AppUserID },
		"key":             func(c *control.Changes) { c.Keys[0].Version = 9 },
		"room":            func(c *control.Changes) { c.Rooms[0].Version = 9 },
		"existing room":   func(c *control.Changes) { c.Rooms[0].ID = old.ID },
		"post":            func(c *control.Changes) { c.Posts[0].Version = 9 },
		"lease's epoch":   func(c *control.Changes) { c.Leases[0].IfEpoch = 9 },
		"existing lease":  func(c *control.Changes) { c.Leases[0].New = true },
		"missing lease":   func(c *control.Changes) { c.Leases[0].Lease.KeyID = "key_none" },
		"old hash":        func(c *control.Changes) { c.Strings[0].OldHash = hashOf("never was") },
		"taken hash":      func(c *control.Changes) { c.Strings[0].Hash = third.string.Hash },
		"deleted room":    func(c *control.Changes) { c.DeleteRooms[0].Version = 9 },
		"deleted member":  func(c *control.Changes) { c.DeleteMembers[0].Version = 9 },
		"known entry":     func(c *control.Changes) { c.Journal = append(c.Journal, c.Journal[0]) },
		"known job":       func(c *control.Changes) { c.Jobs = append(c.Jobs, c.Jobs[0]) },
		"missing room":    func(c *control.Changes) { c.DeleteRooms[0].ID = "room_none" },
		"missing version": func(c *control.Changes) { c.DeleteRooms[0].Version = 0 },
	} {
		c := oneOfEverything(f, app, u, other, old)
		spoil(&c)
		err := f.store.Commit(f.ctx, c)
		f.is("commit with a wrong "+what, err, control.ErrConflict)
		if errors.Is(err, control.ErrNotFound) {
			f.Errorf("commit with a wrong %s answers ErrNotFound", what)
		}
		assertUntouched(f, what, app, u, other, old)
	}
	// The ID of a refused commit is not remembered: nothing of it is there.
	c := oneOfEverything(f, app, u, other, old)
	c.Apps[0].Version = 9
	f.is("commit", f.store.Commit(f.ctx, c), control.ErrConflict)
	c.Apps[0].Version = app.Version
	f.must(f.store.Commit(f.ctx, c))
	if got := must2[control.App](f)(f.store.App(f.ctx, app.ID)); got.Name != "changed" {
		f.Error("a commit was taken for one that had been refused")
	}
}

func oneOfEverything(f *fixture, app control.App, u, gone user, old broadcast.VideoRoom) control.Changes {
	app.Name, u.member.UserName, u.lease.PlayID = "changed", "changed", "changed"
	u.key.State = broadcast.KeyActive
	return control.Changes{
		ID:            f.id("commit"),
		Apps:          []control.App{app},
		APIKeys:       []control.APIKey{{ID: "api", AppID: app.ID}},
		Members:       []control.Member{u.member},
		Keys:          []broadcast.StreamKey{u.key},
		Rooms:         []broadcast.VideoRoom{f.newRoom(u)},
		Posts:         []broadcast.VideoPost{{ID: "post", AppID: app.ID}},
		Leases:        []control.LeaseWrite{{Lease: u.lease}},
		Strings:       []control.KeyString{{KeyID: u.key.ID, String: "new", Hash: hashOf("new"), Generation: 2, OldHash: u.string.Hash}},
		Journal:       []control.JournalEntry{{ID: "jnl", Aggregate: "aggregate", Version: 1, At: epoch}},
		Notices:       []control.Notice{{ID: broadcast.EventID(f.id("evt")), Aggregate: f.id("aggregate"), Sequence: 1}},
		Jobs:          []control.Job{{ID: "job", Kind: control.JobClose, DueAt: epoch}},
		DeleteRooms:   []broadcast.VideoRoom{old},
		DeleteMembers: []control.Member{gone.member},
	}
}

func assertUntouched(f *fixture, what string, app control.App, u, other user, old broadcast.VideoRoom) {
	f.Helper()
	f.equal(what+": app", must2[control.App](f)(f.store.App(f.ctx, app.ID)), app)
	f.equal(what+": member", must2[control.Member](f)(f.store.Member(f.ctx, u.member.ID)), u.member)
	f.equal(what+": deleted member", must2[control.Member](f)(f.store.Member(f.ctx, other.member.ID)), other.member)
	f.equal(what+": deleted room", must2[broadcast.VideoRoom](f)(f.store.Room(f.ctx, old.ID)), old)
	key, lease, err := f.store.Key(f.ctx, u.key.ID)
	f.must(err)
	f.equal(what+": key", key, u.key)
	f.equal(what+": lease", lease, u.lease)
	f.equal(what+": string", must2[control.KeyRecord](f)(f.store.KeyRecord(f.ctx, u.key.ID)).String, u.string.String)
	if p := must2[control.Publisher](f)(f.leases.FindPublisher(f.ctx, u.string.Hash)); p.KeyID != u.key.ID {
		f.Errorf("%s: the hash leads to %s", what, p.KeyID)
	}
	_, err = f.store.APIKey(f.ctx, "api")
	f.is(what+": API key", err, control.ErrNotFound)
	_, err = f.store.Post(f.ctx, "post")
	f.is(what+": post", err, control.ErrNotFound)
	rooms := must2[control.List[broadcast.VideoRoom]](f)(f.store.Rooms(f.ctx, control.RoomFilter{AppID: app.ID}, control.Page{Limit: 5}))
	f.equal(what+": rooms", len(rooms.Items), 1)
	entries := must2[control.List[control.JournalEntry]](f)(f.store.Journal(f.ctx, "aggregate", control.Page{Limit: 5}))
	f.equal(what+": journal", len(entries.Items), 0)
	f.equal(what+": jobs", len(must2[[]control.Job](f)(f.store.DueJobs(f.ctx, epoch, 5))), 0)
}

func lostAnswer(f *fixture) {
	u := f.user(f.app().ID)
	r := f.newRoom(u)
	c := control.Changes{
		ID:      f.id("commit"),
		Rooms:   []broadcast.VideoRoom{r},
		Journal: []control.JournalEntry{{ID: "jnl", Aggregate: string(r.ID), Version: 1, At: epoch}},
		Jobs:    []control.Job{{ID: "job", Kind: control.JobClose, DueAt: epoch}},
	}
	f.must(f.store.Commit(f.ctx, c))
	f.must(f.store.Commit(f.ctx, c))
	r.Version = 1
	f.equal("room", must2[broadcast.VideoRoom](f)(f.store.Room(f.ctx, r.ID)), r)
	entries := must2[control.List[control.JournalEntry]](f)(f.store.Journal(f.ctx, string(r.ID), control.Page{Limit: 5}))
	f.equal("journal", len(entries.Items), 1)

	// Also when others have written since, and then nothing of it comes back.
	r.Title = "moved on"
	f.must(f.commit(control.Changes{Rooms: []broadcast.VideoRoom{r}}))
	f.must(f.store.FinishJob(f.ctx, "job"))
	f.must(f.store.Commit(f.ctx, c))
	r.Version = 2
	f.equal("room", must2[broadcast.VideoRoom](f)(f.store.Room(f.ctx, r.ID)), r)
	f.equal("jobs", len(must2[[]control.Job](f)(f.store.DueJobs(f.ctx, epoch, 5))), 0)

	c.ID = f.id("commit")
	f.is("the same under another ID", f.store.Commit(f.ctx, c), control.ErrConflict)
	c.ID = ""
	if err := f.store.Commit(f.ctx, c); err == nil || errors.Is(err, control.ErrConflict) {
		f.Errorf("a commit without an ID: %v, want an error of its own", err)
	}
}

func sameCommitAtOnce(f *fixture) {
	u := f.user(f.app().ID)
	r := f.room(u)
	c := control.Changes{ID: f.id("commit"), Rooms: []broadcast.VideoRoom{r}}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := f.store.Commit(f.ctx, c); err != nil {
				f.Errorf("own effect is taken for somebody else's: %v", err)
			}
		})
	}
	wg.Wait()
	if got := must2[broadcast.VideoRoom](f)(f.store.Room(f.ctx, r.ID)); got.Version != 2 {
		f.Errorf("the room was written %d times", got.Version-1)
	}
}

// outage: whoever has no answer gets an error that is none of the three, and
// may commit the same again.
func outage(f *fixture) {
	u := f.user(f.app().ID)
	r := f.newRoom(u)
	c := control.Changes{ID: f.id("commit"), Rooms: []broadcast.VideoRoom{r}}
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	_, readErr := f.store.App(ctx, u.member.AppID)
	_, takeErr := f.leases.TakeLease(ctx, u.key.ID, conditionOf(u.lease), broadcast.Holder{Session: "s"}, broadcast.Progress{})
	for what, err := range map[string]error{"commit": f.store.Commit(ctx, c), "read": readErr, "take": takeErr} {
		if err == nil || errors.Is(err, control.ErrConflict) || errors.Is(err, control.ErrNotFound) || errors.Is(err, control.ErrNoSpace) {
			f.Errorf("%s without an answer: %v, want an outage", what, err)
		}
	}
	f.must(f.store.Commit(f.ctx, c))
	must2[broadcast.VideoRoom](f)(f.store.Room(f.ctx, r.ID))
}
