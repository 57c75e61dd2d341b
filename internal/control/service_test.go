package control_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/cmaf"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ids"
	"github.com/roomcast/roomcast/internal/store/sqlite"
)

// clock is moved by hand. Safe for concurrent use.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// sent keeps what was sent, and fails when it is told to.
type sent struct {
	fail     error
	messages []control.QueueMessage
}

func (s *sent) Send(_ context.Context, m control.QueueMessage) error {
	if s.fail != nil {
		return s.fail
	}
	s.messages = append(s.messages, m)
	return nil
}

// world is a service on a real store, with one app and one member.
type world struct {
	testing.TB
	*control.Service
	db      *sqlite.DB
	clock   *clock
	caller  control.Caller
	key     broadcast.KeyID
	session broadcast.SessionID
	epoch   uint64
	seq     uint64
}

func newWorld(t testing.TB) *world {
	t.Helper()
	c := &clock{at: time.Date(2026, 12, 24, 20, 0, 0, 0, time.UTC)}
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "db"), sqlite.Options{Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	var log *slog.Logger // the usual one
	if _, measured := t.(*testing.B); measured {
		log = slog.New(slog.DiscardHandler)
	}
	w := &world{TB: t, db: db, clock: c, Service: control.New(control.Options{
		Store: db, IDs: ids.New(c.now), Now: c.now,
		URLs: control.URLs{HTTP: "http://h", RTMP: "rtmp://r"},
		Log:  log, CutFront: cmaf.CutFront,
		Wait: func(context.Context, time.Duration) error { return nil },
	})}
	app, _, _, err := w.CreateApp(t.Context(), control.Actor{Kind: "operator"}, "test")
	w.no(err)
	w.caller = control.Caller{AppID: app.ID, Actor: control.Actor{Kind: "api_key"}}
	m, created, err := w.PutMember(t.Context(), w.caller, control.MemberInput{AppUserID: "alice"})
	w.no(err)
	if !created {
		t.Fatal("the member was there already")
	}
	w.key = m.KeyID
	return w
}

func (w *world) no(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) code(err error, want broadcast.Code) {
	w.Helper()
	var r *broadcast.Refusal
	if !errors.As(err, &r) || r.Code != want {
		w.Fatalf("got %v, want %s", err, want)
	}
}

func (w *world) room() broadcast.RoomID {
	w.Helper()
	v, err := w.CreateRoom(w.Context(), w.caller, control.RoomInput{
		Type: broadcast.BroadcastRTMP, AppUserID: "alice", ScheduledAt: w.clock.now(), Title: "show",
	})
	w.no(err)
	return v.Room.ID
}

// take lets a worker take the key's lease.
func (w *world) take(worker broadcast.WorkerID) {
	w.Helper()
	lease, err := w.db.Lease(w.Context(), w.key)
	w.no(err)
	w.session, w.seq = broadcast.SessionID(fmt.Sprintf("ses_%d", lease.Epoch)), 0
	taken, err := w.db.TakeLease(w.Context(), w.key,
		control.LeaseCondition{Generation: lease.KeyGeneration, Epoch: lease.Epoch},
		broadcast.Holder{Session: w.session, Worker: worker}, broadcast.Progress{Mode: broadcast.ModeCMAF})
	w.no(err)
	w.epoch = taken.Epoch
}

func (w *world) event(p broadcast.Phase) broadcast.Event {
	w.seq++
	return broadcast.Event{
		ID: broadcast.EventID(fmt.Sprintf("evt_%d_%d", w.epoch, w.seq)), KeyID: w.key, Session: w.session,
		Epoch: w.epoch, Seq: w.seq, Phase: p, Mode: broadcast.ModeCMAF, At: w.clock.now(),
	}
}

// renew writes what a worker's renewal would.
func (w *world) renew(renewals uint64, last broadcast.Phase) {
	w.Helper()
	w.no(w.db.RenewLease(w.Context(), w.key, w.epoch, w.session, broadcast.Progress{
		Mode: broadcast.ModeCMAF, Renewals: renewals, Media: renewals, Phase: last, Seq: w.seq,
	}))
}

