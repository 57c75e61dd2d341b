package sim

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// checker knows the history so far and holds every write against it: the
// invariants of docs/states.md.
type checker struct {
	w        *world
	keys     map[broadcast.KeyID]*keyHistory
	rooms    map[broadcast.RoomID]*roomHistory
	posts    map[broadcast.PostID]uint64           // the sequence of the last notice
	plays    map[broadcast.PlayID]broadcast.RoomID // "" = of no room yet
	sessions map[broadcast.SessionID]*session
}

// keyHistory is a key as the journal tells it, and its lease.
type keyHistory struct {
	state    string
	sequence uint64 // of its notices
	closed   uint64 // the epoch that the last close or revocation made
	closedAt time.Duration
	epoch    uint64
	holder   broadcast.SessionID
	play     broadcast.PlayID
	taken    time.Duration // when somebody became the holder last
	media    uint64
	moved    time.Duration // when the stored media counter changed last
	renewed  time.Duration // when the stored renewal counter changed last
}

type roomHistory struct {
	key      broadcast.KeyID
	state    string
	sequence uint64
}

func newChecker(w *world) *checker {
	return &checker{
		w: w, keys: map[broadcast.KeyID]*keyHistory{}, rooms: map[broadcast.RoomID]*roomHistory{},
		posts: map[broadcast.PostID]uint64{},
		plays: map[broadcast.PlayID]broadcast.RoomID{}, sessions: map[broadcast.SessionID]*session{},
	}
}

func (k *checker) key(id broadcast.KeyID) *keyHistory {
	h := k.keys[id]
	if h == nil {
		h = &keyHistory{state: string(broadcast.KeyInactive)}
		k.keys[id] = h
	}
	return h
}

func (k *checker) room(id broadcast.RoomID) *roomHistory {
	h := k.rooms[id]
	if h == nil {
		h = &roomHistory{}
		k.rooms[id] = h
	}
	return h
}

// commit writes c and checks what it made.
func (k *checker) commit(ctx context.Context, c control.Changes) error {
	k.w.spoil(&c)
	if err := k.w.store.Commit(ctx, c); err != nil {
		return err
	}
	for _, check := range []func(control.Changes) error{
		k.trail, k.leases, k.records, k.endings, k.coupling,
	} {
		if err := check(c); err != nil {
			k.w.fail("%v", err)
			break
		}
	}
	return nil
}

// trail: every transition is a row of the table and follows the one before;
// notices are the transitions, gapless, in order; and events move nothing that
// they may not.
func (k *checker) trail(c control.Changes) error {
	var moves []control.JournalEntry
	for _, e := range c.Journal {
		if e.Kind == control.EntryRefusal && e.EventID != "" {
			return fmt.Errorf("the tables forbid an event of a real session: %s", e.Reason)
		}
		if e.Kind != control.EntryTransition || e.Machine == broadcast.PostMachine {
			continue
		}
		moves = append(moves, e)
		if err := k.move(c, e); err != nil {
			return err
		}
	}
	told, reissued := 0, 0
	for _, n := range c.Notices {
		if n.Post != nil {
			if n.Sequence != k.posts[n.Post.ID]+1 {
				return fmt.Errorf("notice %d of %s follows %d", n.Sequence, n.Post.ID, k.posts[n.Post.ID])
			}
			k.posts[n.Post.ID] = n.Sequence
			continue
		}
		if n.Type == control.NoticeReissued {
			if err := k.reissued(c, n); err != nil {
				return err
			}
			reissued++
			continue
		}
		if told == len(moves) {
			return fmt.Errorf("notice %s is of no transition", n.Type)
		}
		if err := k.notice(n, moves[told]); err != nil {
			return err
		}
		told++
	}
	if told != len(moves) {
		return fmt.Errorf("%d notices of %d transitions", told, len(moves))
	}
	again := len(c.Strings) == 1 && c.Strings[0].Generation > 1 && len(c.Keys) == 1
	if again != (reissued == 1) {
		return fmt.Errorf("%d notices of %d new strings", reissued, len(c.Strings))
	}
	return nil
}

// reissued: a new string is told in the transaction that makes it valid.
func (k *checker) reissued(c control.Changes, n control.Notice) error {
	if len(c.Strings) != 1 || n.Key == nil || c.Strings[0].KeyID != n.Key.ID {
		return fmt.Errorf("notice %s of %s is of no new string", n.Type, n.Aggregate)
	}
	h := k.key(n.Key.ID)
	if n.Sequence != h.sequence+1 {
		return fmt.Errorf("notice %d of %s follows %d", n.Sequence, n.Aggregate, h.sequence)
	}
	h.sequence = n.Sequence
	return nil
}

