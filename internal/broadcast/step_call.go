package broadcast

import (
	"fmt"
	"time"
)

func (m *machine) goLive() error {
	k, r := &m.out.Key, m.out.Room
	if err := m.broadcastOnly(); err != nil {
		return err
	}
	switch {
	case r == nil || r.State != RoomScheduled:
		return m.refuseRoom(CodeRoomNotScheduled, "the room is not SCHEDULED")
	case k.RoomID != "":
		return m.refuseKey(CodeKeyBusy, "the member's stream key carries another room")
	case k.State != KeyActive:
		return m.refuseKey(CodeKeyNotActive, "the member's stream key is not ACTIVE: nothing viewable is being published")
	}
	m.moveKey(OnGoLive)
	m.moveRoom(OnGoLive)
	k.RoomID = r.ID
	r.PlayID, r.Mode = m.out.Lease.PlayID, k.Mode
	r.LiveStartedAt = &m.now
	// The segment that is open now began before go live; its end is recorded.
	r.RecordFrom = m.out.Lease.LastSegment + 2
	return nil
}

// broadcastOnly refuses a room that no stream key ever carries.
func (m *machine) broadcastOnly() error {
	r := m.out.Room
	if r == nil || r.Type == "" || r.Type == BroadcastRTMP {
		return nil
	}
	return &Refusal{Code: CodeRoomNotBroadcast, Message: "the room is a " + string(r.Type) + "; only one of type BROADCAST_RTMP goes live from a stream key"}
}

func (m *machine) end(in End) error {
	if err := m.broadcastOnly(); err != nil {
		return err
	}
	switch {
	case m.out.Room == nil || m.out.Room.State != RoomLiveInactive:
		return m.refuseRoom(CodeRoomNotLiveInactive, "the room is not LIVE_INACTIVE: "+m.insteadOfEnd())
	case m.out.Key.State != KeyInactiveLive:
		return m.refuseKey(CodeKeyNotInactiveLive, "the stream is coming back: stop publishing first, or end with force")
	}
	m.moveKey(OnEnd)
	m.endRoom(OnEnd, EndReasonEnded, in.PostID)
	m.closeLease(in.PlayID)
	return nil
}

// insteadOfEnd says what to do with a room that cannot be ended now.
func (m *machine) insteadOfEnd() string {
	if r := m.out.Room; r != nil {
		switch r.State {
		case RoomScheduled:
			return "it has not begun, cancel it instead"
		case RoomEnded, RoomArchived, RoomCancelled:
			return "it is over"
		case RoomLive, RoomLiveInactive:
		}
	}
	return "stop publishing first, or end with force"
}

// forceEnd is allowed in every state of the key. Without a carried room only
// the key is reset.
func (m *machine) forceEnd(in ForceEnd) error {
	k, r := &m.out.Key, m.out.Room
	if err := m.broadcastOnly(); err != nil {
		return err
	}
	if r != nil && !r.State.Carried() {
		switch r.State {
		case RoomEnded, RoomArchived:
			return nil
		case RoomScheduled, RoomCancelled, RoomLive, RoomLiveInactive:
			return m.refuseRoom(CodeRoomNotLive, "the room is not live: "+m.insteadOfEnd())
		}
	}
	m.moveKey(OnForceEnd)
	if r != nil {
		r.ForciblyTerminated = true
		r.RecordingDiscarded = in.Discard
		m.endRoom(OnForceEnd, EndReasonForced, in.PostID)
	}
	k.Mode = ""
	m.newString(in.Hash)
	m.closeLease(in.PlayID)
	return nil
}