func (w *world) state(want broadcast.KeyState) broadcast.StreamKey {
	w.Helper()
	key, _, err := w.db.Key(w.Context(), w.key)
	w.no(err)
	if key.State != want {
		w.Fatalf("the key is %s, want %s", key.State, want)
	}
	return key
}

// live brings a new room on the air.
func (w *world) live() broadcast.RoomID {
	w.Helper()
	id := w.room()
	w.take("wrk_1")
	w.no(w.ApplyEvent(w.Context(), w.event(broadcast.Published)))
	_, err := w.StartRoom(w.Context(), w.caller, id)
	w.no(err)
	return id
}

func TestOneOfTwentyRoomsOfAMemberGoesLive(t *testing.T) {
	w := newWorld(t)
	var rooms []broadcast.RoomID
	for range 20 {
		rooms = append(rooms, w.room())
	}
	w.take("wrk_1")
	w.no(w.ApplyEvent(t.Context(), w.event(broadcast.Published)))
	results := make([]error, len(rooms))
	var all sync.WaitGroup
	for i, id := range rooms {
		all.Go(func() { _, results[i] = w.StartRoom(t.Context(), w.caller, id) })
	}
	all.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
			continue
		}
		var r *broadcast.Refusal
		if !errors.As(err, &r) || r.Code != broadcast.CodeKeyBusy && r.Code != broadcast.CodeBusy {
			t.Errorf("a loser got %v", err)
		}
	}
	if won != 1 {
		t.Fatalf("%d rooms went live", won)
	}
}

func TestALostFirstEventIsHealedByTheNextOne(t *testing.T) {
	w := newWorld(t)
	w.take("wrk_1")
	w.event(broadcast.Prep) // never sent
	w.no(w.ApplyEvent(t.Context(), w.event(broadcast.Published)))
	if k := w.state(broadcast.KeyActive); k.Sequence != 2 {
		t.Errorf("%d transitions, want 2", k.Sequence)
	}
}

func TestADoubledEventChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.take("wrk_1")
	e := w.event(broadcast.Published)
	w.no(w.ApplyEvent(t.Context(), e))
	before := w.state(broadcast.KeyActive)
	w.no(w.ApplyEvent(t.Context(), e))
	if after := w.state(broadcast.KeyActive); after.Version != before.Version {
		t.Errorf("version %d became %d", before.Version, after.Version)
	}
}

func TestADeadWorkersShowBecomesInactiveByTheSweeper(t *testing.T) {
	w := newWorld(t)
	id := w.live()
	out := &sent{}
	sweeper := w.NewSweeper(out)
	w.renew(1, broadcast.Published)
	w.no(sweeper.Pass(t.Context()))
	w.clock.pass(14 * time.Second)
	w.no(sweeper.Pass(t.Context()))
	if len(out.messages) != 0 {
		t.Fatal("buried alive")
	}
	w.clock.pass(2 * time.Second)
	w.no(sweeper.Pass(t.Context()))
	if len(out.messages) != 1 {
		t.Fatalf("%d messages", len(out.messages))
	}
	e, err := control.DecodeEvent(out.messages[0].Body)
	w.no(err)
	w.no(w.ApplyEvent(t.Context(), e))
	w.state(broadcast.KeyInactiveLive)
	v, err := w.Room(t.Context(), w.caller, id)
	w.no(err)
	if v.Room.State != broadcast.RoomLiveInactive || v.Playback == nil {
		t.Fatalf("the room is %+v", v)
	}
	err = w.db.RenewLease(t.Context(), w.key, w.epoch, w.session, broadcast.Progress{Renewals: 2})
	if !errors.Is(err, control.ErrConflict) {
		t.Fatalf("the dead worker woke up and renewed: %v", err)
	}
}