func (k *checker) move(c control.Changes, e control.JournalEntry) error {
	state := &k.room(broadcast.RoomID(e.Aggregate)).state
	if e.Machine == broadcast.KeyMachine {
		state = &k.key(k.keyOf(c, e.Aggregate)).state
	}
	k.w.tell("    %s %s: %s → %s (%s)", e.Aggregate, e.Machine, e.From, e.To, e.On)
	if *state != e.From {
		return fmt.Errorf("the journal of %s says %s → %s (%s), but it was %s", e.Aggregate, e.From, e.To, e.On, *state)
	}
	if !allowed(e) {
		return fmt.Errorf("%s: %s → %s by %q is not in the table", e.Aggregate, e.From, e.To, e.On)
	}
	*state = e.To
	if e.EventID == "" {
		return nil
	}
	return k.byEvent(e)
}

// byEvent: a closed lease's sessions move nothing, and what did not happen is
// not told.
func (k *checker) byEvent(e control.JournalEntry) error {
	event, ok := k.w.events[e.EventID]
	if !ok {
		return fmt.Errorf("%s moves %s and was never sent", e.EventID, e.Aggregate)
	}
	h := k.key(event.KeyID)
	if event.Epoch <= h.closed {
		return fmt.Errorf("%s of epoch %d moves %s (%s), which was closed with epoch %d", event.Phase, event.Epoch, e.Aggregate, e.On, h.closed)
	}
	s := k.sessions[event.Session]
	if broadcast.On(e.On) == broadcast.PublishStarted && s != nil && !s.published {
		return fmt.Errorf("%s is viewable, but %s never was", e.Aggregate, event.Session)
	}
	return nil
}

func (k *checker) keyOf(c control.Changes, aggregate string) broadcast.KeyID {
	if !strings.HasPrefix(aggregate, "room_") {
		return broadcast.KeyID(aggregate)
	}
	for _, r := range c.Rooms {
		if string(r.ID) == aggregate {
			return r.KeyID
		}
	}
	return k.w.store.rooms[broadcast.RoomID(aggregate)].KeyID
}

func (k *checker) notice(n control.Notice, e control.JournalEntry) error {
	var sequence *uint64
	state := ""
	switch {
	case n.Room != nil:
		sequence, state = &k.room(n.Room.ID).sequence, string(n.Room.State)
	case n.Key != nil:
		sequence, state = &k.key(n.Key.ID).sequence, string(n.Key.State)
	}
	if sequence == nil || (n.Room != nil) != (e.Machine == broadcast.RoomMachine) || state != e.To {
		return fmt.Errorf("notice %s of %s says %s where the journal says %s", n.Type, n.Aggregate, state, e.To)
	}
	if n.Sequence != *sequence+1 {
		return fmt.Errorf("notice %d of %s follows %d", n.Sequence, n.Aggregate, *sequence)
	}
	*sequence = n.Sequence
	return nil
}

// records: what is stored is what the journal tells.
func (k *checker) records(c control.Changes) error {
	for _, key := range c.Keys {
		h := k.key(key.ID)
		if string(key.State) != h.state || key.Sequence != h.sequence {
			return fmt.Errorf("%s is %s (%d), its journal says %s (%d)", key.ID, key.State, key.Sequence, h.state, h.sequence)
		}
	}
	for _, r := range c.Rooms {
		h := k.room(r.ID)
		h.key = r.KeyID
		if string(r.State) != h.state || r.Sequence != h.sequence {
			return fmt.Errorf("%s is %s (%d), its journal says %s (%d)", r.ID, r.State, r.Sequence, h.state, h.sequence)
		}
	}
	return nil
}

// endings: an end is whole, and closes the lease with it.
func (k *checker) endings(c control.Changes) error {
	for _, e := range c.Journal {
		if e.Machine != broadcast.RoomMachine || e.Kind != control.EntryTransition || e.To != string(broadcast.RoomEnded) {
			continue
		}
		r := k.w.store.rooms[broadcast.RoomID(e.Aggregate)]
		kept := r.VODState == broadcast.Archiving && len(c.Posts) == 1 && c.Posts[0].ID == r.PostID && r.PostID != ""
		discarded := r.RecordingDiscarded && r.PostID == "" && len(c.Posts) == 0 && r.VODState == broadcast.NotArchived
		switch {
		case r.EndReason == "" || r.LiveEndedAt == nil || (r.EndReason == broadcast.EndReasonForced) != r.ForciblyTerminated:
			return fmt.Errorf("%s ended without a reason: %+v", r.ID, r)
		case !kept && !discarded:
			return fmt.Errorf("%s ended, its recording is neither kept nor discarded: %+v", r.ID, r)
		case len(c.Jobs) == 0 || c.Jobs[0].Kind != control.JobClose || c.Jobs[0].PlayID != r.PlayID:
			return fmt.Errorf("%s ended without the job that closes its playlists", r.ID)
		case len(c.Leases) != 1:
			return fmt.Errorf("%s ended and its lease is open", r.ID)
		case r.ForciblyTerminated && len(c.Strings) != 1 && len(c.DeleteKeys) == 0:
			return fmt.Errorf("%s was ended with force and the stream key string stays", r.ID)
		}
	}
	return nil
}

