package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// Customers is what the way to customers needs of a store.
type Customers interface {
	control.Store
	control.Feed
	control.Webhooks
}

// RunCustomers runs the contracts of control.Feed and control.Webhooks.
func RunCustomers(t *testing.T, open func(t *testing.T) Customers) {
	for name, test := range map[string]func(*fixture, Customers){
		"a notice is placed once, in order":             placed,
		"a feed is an app's or a member's":              feeds,
		"what came before is placed before":             placedBefore,
		"of many who place, each place is given once":   placedByMany,
		"endpoints are versioned records of an app":     endpoints,
		"a cursor is claimed by one until it is over":   claims,
		"what comes meanwhile is not finished with":     finish,
		"a failing endpoint fails since the first time": failing,
		"dead letters are listed by endpoint":           deadLetters,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := open(t)
			test(&fixture{T: t, store: store, ctx: t.Context()}, store)
		})
	}
}

// notice stores the next notice of an aggregate.
func (f *fixture) notice(app broadcast.AppID, member broadcast.MemberID, aggregate string, sequence uint64) control.Notice {
	f.Helper()
	n := control.Notice{
		ID: broadcast.EventID(f.id("evt")), AppID: app, MemberID: member, Aggregate: aggregate, Sequence: sequence, Type: "x",
		At:   epoch.Add(time.Duration(sequence) * time.Hour), // #nosec G115 -- small
		Room: &broadcast.VideoRoom{ID: broadcast.RoomID(aggregate)},
	}
	f.must(f.commit(control.Changes{Notices: []control.Notice{n}}))
	return n
}

func (f *fixture) place(c Customers) []control.Notice {
	f.Helper()
	list := must2[[]control.Notice](f)(c.Unplaced(f.ctx, 100))
	f.must(c.Place(f.ctx, list))
	f.must(c.Place(f.ctx, list)) // again: nothing happens
	return list
}

func placed(f *fixture, c Customers) {
	_, err := c.NoticeAt(f.ctx, "room_1", 1)
	f.is("a notice that is not there", err, control.ErrNotFound)
	first := f.notice("app_1", "mem_1", "room_1", 1)
	f.equal("at its sequence", must2[control.Notice](f)(c.NoticeAt(f.ctx, "room_1", 1)), first)
	f.equal("by its id", must2[control.Notice](f)(c.Notice(f.ctx, first.ID)), first)
	f.equal("the feed before", len(must2[[]control.FeedEvent](f)(c.Feed(f.ctx, control.FeedFilter{AppID: "app_1"}, 0, 10))), 0)
	second, third := f.notice("app_1", "mem_1", "room_1", 2), f.notice("app_1", "mem_1", "room_1", 3)
	f.equal("unplaced", f.place(c), []control.Notice{first, second, third})
	f.equal("unplaced after", len(must2[[]control.Notice](f)(c.Unplaced(f.ctx, 10))), 0)
	fourth := f.notice("app_1", "mem_1", "room_1", 4)
	f.place(c)
	var got []control.Notice
	var last uint64
	for _, e := range must2[[]control.FeedEvent](f)(c.Feed(f.ctx, control.FeedFilter{AppID: "app_1"}, 0, 10)) {
		if e.Position <= last {
			f.Errorf("position %d after %d", e.Position, last)
		}
		last = e.Position
		got = append(got, e.Notice)
	}
	f.equal("the feed", got, []control.Notice{first, second, third, fourth})
	f.equal("its end", must2[uint64](f)(c.FeedEnd(f.ctx, "app_1")), last)
	f.equal("behind it", len(must2[[]control.FeedEvent](f)(c.Feed(f.ctx, control.FeedFilter{AppID: "app_1"}, last, 10))), 0)
}

func placedBefore(f *fixture, c Customers) {
	first, second := f.notice("app_1", "mem_1", "room_1", 1), f.notice("app_1", "mem_1", "room_1", 2)
	f.notice("app_1", "mem_1", "room_1", 3)
	other := f.notice("app_1", "mem_2", "room_2", 1)
	refs := []control.NoticeRef{{Aggregate: "room_1", Sequence: 2}, {Aggregate: "room_2", Sequence: 1}, {Aggregate: "room_1", Sequence: 1}, {Aggregate: "none", Sequence: 5}}
	list := must2[[]control.Notice](f)(c.UnplacedOf(f.ctx, refs))
	f.equal("of those", list, []control.Notice{first, second, other})
	f.must(c.Place(f.ctx, list[:1]))
	f.equal("the rest", must2[[]control.Notice](f)(c.UnplacedOf(f.ctx, refs)), []control.Notice{second, other})
}