func TestTheSweeperIsBusyWhileThereIsALeaseOrALiveRoom(t *testing.T) {
	w := newWorld(t)
	sweeper := w.NewSweeper(&sent{})
	busy := func(want bool, when string) {
		t.Helper()
		w.no(sweeper.Pass(t.Context()))
		if sweeper.Busy() != want {
			t.Errorf("%s: busy is %t", when, !want)
		}
	}
	busy(false, "nobody streams")
	id := w.live()
	w.renew(1, broadcast.Published)
	busy(true, "live")
	w.no(w.db.ReleaseLease(t.Context(), w.key, w.epoch, w.session, broadcast.Progress{Renewals: 2, Phase: broadcast.Stopped, Seq: broadcast.LastSeq}))
	w.no(w.ApplyEvent(t.Context(), w.event(broadcast.Stopped)))
	busy(true, "interrupted")
	_, err := w.EndRoom(t.Context(), w.caller, id, true)
	w.no(err)
	busy(false, "over")
}

func TestAWorkerThatRenewsIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.live()
	out := &sent{}
	sweeper := w.NewSweeper(out)
	for n := range 20 {
		w.renew(uint64(n+1), broadcast.Published)
		w.no(sweeper.Pass(t.Context()))
		w.clock.pass(5 * time.Second)
	}
	if len(out.messages) != 0 {
		t.Fatalf("%d messages about a healthy worker", len(out.messages))
	}
}

func TestAKeyBehindItsLeaseIsToldAgainUntilItShowsIt(t *testing.T) {
	w := newWorld(t)
	w.take("wrk_1")
	w.event(broadcast.Published) // lost on its way
	out := &sent{fail: errors.New("the queue is out")}
	sweeper := w.NewSweeper(out)
	renewed := uint64(0)
	pass := func() error {
		renewed++
		w.renew(renewed, broadcast.Published)
		w.clock.pass(5 * time.Second)
		return sweeper.Pass(t.Context())
	}
	w.no(pass())
	w.no(pass())
	if err := pass(); err == nil {
		t.Fatal("a queue that is out was not reported")
	}
	out.fail = nil
	for len(out.messages) == 0 && renewed < 10 {
		w.no(pass())
	}
	if len(out.messages) != 1 {
		t.Fatalf("%d messages", len(out.messages))
	}
	e, err := control.DecodeEvent(out.messages[0].Body)
	w.no(err)
	w.no(w.ApplyEvent(t.Context(), e))
	w.state(broadcast.KeyActive)
	for range 5 {
		w.no(pass())
	}
	if len(out.messages) != 1 {
		t.Fatalf("%d messages after the key showed it", len(out.messages))
	}
}

func TestTheTimeLimitsOfAnAppEndItsShows(t *testing.T) {
	for _, c := range []struct {
		name    string
		patch   control.AppPatch
		dropped bool
		after   time.Duration
		want    broadcast.EndReason
	}{
		{"longest show", control.AppPatch{MaxLiveSeconds: some(60)}, false, 61 * time.Second, broadcast.EndReasonMaxDuration},
		{"reconnect window", control.AppPatch{ReconnectWindowSeconds: some(30)}, true, 31 * time.Second, broadcast.EndReasonReconnectTimeout},
		{"window of a show that is on", control.AppPatch{ReconnectWindowSeconds: some(30)}, false, 31 * time.Second, ""},
		{"default", control.AppPatch{}, true, 11 * time.Hour, ""},
		{"default's end", control.AppPatch{}, true, 12 * time.Hour, broadcast.EndReasonMaxDuration},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			_, err := w.UpdateApp(t.Context(), w.caller, c.patch)
			w.no(err)
			id := w.live()
			if c.dropped {
				w.no(w.ApplyEvent(t.Context(), w.event(broadcast.Stopped)))
			}
			w.clock.pass(c.after)
			w.no(w.NewSweeper(&sent{}).Pass(t.Context()))
			v, err := w.Room(t.Context(), w.caller, id)
			w.no(err)
			if v.Room.EndReason != c.want || (c.want != "") != (v.Room.State == broadcast.RoomEnded) {
				t.Fatalf("the room is %s, %q; want %q", v.Room.State, v.Room.EndReason, c.want)
			}
		})
	}
}

func some[T any](v T) control.Field[T] { return control.Field[T]{Set: true, Value: &v} }