// coupling: the rule of docs/states.md over every key and room that was
// touched, and all rooms of those keys.
func (k *checker) coupling(c control.Changes) error {
	keys := make([]broadcast.KeyID, 0, 4)
	for _, key := range c.Keys {
		keys = append(keys, key.ID)
	}
	for _, r := range c.Rooms {
		keys = append(keys, r.KeyID)
	}
	for _, r := range c.DeleteRooms {
		keys = append(keys, r.KeyID)
		if r.State.Carried() {
			return fmt.Errorf("%s is deleted while %s", r.ID, r.State)
		}
	}
	for _, key := range c.DeleteKeys {
		keys = append(keys, key.ID)
	}
	for i, id := range keys {
		if i > 0 && id == keys[i-1] {
			continue
		}
		if err := k.coupled(id); err != nil {
			return err
		}
	}
	return nil
}

func (k *checker) coupled(id broadcast.KeyID) error {
	key := k.w.store.keys[id] // of a deleted one: no state, carries nothing
	live := 0
	found := key.RoomID == ""
	for _, r := range k.w.store.rooms {
		if r.KeyID != id {
			if r.ID == key.RoomID && key.RoomID != "" {
				return fmt.Errorf("%s carries %s of %s", id, r.ID, r.KeyID)
			}
			continue
		}
		carried := key.RoomID == r.ID
		found = found || carried
		isLive := carried && key.State == broadcast.KeyActiveLive
		isInactive := carried && (key.State == broadcast.KeyInactiveLive || key.State == broadcast.KeyActiveLivePrep)
		if (r.State == broadcast.RoomLive) != isLive || (r.State == broadcast.RoomLiveInactive) != isInactive {
			return fmt.Errorf("%s is %s while %s is %s and carries %q", r.ID, r.State, id, key.State, key.RoomID)
		}
		if isLive || isInactive {
			live++
			if err := k.playing(r, key); err != nil {
				return err
			}
		}
	}
	if live > 1 || !found || key.State.Live() != (key.RoomID != "") {
		return fmt.Errorf("%s is %s, carries %q, and has %d live rooms", id, key.State, key.RoomID, live)
	}
	return nil
}

// playing: a show has a play id of its own, which stays, and the key's mode.
func (k *checker) playing(r broadcast.VideoRoom, key broadcast.StreamKey) error {
	if of := k.plays[r.PlayID]; of != "" && of != r.ID {
		return fmt.Errorf("%s and %s share play id %s", of, r.ID, r.PlayID)
	}
	k.plays[r.PlayID] = r.ID
	if play := k.w.store.leases[r.KeyID].PlayID; play != r.PlayID {
		return fmt.Errorf("%s plays %s, its lease %s", r.ID, r.PlayID, play)
	}
	if r.Mode != key.Mode || r.Mode == "" {
		return fmt.Errorf("%s has mode %q, its key %q", r.ID, r.Mode, key.Mode)
	}
	return nil
}

// rows are the tables once more, as docs/states.md prints them, so that a row
// too many in the code is found.
const rows = `
INACTIVE|ingest started|ACTIVE_PREP
ACTIVE_PREP|ingest stopped|INACTIVE
ACTIVE_PREP|publish started|ACTIVE
ACTIVE|publish stopped|INACTIVE
ACTIVE|go live|ACTIVE_LIVE
ACTIVE_LIVE|publish stopped|INACTIVE_LIVE
INACTIVE_LIVE|ingest started|ACTIVE_LIVE_PREP
ACTIVE_LIVE_PREP|ingest stopped|INACTIVE_LIVE
ACTIVE_LIVE_PREP|publish started|ACTIVE_LIVE
INACTIVE_LIVE|end broadcast|INACTIVE
ACTIVE_LIVE|time limit|INACTIVE
INACTIVE_LIVE|time limit|INACTIVE
ACTIVE_LIVE_PREP|time limit|INACTIVE
|create|SCHEDULED
SCHEDULED|go live|LIVE
SCHEDULED|cancel|CANCELLED
LIVE|key becomes INACTIVE_LIVE|LIVE_INACTIVE
LIVE_INACTIVE|key becomes ACTIVE_LIVE|LIVE
LIVE_INACTIVE|end broadcast|ENDED
LIVE|force end|ENDED
LIVE_INACTIVE|force end|ENDED
LIVE|time limit|ENDED
LIVE_INACTIVE|time limit|ENDED
ENDED|recording saved|ARCHIVED
`

func allowed(e control.JournalEntry) bool {
	if e.Machine == broadcast.KeyMachine && broadcast.On(e.On) == broadcast.OnForceEnd {
		return e.To == string(broadcast.KeyInactive)
	}
	return strings.Contains(rows, "\n"+e.From+"|"+e.On+"|"+e.To+"\n")
}
