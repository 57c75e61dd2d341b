// Package storetest is the contract of control.Store and control.Leases as
// tests: every implementation passes them unchanged.
//
// What they add to the words of the interfaces:
//   - A Changes.ID is recognised for at least ten minutes, also when the
//     records have moved on since; that of a refused Changes is not remembered.
//     An ID has at most 36 characters; none is an error.
//   - Commit answers ErrConflict, never ErrNotFound, for a record that is gone.
//   - A KeyString's OldHash must be the hash that leads to the key now.
//   - Deleting a member deletes its key, the key's string and its hash; the
//     lease stays.
//   - TakeLease is refused (ErrConflict) before RefusedUntil; taking again on
//     the same condition with the same session answers the lease again.
//     ReleaseLease again is a success.
//   - A lease that is not there is ErrNotFound for every method of Leases.
//   - Lists are ordered by id, the journal by (version, id), LiveRooms by
//     (LiveStartedAt, id) whatever the page says. A cursor that is none of the
//     list's is a *broadcast.Refusal with CodeInvalidCursor.
//   - Deleting a profile that something names is ErrConflict, whatever the
//     version; naming one that is gone as well.
//   - FinishJob of a job that is gone is a success, RetryJob is ErrNotFound.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// Open answers an empty store and the workers' view of it. What it opens it
// closes with t.Cleanup. The store's clock is the machine's.
type Open func(t *testing.T) (control.Store, control.Leases)

// Run runs every test of the contract.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*fixture){
		"every field survives":                             everyField,
		"a write needs the version that was read":          versions,
		"a refused commit writes nothing":                  allOrNothing,
		"a commit whose answer was lost is a success":      lostAnswer,
		"the same commit from many sides happens once":     sameCommitAtOnce,
		"an outage is no conflict":                         outage,
		"missing records are not found":                    missing,
		"user ids are unique in an app":                    uniqueUser,
		"a new key string takes the old one's place":       replaceString,
		"a deleted member takes its key along":             deleteMember,
		"a deleted room is gone":                           deleteRoom,
		"posts are listed and deleted":                     posts,
		"profiles have revisions that stay":                profiles,
		"API keys are listed, apps and keys deleted":       apiKeys,
		"a publisher is found by the hash":                 findPublisher,
		"a lease is taken once":                            takeLease,
		"a silent holder is taken over":                    takeOver,
		"a lease is refused for a time":                    refusedUntil,
		"only the holder renews and releases":              renewRelease,
		"many take, one holds":                             takeRace,
		"lease writes look at the epoch, not at renewals":  leaseWrites,
		"a lease that was renewed is not buried":           buriedLease,
		"a key is deleted at the version that was read":    deleteKey,
		"held leases are listed until the key shows it":    heldLeases,
		"held leases come in pages":                        heldPages,
		"pages neither skip nor repeat":                    pages,
		"the last page says so":                            lastPage,
		"filters narrow":                                   filters,
		"foreign cursors are refused":                      cursors,
		"the journal is in order":                          journal,
		"live rooms, oldest first":                         liveRooms,
		"jobs are due in order":                            jobs,
		"key and lease are read together":                  readTogether,
		"what was answered is seen":                        readYourWrites,
		"twenty rooms of one member start, exactly one on": twentyStarts,
		"it does what a plain model does":                  model,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, leases := open(t)
			test(&fixture{T: t, store: store, leases: leases, ctx: t.Context()})
		})
	}
}

// epoch is when the tests' records begin. It has nanoseconds: none gets lost.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

type fixture struct {
	*testing.T
	store  control.Store
	leases control.Leases
	ctx    context.Context // the test's own
	n      atomic.Int64
}

// id is a new id that sorts after the ones before it.
func (f *fixture) id(prefix string) string { return fmt.Sprintf("%s_%06d", prefix, f.n.Add(1)) }

// commit commits c under a new ID.
func (f *fixture) commit(c control.Changes) error {
	c.ID = f.id("commit")
	return f.store.Commit(f.ctx, c)
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) is(what string, err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Errorf("%s: %v, want %v", what, err, want)
	}
}