func TestTheJournalTellsTransitionsRefusalsAndWhoDidThem(t *testing.T) {
	w := newWorld(t)
	id := w.room()
	_, err := w.StartRoom(t.Context(), w.caller, id)
	w.code(err, broadcast.CodeKeyNotActive)
	w.take("wrk_1")
	w.no(w.ApplyEvent(t.Context(), w.event(broadcast.Published)))
	_, err = w.StartRoom(t.Context(), w.caller, id)
	w.no(err)
	w.no(w.ApplyEvent(t.Context(), w.event(broadcast.Stopped)))
	_, err = w.EndRoom(t.Context(), w.caller, id, false)
	w.no(err)
	list, err := w.Journal(t.Context(), w.caller, id, control.Page{Limit: 100, Ascending: true})
	w.no(err)
	var got []string
	for _, e := range list.Items {
		got = append(got, fmt.Sprintf("%s %s %s→%s by %s", e.Machine, e.Kind, e.From, e.To, e.Actor.Kind))
	}
	want := []string{
		"video_room transition →SCHEDULED by api_key",
		"video_room refusal SCHEDULED→ by api_key",
		"stream_key transition ACTIVE→ACTIVE_LIVE by api_key",
		"video_room transition SCHEDULED→LIVE by api_key",
		"stream_key transition ACTIVE_LIVE→INACTIVE_LIVE by worker",
		"video_room transition LIVE→LIVE_INACTIVE by worker",
		"stream_key transition INACTIVE_LIVE→INACTIVE by api_key",
		"video_room transition LIVE_INACTIVE→ENDED by api_key",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got\n%q\nwant\n%q", got, want)
	}
}

func TestForceTerminateReplacesTheStringInEveryState(t *testing.T) {
	w := newWorld(t)
	before, err := w.Key(t.Context(), w.caller, w.key)
	w.no(err)
	w.live()
	after, err := w.ForceTerminateKey(t.Context(), w.caller, w.key, false)
	w.no(err)
	if after.String == before.String || after.Key.State != broadcast.KeyInactive || after.Lease.Holder != nil {
		t.Fatalf("afterwards: %+v", after)
	}
	if _, err := w.db.FindPublisher(t.Context(), control.HashSecret(before.String)); !errors.Is(err, control.ErrNotFound) {
		t.Fatalf("the old string leads to %v", err)
	}
	if _, err := w.db.FindPublisher(t.Context(), control.HashSecret(after.String)); err != nil {
		t.Fatalf("the new string: %v", err)
	}
}

func TestADeletedMemberLeavesNothingToPublishWith(t *testing.T) {
	w := newWorld(t)
	id := w.live()
	key, err := w.Key(t.Context(), w.caller, w.key)
	w.no(err)
	w.code(w.DeleteMember(t.Context(), w.caller, "alice", false), broadcast.CodeMemberIsLive)
	w.no(w.DeleteMember(t.Context(), w.caller, "alice", true))
	if _, err := w.db.FindPublisher(t.Context(), control.HashSecret(key.String)); !errors.Is(err, control.ErrNotFound) {
		t.Fatalf("the key still leads to %v", err)
	}
	_, err = w.Key(t.Context(), w.caller, w.key)
	w.code(err, broadcast.CodeKeyNotFound)
	v, err := w.Room(t.Context(), w.caller, id)
	w.no(err)
	if v.Room.State != broadcast.RoomEnded {
		t.Fatalf("the room is %s", v.Room.State)
	}
	w.no(w.ApplyEvent(t.Context(), w.event(broadcast.Stopped))) // of a key that is gone: nothing to do
	_, created, err := w.PutMember(t.Context(), w.caller, control.MemberInput{AppUserID: "alice"})
	w.no(err)
	if !created {
		t.Fatal("the appUserId is not free again")
	}
}