// placedByMany has several processes see the same notices; each aggregate's
// come in order.
func placedByMany(f *fixture, c Customers) {
	for seq := range uint64(6) {
		for _, room := range []string{"room_1", "room_2", "room_3", "room_4", "room_5"} {
			f.notice("app_1", "mem_1", room, seq+1)
		}
	}
	list := must2[[]control.Notice](f)(c.Unplaced(f.ctx, 100))
	f.equal("unplaced", len(list), 30)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := c.Place(f.ctx, list); err != nil {
				f.Error(err)
			}
		})
	}
	all.Wait()
	last, seen := map[string]uint64{}, map[uint64]bool{}
	for _, e := range must2[[]control.FeedEvent](f)(c.Feed(f.ctx, control.FeedFilter{AppID: "app_1"}, 0, 100)) {
		if e.Sequence != last[e.Aggregate]+1 || seen[e.Position] {
			f.Errorf("place %d: event %d of %s after %d", e.Position, e.Sequence, e.Aggregate, last[e.Aggregate])
		}
		last[e.Aggregate], seen[e.Position] = e.Sequence, true
	}
	f.equal("places", len(seen), 30)
	f.equal("unplaced after", len(must2[[]control.Notice](f)(c.Unplaced(f.ctx, 100))), 0)
	own := must2[[]control.FeedEvent](f)(c.Feed(f.ctx, control.FeedFilter{AppID: "app_1", MemberID: "mem_1"}, 10, 7))
	f.equal("a page of the member's", []uint64{own[0].Position, own[6].Position}, []uint64{11, 17})
}

func feeds(f *fixture, c Customers) {
	mine, theirs := f.notice("app_1", "mem_1", "room_1", 1), f.notice("app_1", "mem_2", "room_2", 1)
	other := f.notice("app_2", "mem_3", "room_3", 1)
	f.place(c)
	for _, t := range []struct {
		filter control.FeedFilter
		want   []broadcast.EventID
	}{
		{control.FeedFilter{AppID: "app_1"}, []broadcast.EventID{mine.ID, theirs.ID}},
		{control.FeedFilter{AppID: "app_1", MemberID: "mem_2"}, []broadcast.EventID{theirs.ID}},
		{control.FeedFilter{AppID: "app_2"}, []broadcast.EventID{other.ID}},
		{control.FeedFilter{AppID: "app_2", MemberID: "mem_1"}, nil},
	} {
		var got []broadcast.EventID
		for _, e := range must2[[]control.FeedEvent](f)(c.Feed(f.ctx, t.filter, 0, 10)) {
			got = append(got, e.ID)
		}
		f.equal("the feed", got, t.want)
	}
}

func feedPurged(f *fixture, c Customers) {
	for i := range uint64(3) {
		f.notice("app_1", "mem_1", "room_1", i+1)
	}
	f.place(c)
	late := f.notice("app_1", "mem_1", "room_1", 4)
	f.equal("removed", must2[int](f)(c.PurgeFeed(f.ctx, epoch.Add(10*time.Hour), 2)), 2)
	f.equal("removed", must2[int](f)(c.PurgeFeed(f.ctx, epoch.Add(10*time.Hour), 10)), 1)
	f.place(c)
	list := must2[[]control.FeedEvent](f)(c.Feed(f.ctx, control.FeedFilter{AppID: "app_1"}, 3, 10))
	if len(list) != 1 || list[0].ID != late.ID {
		f.Errorf("the feed behind what was removed: %+v", list)
	}
}

func (f *fixture) endpoint(app broadcast.AppID) control.Endpoint {
	f.Helper()
	e := filled[control.Endpoint](1)
	e.ID, e.AppID, e.Version = f.id("whe"), app, 0
	f.must(f.commit(control.Changes{Endpoints: []control.Endpoint{e}}))
	e.Version = 1
	return e
}

func endpoints(f *fixture, c Customers) {
	app, other := f.app().ID, f.app().ID
	e := f.endpoint(app)
	f.endpoint(other)
	f.equal("the endpoint", must2[control.Endpoint](f)(c.Endpoint(f.ctx, e.ID)), e)
	f.equal("the app's", must2[control.List[control.Endpoint]](f)(c.Endpoints(f.ctx, app, control.Page{Limit: 5})).Items, []control.Endpoint{e})
	f.must(f.commit(control.Changes{Endpoints: []control.Endpoint{e}}))
	f.is("a stale write", f.commit(control.Changes{Endpoints: []control.Endpoint{e}}), control.ErrConflict)
	f.is("a stale delete", f.commit(control.Changes{DeleteEndpoints: []control.Endpoint{e}}), control.ErrConflict)
	e.Version = 2
	f.must(f.commit(control.Changes{DeleteEndpoints: []control.Endpoint{e}}))
	_, err := c.Endpoint(f.ctx, e.ID)
	f.is("a deleted endpoint", err, control.ErrNotFound)
}

func cursorOf(endpoint string, next, last uint64) control.Cursor {
	return control.Cursor{EndpointID: endpoint, Group: "room_1", Aggregate: "room_1", Next: next, Last: last, DueAt: epoch.Truncate(time.Microsecond)}
}