func (f *fixture) equal(what string, got, want any) {
	f.Helper()
	if d := cmp.Diff(want, got); d != "" {
		f.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// must2 unwraps an answer that must be there.
func must2[T any](f *fixture) func(T, error) T {
	return func(v T, err error) T {
		f.Helper()
		f.must(err)
		return v
	}
}

// app stores a new app.
func (f *fixture) app() control.App {
	f.Helper()
	a := control.App{
		ID: broadcast.AppID(f.id("app")), Name: "an app", DefaultOutputMode: broadcast.ModeCMAF,
		DefaultTranscodingProfileID: "prof_1", CreatedAt: epoch, ModifiedAt: epoch,
	}
	f.must(f.commit(control.Changes{Apps: []control.App{a}}))
	a.Version = 1
	return a
}

// user is a member with its key, lease and string.
type user struct {
	member control.Member
	key    broadcast.StreamKey
	lease  broadcast.Lease
	string control.KeyString
}

func hashOf(s string) (h broadcast.Hash) {
	copy(h[:], s)
	return h
}

// newUser answers what makes a member, not stored yet.
func (f *fixture) newUser(app broadcast.AppID) user {
	member, key := broadcast.MemberID(f.id("mem")), broadcast.KeyID(f.id("key"))
	secret := "secret of " + string(key)
	return user{
		member: control.Member{
			ID: member, AppID: app, KeyID: key, AppUserID: "user of " + string(key), CreatedAt: epoch, ModifiedAt: epoch,
		},
		key: broadcast.StreamKey{
			ID: key, AppID: app, MemberID: member, State: broadcast.KeyInactive,
			Hash: hashOf(secret), Generation: 1, CreatedAt: epoch, ModifiedAt: epoch,
		},
		lease:  broadcast.Lease{KeyID: key, KeyGeneration: 1, PlayID: broadcast.PlayID("play of " + key)},
		string: control.KeyString{KeyID: key, String: secret, Hash: hashOf(secret), Generation: 1},
	}
}

func (u user) changes() control.Changes {
	return control.Changes{
		Members: []control.Member{u.member},
		Keys:    []broadcast.StreamKey{u.key},
		Leases:  []control.LeaseWrite{{Lease: u.lease, New: true}},
		Strings: []control.KeyString{u.string},
	}
}

// user stores a new member of app.
func (f *fixture) user(app broadcast.AppID) user {
	f.Helper()
	u := f.newUser(app)
	f.must(f.commit(u.changes()))
	u.member.Version, u.key.Version = 1, 1
	return u
}

// newRoom answers a room of u, not stored yet.
func (f *fixture) newRoom(u user) broadcast.VideoRoom {
	return broadcast.VideoRoom{
		ID: broadcast.RoomID(f.id("room")), AppID: u.member.AppID, MemberID: u.member.ID, KeyID: u.key.ID,
		State: broadcast.RoomScheduled, VODState: broadcast.NotArchived, Title: "a show",
		ScheduledAt: epoch, CreatedAt: epoch, ModifiedAt: epoch, Sequence: 1,
	}
}

// room stores a new room of u.
func (f *fixture) room(u user) broadcast.VideoRoom {
	f.Helper()
	r := f.newRoom(u)
	f.must(f.commit(control.Changes{Rooms: []broadcast.VideoRoom{r}}))
	r.Version = 1
	return r
}

// take makes a session of that name the holder of u's lease.
func (f *fixture) take(u user, session broadcast.SessionID) broadcast.Lease {
	f.Helper()
	l := must2[broadcast.Lease](f)(f.leases.Lease(f.ctx, u.key.ID))
	return must2[broadcast.Lease](f)(f.leases.TakeLease(f.ctx, u.key.ID, conditionOf(l),
		broadcast.Holder{Session: session, Worker: "worker", Remote: "192.0.2.1:1"}, broadcast.Progress{Mode: broadcast.ModeCMAF}))
}

// conditionOf is what somebody who read l and found no holder expects.
func conditionOf(l broadcast.Lease) control.LeaseCondition {
	return control.LeaseCondition{Generation: l.KeyGeneration, Epoch: l.Epoch}
}