func TestDisconnectThenEndKeepsTheString(t *testing.T) {
	w := newWorld(t)
	id := w.live()
	before, err := w.Key(t.Context(), w.caller, w.key)
	w.no(err)
	after, err := w.DisconnectKey(t.Context(), w.caller, w.key)
	w.no(err)
	if after.Key.State != broadcast.KeyInactiveLive || after.String != before.String || after.Lease.RefusedUntil.IsZero() {
		t.Fatalf("after disconnect: %+v", after)
	}
	v, err := w.EndRoom(t.Context(), w.caller, id, false)
	w.no(err)
	if v.Room.State != broadcast.RoomEnded || v.Room.VODState != broadcast.Archiving || v.Room.PostID == "" {
		t.Fatalf("after the end: %+v", v.Room)
	}
	jobs, err := w.db.DueJobs(t.Context(), w.clock.now(), 10)
	w.no(err)
	if len(jobs) != 2 || jobs[0].Kind != control.JobClose || jobs[1].Kind != control.JobArchive || jobs[1].RoomID != id || jobs[1].PostID != v.Room.PostID {
		t.Fatalf("jobs %+v", jobs)
	}
}

func TestAForeignAppsThingsAreNotThere(t *testing.T) {
	w := newWorld(t)
	id := w.live()
	app, _, _, err := w.CreateApp(t.Context(), control.Actor{}, "other")
	w.no(err)
	other := control.Caller{AppID: app.ID}
	_, err = w.Room(t.Context(), other, id)
	w.code(err, broadcast.CodeRoomNotFound)
	_, err = w.EndRoom(t.Context(), other, id, true)
	w.code(err, broadcast.CodeRoomNotFound)
	_, err = w.ForceTerminateKey(t.Context(), other, w.key, false)
	w.code(err, broadcast.CodeKeyNotFound)
	_, err = w.Member(t.Context(), other, "alice")
	w.code(err, broadcast.CodeMemberNotFound)
	w.state(broadcast.KeyActiveLive)
}

// torn is a store whose room is read from before another step.
type torn struct {
	control.Store
	old   *broadcast.VideoRoom
	reads int
}

func (s *torn) Room(ctx context.Context, id broadcast.RoomID) (broadcast.VideoRoom, error) {
	s.reads++
	if s.reads == 1 {
		return *s.old, nil
	}
	return s.Store.Room(ctx, id)
}

func TestAReadTornByAnotherStepIsReadAgain(t *testing.T) {
	w := newWorld(t)
	id := w.live()
	before, err := w.db.Room(t.Context(), id)
	w.no(err)
	w.no(w.ApplyEvent(t.Context(), w.event(broadcast.Stopped)))
	store := &torn{Store: w.db, old: &before}
	o := w.Service.Options
	o.Store = store
	again := control.New(o)
	v, err := again.EndRoom(t.Context(), w.caller, id, false)
	w.no(err)
	if v.Room.State != broadcast.RoomEnded || store.reads < 2 {
		t.Fatalf("the room is %s after %d reads", v.Room.State, store.reads)
	}
}

// stale answers a key as it was, once.
type stale struct {
	control.Store
	old   *control.KeyRecord
	reads int
}

func (s *stale) KeyRecord(ctx context.Context, id broadcast.KeyID) (control.KeyRecord, error) {
	s.reads++
	if s.reads == 1 {
		return *s.old, nil
	}
	return s.Store.KeyRecord(ctx, id)
}

func TestARoomThatIsDeletedBetweenTwoReadsIsReadAgain(t *testing.T) {
	w := newWorld(t)
	id := w.live()
	before, err := w.db.KeyRecord(t.Context(), w.key)
	w.no(err)
	w.no(w.ApplyEvent(t.Context(), w.event(broadcast.Stopped)))
	_, err = w.EndRoom(t.Context(), w.caller, id, false)
	w.no(err)
	room, err := w.db.Room(t.Context(), id)
	w.no(err)
	w.no(w.db.Commit(t.Context(), control.Changes{ID: "tx_delete", DeleteRooms: []broadcast.VideoRoom{room}}))
	store := &stale{Store: w.db, old: &before}
	o := w.Service.Options
	o.Store = store
	if _, err := control.New(o).DisconnectKey(t.Context(), w.caller, w.key); err != nil || store.reads != 2 {
		t.Errorf("%d reads: %v", store.reads, err)
	}
}