func (m *machine) timeLimit(in TimeLimit) error {
	r := m.out.Room
	switch {
	case r == nil || !r.State.Carried():
		return m.refuseRoom(CodeRoomNotLive, "the room is not live")
	case in.Reason != EndReasonReconnectTimeout && in.Reason != EndReasonMaxDuration:
		return fmt.Errorf("%q is no time limit", in.Reason)
	case in.Reason == EndReasonReconnectTimeout && m.out.Key.State != KeyInactiveLive:
		return m.refuseKey(CodeKeyNotInactiveLive, "the stream is there or coming back")
	}
	m.moveKey(OnTimeLimit)
	m.endRoom(OnTimeLimit, in.Reason, in.PostID)
	m.closeLease(in.PlayID)
	return nil
}

// endRoom moves the carried room to ENDED, lets the key go of it and, unless
// the recording is discarded, begins the recording's post.
func (m *machine) endRoom(on On, reason EndReason, post PostID) {
	k, r := &m.out.Key, m.out.Room
	m.moveRoom(on)
	k.RoomID, k.Mode = "", ""
	r.LiveEndedAt, r.DroppedAt, r.EndReason = &m.now, nil, reason
	r.RecordTo = m.out.Lease.LastSegment
	if m.out.Lease.Holder != nil {
		r.RecordTo++ // acknowledged since the last renewal
	}
	if r.RecordingDiscarded {
		return
	}
	r.VODState, r.PostID = Archiving, post
	m.out.Post = &VideoPost{
		ID: post, AppID: r.AppID, MemberID: r.MemberID, RoomID: r.ID, State: PostCreated,
		Title: r.Title, Description: r.Description, PlayID: r.PlayID,
		RecordFrom: r.RecordFrom, RecordTo: r.RecordTo, CreatedAt: m.now, ModifiedAt: m.now, Sequence: 1, Revision: 1,
	}
	if r.LiveStartedAt != nil {
		m.out.Post.LiveFrom = *r.LiveStartedAt
	}
}

func (m *machine) cancel() error {
	if m.out.Room == nil || !m.moveRoom(OnCancel) {
		return m.refuseRoom(CodeRoomNotScheduled, "only a SCHEDULED room can be cancelled")
	}
	return nil
}

// revoke cuts the publisher and keeps the string and the play id.
func (m *machine) revoke(in Revoke) {
	m.stop()
	if m.out.Lease.Holder != nil {
		m.out.Lease.LastSegment++ // acknowledged since the last renewal
	}
	m.fence()
	m.out.Lease.RefusedUntil = in.Until
}

func (m *machine) reissue(in Reissue) error {
	if m.out.Key.State != KeyInactive {
		return m.refuseKey(CodeKeyNotInactive, "the stream key is in use: stop publishing, or terminate with force")
	}
	m.newString(in.Hash)
	m.closeLease(in.PlayID)
	return nil
}

func (m *machine) newString(h Hash) {
	k := &m.out.Key
	k.Hash = h
	k.Generation++
	m.out.Lease.KeyGeneration = k.Generation
	// Whom a disconnect keeps out has the old string.
	m.out.Lease.RefusedUntil = time.Time{}
	m.touchKey()
}

func (m *machine) saved() error {
	r := m.out.Room
	if r == nil || r.VODState != Archiving || !m.moveRoom(OnSaved) {
		return m.refuseRoom(CodeRoomNotLive, "only an ENDED room whose recording is being archived becomes ARCHIVED")
	}
	r.VODState = VODArchived
	return nil
}

func (m *machine) refuseRoom(code Code, message string) error {
	r := Refusal{Code: code, Message: message}
	if m.out.Room != nil {
		r.State = string(m.out.Room.State)
		r.Allowed = RoomActions(m.out.Room.State, m.out.Key.State)
	}
	return &r
}

func (m *machine) refuseKey(code Code, message string) error {
	r := Refusal{Code: code, Message: message, State: string(m.out.Key.State)}
	if m.out.Room != nil {
		r.Allowed = RoomActions(m.out.Room.State, m.out.Key.State)
	} else {
		r.Allowed = KeyActions(m.out.Key.State)
	}
	return &r
}
