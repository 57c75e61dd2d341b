package control

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// aggregate is whose journal a step belongs to: the room's where there is one.
// version is the one that the step makes, or that a refusal saw.
func aggregate(s broadcast.State) (id string, version uint64) {
	if s.Room != nil {
		return string(s.Room.ID), s.Room.Version
	}
	return string(s.Key.ID), s.Key.Version
}

// entries are the journal lines of a step that is about to be committed.
func (s *Service) entries(who Actor, before broadcast.State, out broadcast.Outcome, in broadcast.Input, now time.Time) []JournalEntry {
	id, version := aggregate(before)
	base := JournalEntry{Aggregate: id, Version: version + 1, At: now, Actor: who}
	if e, ok := in.(broadcast.Event); ok {
		base.EventID, base.Reason = e.ID, e.StopReason
		if e.Error != nil {
			base.Reason = e.Error.Code
		}
	}
	var list []JournalEntry
	for _, t := range out.Transitions {
		e := base
		e.ID, e.Kind, e.Machine = s.IDs.New("jnl"), EntryTransition, t.Machine
		e.From, e.On, e.To = t.From, string(t.On), t.To
		list = append(list, e)
	}
	if out.Forbidden != nil {
		e := base
		e.ID, e.Kind, e.Machine = s.IDs.New("jnl"), EntryRefusal, broadcast.KeyMachine
		e.From, e.Reason = out.Forbidden.State, string(out.Forbidden.Code)+": "+out.Forbidden.Message
		list = append(list, e)
	} else if len(list) == 0 && out.KeyChanged {
		e := base
		e.ID, e.Kind, e.Machine = s.IDs.New("jnl"), EntryEvent, broadcast.KeyMachine
		e.From, e.On, e.To = string(before.Key.State), inputName(in), string(out.Key.State)
		list = append(list, e)
	}
	return list
}

// journalRefusal keeps a refused call for the answer to "why did it not go
// live". Best effort: the caller gets the refusal in any case.
func (s *Service) journalRefusal(ctx context.Context, who Actor, before broadcast.State, in broadcast.Input, now time.Time, err error) {
	var r *broadcast.Refusal
	if !errors.As(err, &r) {
		return
	}
	id, version := aggregate(before)
	e := JournalEntry{
		ID: s.IDs.New("jnl"), Aggregate: id, Version: version, At: now, Kind: EntryRefusal,
		Machine: broadcast.KeyMachine, From: string(before.Key.State), On: inputName(in), Actor: who,
		Reason: string(r.Code) + ": " + r.Message,
	}
	if before.Room != nil {
		e.Machine, e.From = broadcast.RoomMachine, string(before.Room.State)
	}
	err = s.Store.Commit(ctx, Changes{ID: s.IDs.New("tx"), Journal: []JournalEntry{e}})
	var repeated *firstOne
	if err != nil && !errors.As(err, &repeated) {
		s.Log.WarnContext(ctx, "refusal not journalled", "aggregate", id, "err", err)
	}
}

// inputName is the input in the words of the tables.
func inputName(in broadcast.Input) string {
	switch in := in.(type) {
	case broadcast.GoLive:
		return string(broadcast.OnGoLive)
	case broadcast.End:
		return string(broadcast.OnEnd)
	case broadcast.ForceEnd:
		return string(broadcast.OnForceEnd)
	case broadcast.TimeLimit:
		return string(broadcast.OnTimeLimit)
	case broadcast.Cancel:
		return string(broadcast.OnCancel)
	case broadcast.Saved:
		return string(broadcast.OnSaved)
	case broadcast.Reissue:
		return "reissue"
	case broadcast.Revoke:
		return "disconnect"
	case broadcast.Event:
		return string(in.Phase)
	}
	return "unknown"
}

// notices tells customers of each transition, once, in its own order, with the
// resource as it was after that transition: one step may take several.
func (s *Service) notices(out broadcast.Outcome, now time.Time) []Notice {
	var list []Notice
	for _, t := range out.Transitions {
		n := Notice{
			ID: broadcast.EventID(s.IDs.New("evt")), AppID: out.Key.AppID, MemberID: out.Key.MemberID,
			Sequence: t.Sequence, At: now,
		}
		switch t.Machine {
		case broadcast.KeyMachine:
			key := out.Key
			key.State, key.Sequence = broadcast.KeyState(t.To), t.Sequence
			n.Aggregate, n.Type, n.Key = string(key.ID), "stream_key.state_changed", &key
		case broadcast.RoomMachine:
			room := *out.Room
			room.State, room.Sequence = broadcast.RoomState(t.To), t.Sequence
			if room.State == broadcast.RoomLiveInactive && room.DroppedAt == nil {
				room.DroppedAt = &now // it was, between two transitions of one step
			}
			n.Aggregate, n.Room = string(room.ID), &room
			n.AppID, n.MemberID = room.AppID, room.MemberID
			n.Type = "video_room." + strings.ToLower(t.To)
			if t.On == broadcast.OnCreate {
				n.Type = "video_room.created"
			}
		case broadcast.PostMachine:
			continue // not of a step: postNotices
		}
		list = append(list, n)
	}
	if out.Post != nil {
		list = append(list, s.postNotice(*out.Post, now))
	}
	return list
}
