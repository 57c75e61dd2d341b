package broadcast

import (
	"fmt"
	"slices"
	"time"
)

// PostMove is one word of PostTable for a post.
type PostMove struct {
	On On
	// Failure says why, in the moves to a FAILED state.
	Failure *PostFailure
	// Last says that nothing is made of the recording after this move, so that
	// its room is archived with it: always with OnProcessed, and with
	// OnSourceSaved where nothing can be transcoded.
	Last bool
}

// PostOutcome is what one move of a post did.
type PostOutcome struct {
	Post VideoPost
	// Room is the post's room after the move; nil = it was deleted.
	Room        *VideoRoom
	RoomChanged bool
	Transitions []Transition
}

// StepPost applies one move to a post and to the room that it was recorded in
// (nil = deleted). Pure; neither is changed. A *Refusal is returned where the
// table has no such row.
func StepPost(p VideoPost, r *VideoRoom, in PostMove, now time.Time) (PostOutcome, error) {
	to, ok := nextPost(p.State, in.On)
	if !ok || p.State == "" {
		code := CodePostState
		if in.On == OnRetry {
			code = CodePostNotFailed
		}
		return PostOutcome{}, &Refusal{
			Code: code, State: string(p.State), Allowed: PostActions(p.State),
			Message: fmt.Sprintf("%s is not possible while the post is %s", in.On, p.State),
		}
	}
	m := machine{now: now}
	if r != nil && r.PostID == p.ID {
		room := *r
		m.out.Room = &room
	}
	p.Sources, p.Renditions = slices.Clone(p.Sources), slices.Clone(p.Renditions)
	m.out.Transitions = []Transition{{PostMachine, string(p.State), in.On, string(to), p.Sequence + 1}}
	p.State, p.ModifiedAt, p.Failure, p.Progress = to, now, nil, nil
	p.Sequence++
	p.Revision++
	if to == PostProcessing {
		p.Progress = new(int)
	}
	if to.Failed() {
		p.Failure = in.Failure
	}
	if m.out.Room != nil {
		if err := m.follow(to, in); err != nil {
			return PostOutcome{}, err
		}
	}
	return PostOutcome{Post: p, Room: m.out.Room, RoomChanged: m.out.RoomChanged, Transitions: m.out.Transitions}, nil
}

// follow moves the room with its post.
func (m *machine) follow(to PostState, in PostMove) error {
	r := m.out.Room
	switch {
	case to == PostProcessed || in.Last:
		if r.State == RoomArchived {
			return nil
		}
		return m.saved()
	case to.Failed() && r.VODState == Archiving:
		r.VODState = FailedArchiving
		m.touchRoom()
	case in.On == OnRetry && r.VODState == FailedArchiving:
		r.VODState = Archiving
		m.touchRoom()
	}
	return nil
}

// Failed reports whether the state is one that a retry leaves.
func (s PostState) Failed() bool {
	return s == PostFailedUpload || s == PostFailedQueuing || s == PostFailedProcessing
}

// Playable reports whether the post can be watched.
func (p VideoPost) Playable() bool { return p.Playback != PostPlayback{} }

// PostActions lists the calls that a post in state s allows. Never nil.
func PostActions(s PostState) []string {
	if s.Failed() {
		return []string{"retry", "update", "delete"}
	}
	return []string{"update", "delete"}
}
