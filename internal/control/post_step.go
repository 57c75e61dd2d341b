package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// archiver is who moves posts by itself.
func archiver() Actor { return Actor{Kind: "archiver"} }

// errUnchanged ends movePost without a write and without an error.
var errUnchanged = errors.New("nothing to change")

// postChange is what an edit of a post asks for besides the edited fields.
type postChange struct {
	moves []broadcast.PostMove
	jobs  []Job
}

// movePost reads a post, edits and moves it, and commits it with its room,
// journal entries, notices and jobs in one transaction; again where somebody
// was faster. It answers the post as stored. A post that is gone is
// ErrNotFound.
func (s *Service) movePost(ctx context.Context, who Actor, id broadcast.PostID, edit func(*broadcast.VideoPost) (postChange, error)) (broadcast.VideoPost, error) {
	var post broadcast.VideoPost
	err := s.retry(ctx, func() error {
		var err error
		if post, err = s.Store.Post(ctx, id); err != nil {
			return err
		}
		change, err := edit(&post)
		if errors.Is(err, errUnchanged) {
			return nil
		}
		if err != nil {
			return err
		}
		room, err := s.roomOfPost(ctx, post)
		if err != nil {
			return err
		}
		now := s.Now()
		post.Revision++
		post.ModifiedAt = now
		c := Changes{ID: s.IDs.New("tx"), Jobs: change.jobs}
		roomChanged := false
		for _, move := range change.moves {
			before := broadcast.State{Room: room, Key: broadcast.StreamKey{ID: broadcast.KeyID(post.ID)}}
			out, err := broadcast.StepPost(post, room, move, now)
			if err != nil {
				return err
			}
			post = out.Post
			if out.Room != nil {
				room = out.Room
			}
			roomChanged = roomChanged || out.RoomChanged
			c.Journal = append(c.Journal, s.postEntries(who, before, out, now)...)
			c.Notices = append(c.Notices, s.postNotices(out, now)...)
		}
		if roomChanged {
			c.Rooms = []broadcast.VideoRoom{*room}
		}
		c.Posts = []broadcast.VideoPost{post}
		if err := s.Store.Commit(ctx, c); err != nil {
			return err
		}
		post.Version++
		return nil
	})
	if err != nil {
		return broadcast.VideoPost{}, fmt.Errorf("post %s: %w", id, err)
	}
	return post, nil
}

func (s *Service) roomOfPost(ctx context.Context, p broadcast.VideoPost) (*broadcast.VideoRoom, error) {
	r, err := s.Store.Room(ctx, p.RoomID)
	if errors.Is(err, ErrNotFound) {
		return nil, nil //nolint:nilnil // nil is the room that was deleted
	}
	if err != nil {
		return nil, fmt.Errorf("room of post %s: %w", p.ID, err)
	}
	return &r, nil
}

// postEntries are journal lines of a post's move, in its room's journal.
func (s *Service) postEntries(who Actor, before broadcast.State, out broadcast.PostOutcome, now time.Time) []JournalEntry {
	list := s.entries(who, before, broadcast.Outcome{Transitions: out.Transitions}, nil, now)
	for i := range list {
		if out.Post.Failure != nil {
			list[i].Reason = out.Post.Failure.Code
		}
	}
	return list
}

func (s *Service) postNotices(out broadcast.PostOutcome, now time.Time) []Notice {
	list := []Notice{s.postNotice(out.Post, now)}
	if out.RoomChanged {
		room := broadcast.Outcome{State: broadcast.State{Room: out.Room}}
		for _, t := range out.Transitions {
			if t.Machine == broadcast.RoomMachine {
				room.Transitions = append(room.Transitions, t)
			}
		}
		list = append(list, s.notices(room, now)...)
	}
	return list
}

// postEvent is a state in the words of events: ready = it can be watched.
func postEvent(state broadcast.PostState) string {
	switch state {
	case broadcast.PostUploaded:
		return "ready"
	case broadcast.PostFailedUpload, broadcast.PostFailedQueuing, broadcast.PostFailedProcessing:
		return "failed"
	case broadcast.PostCreated, broadcast.PostQueued, broadcast.PostProcessing, broadcast.PostProcessed:
	}
	return strings.ToLower(string(state))
}

// postNotice tells of the state that the post has reached: video_post.created,
// video_post.ready, …
func (s *Service) postNotice(p broadcast.VideoPost, now time.Time) Notice {
	return Notice{
		ID: broadcast.EventID(s.IDs.New("evt")), AppID: p.AppID, MemberID: p.MemberID, Aggregate: string(p.ID),
		Sequence: p.Sequence, Type: "video_post." + postEvent(p.State), At: now, Post: &p,
	}
}

// postJob is a job on a post, due now.
func (s *Service) postJob(k JobKind, p broadcast.VideoPost) Job {
	return Job{ID: s.IDs.New("job"), Kind: k, RoomID: p.RoomID, PlayID: p.PlayID, PostID: p.ID, DueAt: s.Now()}
}

// failPost moves a post to a FAILED state; one that has moved on is left alone.
func (s *Service) failPost(ctx context.Context, id broadcast.PostID, on broadcast.On, code, message string) error {
	post, err := s.movePost(ctx, archiver(), id, func(*broadcast.VideoPost) (postChange, error) {
		failure := &broadcast.PostFailure{Code: code, Message: message}
		return postChange{moves: []broadcast.PostMove{{On: on, Failure: failure}}}, nil
	})
	var late *broadcast.Refusal
	switch {
	case errors.As(err, &late) && late.Code == broadcast.CodePostState, errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	s.Log.WarnContext(ctx, "recording failed", "post", id, "state", post.State, "code", code)
	return nil
}
