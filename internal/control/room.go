package control

import (
	"context"
	"errors"
	"sync"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// CreateRoom makes a SCHEDULED room of a member of the caller's app.
func (s *Service) CreateRoom(ctx context.Context, c Caller, in RoomInput) (RoomView, error) {
	if err := in.check(c.MemberID == ""); err != nil {
		return RoomView{}, err
	}
	owner, err := s.roomOwner(ctx, c, in.AppUserID)
	if err != nil {
		return RoomView{}, err
	}
	now := s.Now()
	room := broadcast.VideoRoom{
		ID: broadcast.RoomID(s.IDs.New("room")), AppID: c.AppID, MemberID: owner.ID, AppUserID: owner.AppUserID,
		KeyID: owner.KeyID, Type: in.Type, State: broadcast.RoomScheduled, VODState: broadcast.NotArchived,
		Title: in.Title, Description: in.Description, CustomType: in.CustomType, CustomData: in.CustomData,
		ScheduledAt: in.ScheduledAt, CreatedAt: now, ModifiedAt: now, Sequence: 1,
	}
	out := broadcast.Outcome{State: broadcast.State{Room: &room}, Transitions: []broadcast.Transition{{
		Machine: broadcast.RoomMachine, On: broadcast.OnCreate, To: string(room.State), Sequence: 1,
	}}}
	err = s.Store.Commit(ctx, Changes{
		ID: s.IDs.New("tx"), Rooms: []broadcast.VideoRoom{room},
		Journal: s.entries(c.Actor, out.State, out, nil, now), Notices: s.notices(out, now),
	})
	if err != nil {
		return RoomView{}, err
	}
	room.Version = 1
	return s.roomView(room), nil
}

func (s *Service) roomOwner(ctx context.Context, c Caller, appUserID string) (Member, error) {
	if c.MemberID != "" {
		return s.Self(ctx, c)
	}
	return s.Member(ctx, c, appUserID)
}

// roomView joins the play URLs, which a room has only while it is live.
func (s *Service) roomView(r broadcast.VideoRoom) RoomView {
	v := RoomView{Room: r}
	if r.State.Carried() {
		v.Playback = s.playback(r.PlayID, r.Mode)
	}
	return v
}

func (s *Service) ownRoom(ctx context.Context, c Caller, id broadcast.RoomID) (broadcast.VideoRoom, error) {
	r, err := s.Store.Room(ctx, id)
	if err == nil && (r.AppID != c.AppID || c.MemberID != "" && r.MemberID != c.MemberID) {
		err = ErrNotFound
	}
	return r, notFound(err, broadcast.CodeRoomNotFound, "video room")
}

// Room answers one room.
func (s *Service) Room(ctx context.Context, c Caller, id broadcast.RoomID) (RoomView, error) {
	r, err := s.ownRoom(ctx, c, id)
	return s.roomView(r), err
}

// WatchRoom answers a room to anybody: access levels other than PUBLIC do not
// exist yet.
func (s *Service) WatchRoom(ctx context.Context, id broadcast.RoomID) (RoomView, error) {
	r, err := s.Store.Room(ctx, id)
	return s.roomView(r), notFound(err, broadcast.CodeRoomNotFound, "video room")
}

// Rooms lists the caller's rooms; state and appUserID "" = all. A member sees
// only its own.
func (s *Service) Rooms(ctx context.Context, c Caller, state broadcast.RoomState, appUserID string, p Page) (List[RoomView], error) {
	f := RoomFilter{AppID: c.AppID, MemberID: c.MemberID, State: state}
	if appUserID != "" && c.MemberID == "" {
		m, err := s.Member(ctx, c, appUserID)
		if err != nil {
			return List[RoomView]{}, err
		}
		f.MemberID = m.ID
	}
	return s.rooms(ctx, f, p)
}

// AllRooms lists the rooms of every app, for operators.
func (s *Service) AllRooms(ctx context.Context, state broadcast.RoomState, p Page) (List[RoomView], error) {
	return s.rooms(ctx, RoomFilter{State: state}, p)
}

func (s *Service) rooms(ctx context.Context, f RoomFilter, p Page) (List[RoomView], error) {
	rooms, err := s.Store.Rooms(ctx, f, p)
	list := List[RoomView]{Next: rooms.Next}
	for _, r := range rooms.Items {
		list.Items = append(list.Items, s.roomView(r))
	}
	return list, err
}

// UpdateRoom changes what a room shows, in any state.
func (s *Service) UpdateRoom(ctx context.Context, c Caller, id broadcast.RoomID, p RoomPatch) (RoomView, error) {
	var r broadcast.VideoRoom
	err := s.retry(ctx, func() error {
		var err error
		if r, err = s.ownRoom(ctx, c, id); err != nil {
			return err
		}
		if err := checkVersion(p.IfVersion, r.Version); err != nil {
			return err
		}
		if err := p.check(r.CustomData); err != nil {
			return err
		}
		p.apply(&r)
		r.ModifiedAt = s.Now()
		err = s.Store.Commit(ctx, Changes{ID: s.IDs.New("tx"), Rooms: []broadcast.VideoRoom{r}})
		return lostUpdate(err, p.IfVersion)
	})
	if err != nil {
		return RoomView{}, err
	}
	r.Version++
	return s.roomView(r), nil
}

// DeleteRoom removes a room that is not live.
func (s *Service) DeleteRoom(ctx context.Context, c Caller, id broadcast.RoomID) error {
	return s.retry(ctx, func() error {
		r, err := s.ownRoom(ctx, c, id)
		if err != nil {
			return err
		}
		if r.State.Carried() {
			return &broadcast.Refusal{
				Code: broadcast.CodeRoomIsLive, State: string(r.State), Allowed: []string{"forceEnd"},
				Message: "a live room cannot be deleted; end it first",
			}
		}
		return s.Store.Commit(ctx, Changes{ID: s.IDs.New("tx"), DeleteRooms: []broadcast.VideoRoom{r}})
	})
}

// StartRoom goes live: the owner's key must be ACTIVE and carry no other room.
func (s *Service) StartRoom(ctx context.Context, c Caller, id broadcast.RoomID) (RoomView, error) {
	return s.stepRoom(ctx, c, id, broadcast.GoLive{}, "")
}

// CancelRoom calls a SCHEDULED room off.
func (s *Service) CancelRoom(ctx context.Context, c Caller, id broadcast.RoomID) (RoomView, error) {
	return s.stepRoom(ctx, c, id, broadcast.Cancel{}, "")
}

// EndRoom ends a show: without force only where the publisher is gone; with
// force at any time, with a new stream key string. Force on a room that has
// ended answers it unchanged.
func (s *Service) EndRoom(ctx context.Context, c Caller, id broadcast.RoomID, force bool) (RoomView, error) {
	if !force {
		return s.stepRoom(ctx, c, id, broadcast.End{PlayID: s.newPlayID(), PostID: s.newPostID()}, "")
	}
	text := s.IDs.Secret(streamKeyBytes)
	return s.stepRoom(ctx, c, id, s.forceEnd(text, false), text)
}

// stepRoom runs a step on a room and its owner's key; text is the key's new
// string where the input gives it one.
func (s *Service) stepRoom(ctx context.Context, c Caller, id broadcast.RoomID, in broadcast.Input, text string) (RoomView, error) {
	var old broadcast.Hash
	out, err := s.run(ctx, step{
		actor: c.Actor, in: in,
		load: func(ctx context.Context) (broadcast.State, error) {
			st, err := s.roomState(ctx, c, id)
			old = st.Key.Hash
			return st, err
		},
		also: func(ch *Changes, out broadcast.Outcome) { s.newString(text)(ch, out, old) },
	})
	if err != nil {
		return RoomView{}, err
	}
	return s.roomView(*out.Room), nil
}

// roomState reads a room and its owner's key. A deleted owner's room has a key
// that nobody can publish with.
func (s *Service) roomState(ctx context.Context, c Caller, id broadcast.RoomID) (broadcast.State, error) {
	var r broadcast.VideoRoom
	var key broadcast.StreamKey
	var lease broadcast.Lease
	var noRoom, noKey error
	readRoom := func() { r, noRoom = s.ownRoom(ctx, c, id) }
	readKey := func(of broadcast.KeyID) { key, lease, noKey = s.Store.Key(ctx, of) }
	if c.KeyID != "" { // a member's rooms are its own key's
		var both sync.WaitGroup
		both.Go(readRoom)
		readKey(c.KeyID)
		both.Wait()
	} else if readRoom(); noRoom == nil {
		readKey(r.KeyID)
	}
	if noRoom != nil {
		return broadcast.State{}, noRoom
	}
	if errors.Is(noKey, ErrNotFound) {
		key, noKey = broadcast.StreamKey{ID: r.KeyID, AppID: r.AppID, State: broadcast.KeyInactive}, nil
	}
	return broadcast.State{Key: key, Lease: lease, Room: &r}, noKey
}

// Journal answers why a room is in its state: every transition, refusal and
// event, oldest first.
func (s *Service) Journal(ctx context.Context, c Caller, id broadcast.RoomID, p Page) (List[JournalEntry], error) {
	if _, err := s.ownRoom(ctx, c, id); err != nil {
		return List[JournalEntry]{}, err
	}
	return s.Store.Journal(ctx, string(id), p)
}

// AnyJournal is Journal for operators.
func (s *Service) AnyJournal(ctx context.Context, id broadcast.RoomID, p Page) (List[JournalEntry], error) {
	if _, err := s.WatchRoom(ctx, id); err != nil {
		return List[JournalEntry]{}, err
	}
	return s.Store.Journal(ctx, string(id), p)
}

// ShowRoom joins to a room what its readers see.
func (s *Service) ShowRoom(r broadcast.VideoRoom) RoomView { return s.roomView(r) }