func claims(f *fixture, c Customers) {
	now := epoch.Add(time.Second)
	f.must(c.Wake(f.ctx, []control.Cursor{cursorOf("whe_1", 1, 1), cursorOf("whe_2", 1, 1)}))
	f.equal("due endpoints", len(must2[[]string](f)(c.DueEndpoints(f.ctx, now))), 2)
	f.equal("due before", len(must2[[]control.Cursor](f)(c.DueCursors(f.ctx, "whe_1", epoch.Add(-time.Second), 5))), 0)
	due := must2[[]control.Cursor](f)(c.DueCursors(f.ctx, "whe_1", now, 5))
	f.equal("due", due, []control.Cursor{cursorOf("whe_1", 1, 1)})
	mine := must2[control.Cursor](f)(c.ClaimCursor(f.ctx, due[0], "me", now, now.Add(time.Minute)))
	_, err := c.ClaimCursor(f.ctx, due[0], "you", now, now.Add(time.Minute))
	f.is("a claim on a claimed one", err, control.ErrConflict)
	f.equal("due while claimed", len(must2[[]control.Cursor](f)(c.DueCursors(f.ctx, "whe_1", now, 5))), 0)

	late := now.Add(time.Minute)
	yours := must2[control.Cursor](f)(c.ClaimCursor(f.ctx, due[0], "you", late, late.Add(time.Minute)))
	f.is("a save without the claim", c.SaveCursor(f.ctx, mine, true), control.ErrConflict)
	f.is("a finish without the claim", c.FinishCursor(f.ctx, mine), control.ErrConflict)
	yours.Attempts, yours.DueAt = 3, late.Truncate(time.Microsecond)
	f.must(c.SaveCursor(f.ctx, yours, true))
	got := must2[[]control.Cursor](f)(c.DueCursors(f.ctx, "whe_1", late, 5))
	yours.Claim = ""
	f.equal("what was saved", got, []control.Cursor{yours})
	f.must(c.DropCursors(f.ctx, "whe_1"))
	_, err = c.ClaimCursor(f.ctx, yours, "me", late, late)
	f.is("a claim on a dropped one", err, control.ErrConflict)
	f.equal("the other's", len(must2[[]control.Cursor](f)(c.DueCursors(f.ctx, "whe_2", late, 5))), 1)
}

func finish(f *fixture, c Customers) {
	now := epoch.Add(time.Second)
	f.must(c.Wake(f.ctx, []control.Cursor{cursorOf("whe_1", 1, 1)}))
	mine := must2[control.Cursor](f)(c.ClaimCursor(f.ctx, cursorOf("whe_1", 1, 1), "me", now, now.Add(time.Minute)))
	f.must(c.Wake(f.ctx, []control.Cursor{cursorOf("whe_1", 2, 2)}))
	f.must(c.Wake(f.ctx, []control.Cursor{cursorOf("whe_1", 1, 1)})) // late
	mine.Next = 2
	f.is("a finish while there is more", c.FinishCursor(f.ctx, mine), control.ErrConflict)
	mine.DueAt = now
	f.must(c.SaveCursor(f.ctx, mine, true))
	again := must2[control.Cursor](f)(c.ClaimCursor(f.ctx, mine, "me", now, now.Add(time.Minute)))
	f.equal("next and last", []uint64{again.Next, again.Last}, []uint64{2, 2})
	again.Next = 3
	f.must(c.FinishCursor(f.ctx, again))
	f.equal("due", len(must2[[]control.Cursor](f)(c.DueCursors(f.ctx, "whe_1", now.Add(time.Hour), 5))), 0)
}

func failing(f *fixture, c Customers) {
	e := f.endpoint(f.app().ID)
	first := epoch.Truncate(time.Microsecond)
	f.equal("since", must2[time.Time](f)(c.Failing(f.ctx, e.ID, first)), first)
	f.equal("since", must2[time.Time](f)(c.Failing(f.ctx, e.ID, first.Add(time.Hour))), first)
	f.must(c.Recovered(f.ctx, e.ID))
	f.equal("since", must2[time.Time](f)(c.Failing(f.ctx, e.ID, first.Add(time.Hour))), first.Add(time.Hour))
	if got := must2[control.Endpoint](f)(c.Endpoint(f.ctx, e.ID)); got.Version != e.Version {
		f.Error("failing changed the endpoint's version")
	}
}

func deadLetters(f *fixture, c Customers) {
	l := filled[control.DeadLetter](1)
	l.EndpointID = "whe_1"
	f.must(c.AddDeadLetter(f.ctx, l))
	f.equal("its own", must2[control.List[control.DeadLetter]](f)(c.WebhookDeadLetters(f.ctx, "whe_1", control.Page{Limit: 5})).Items, []control.DeadLetter{l})
	f.equal("another's", len(must2[control.List[control.DeadLetter]](f)(c.WebhookDeadLetters(f.ctx, "whe_2", control.Page{Limit: 5})).Items), 0)
}
