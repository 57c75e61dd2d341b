package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// PostView is a video post with its URLs; "" = there is none.
type PostView struct {
	Post                                              broadcast.VideoPost
	HLSURL, DASHURL, MP4URL                           string
	ThumbnailURL, PreviewURL, SpriteURL, SpriteVTTURL string
	// SourceURLs are those of Post.Sources, in order.
	SourceURLs []string
}

// PostPatch changes what a post shows.
type PostPatch struct {
	Title       Field[string]
	Description Field[string]
	IfVersion   uint64
}

func (s *Service) postView(p broadcast.VideoPost) PostView {
	url := func(key string) string {
		if key == "" {
			return ""
		}
		return s.URLs.HTTP + "/" + key
	}
	v := PostView{
		Post: p, HLSURL: url(p.Playback.HLSKey), DASHURL: url(p.Playback.DASHKey), MP4URL: url(p.Playback.MP4Key),
		ThumbnailURL: url(p.ThumbnailKey), PreviewURL: url(p.PreviewKey), SpriteURL: url(p.SpriteKey), SpriteVTTURL: url(p.SpriteVTTKey),
	}
	for _, f := range p.Sources {
		v.SourceURLs = append(v.SourceURLs, url(f.Key))
	}
	return v
}

// foreign is ErrNotFound for a post that is not the caller's.
func foreign(c Caller, p broadcast.VideoPost) error {
	if p.AppID != c.AppID || c.MemberID != "" && p.MemberID != c.MemberID {
		return fmt.Errorf("post %s of somebody else: %w", p.ID, ErrNotFound)
	}
	return nil
}

func (s *Service) ownPost(ctx context.Context, c Caller, id broadcast.PostID) (broadcast.VideoPost, error) {
	p, err := s.Store.Post(ctx, id)
	if err == nil {
		err = foreign(c, p)
	}
	return p, notFound(err, broadcast.CodePostNotFound, "video post")
}

// Post answers one video post.
func (s *Service) Post(ctx context.Context, c Caller, id broadcast.PostID) (PostView, error) {
	p, err := s.ownPost(ctx, c, id)
	return s.postView(p), err
}

// Posts lists the caller's video posts; state and appUserID "" = all. A member
// sees only its own.
func (s *Service) Posts(ctx context.Context, c Caller, state broadcast.PostState, appUserID string, p Page) (List[PostView], error) {
	f := PostFilter{AppID: c.AppID, MemberID: c.MemberID, State: state}
	if appUserID != "" && c.MemberID == "" {
		m, err := s.Member(ctx, c, appUserID)
		if err != nil {
			return List[PostView]{}, err
		}
		f.MemberID = m.ID
	}
	posts, err := s.Store.Posts(ctx, f, p)
	list := List[PostView]{Next: posts.Next}
	for _, post := range posts.Items {
		list.Items = append(list.Items, s.postView(post))
	}
	return list, err
}

// UpdatePost changes what a post shows, in any state.
func (s *Service) UpdatePost(ctx context.Context, c Caller, id broadcast.PostID, p PostPatch) (PostView, error) {
	if err := p.check(); err != nil {
		return PostView{}, err
	}
	post, err := s.movePost(ctx, c.Actor, id, func(post *broadcast.VideoPost) (postChange, error) {
		if err := foreign(c, *post); err != nil {
			return postChange{}, err
		}
		if err := checkVersion(p.IfVersion, post.Revision); err != nil {
			return postChange{}, err
		}
		set(&post.Title, p.Title)
		set(&post.Description, p.Description)
		return postChange{}, nil
	})
	return s.postView(post), notFound(err, broadcast.CodePostNotFound, "video post")
}

func (p PostPatch) check() error {
	var v invalid
	if p.Title.Value != nil {
		v.text("title", *p.Title.Value, maxTitle)
	}
	if p.Description.Value != nil {
		v.text("description", *p.Description.Value, maxDescription)
	}
	return v.err()
}

// DeletePost removes a post; its objects go in the background. A room whose
// recording was still being made is NOT_ARCHIVED again.
func (s *Service) DeletePost(ctx context.Context, c Caller, id broadcast.PostID) error {
	return s.retry(ctx, func() error {
		p, err := s.ownPost(ctx, c, id)
		if err != nil {
			return err
		}
		room, err := s.roomOfPost(ctx, p)
		if err != nil {
			return err
		}
		ch := Changes{
			ID: s.IDs.New("tx"), DeletePosts: []broadcast.VideoPost{p},
			Jobs: []Job{s.postJob(JobDelete, p)},
		}
		if room != nil && room.PostID == p.ID {
			room.PostID, room.ModifiedAt = "", s.Now()
			if room.VODState != broadcast.VODArchived {
				room.VODState = broadcast.NotArchived
			}
			ch.Rooms = []broadcast.VideoRoom{*room}
		}
		return s.Store.Commit(ctx, ch)
	})
}

// RetryPost takes up a post that is in a FAILED state.
func (s *Service) RetryPost(ctx context.Context, c Caller, id broadcast.PostID) (PostView, error) {
	post, err := s.movePost(ctx, c.Actor, id, func(p *broadcast.VideoPost) (postChange, error) {
		if err := foreign(c, *p); err != nil {
			return postChange{}, err
		}
		kind := JobTranscode
		if p.State == broadcast.PostFailedUpload {
			kind = JobSource
			if !p.Playable() {
				kind = JobArchive
			}
		}
		return postChange{moves: []broadcast.PostMove{{On: broadcast.OnRetry}}, jobs: []Job{s.postJob(kind, *p)}}, nil
	})
	var refused *broadcast.Refusal
	if errors.As(err, &refused) {
		return PostView{}, refused
	}
	return s.postView(post), notFound(err, broadcast.CodePostNotFound, "video post")
}

// ShowPost joins to a post what its readers see.
func (s *Service) ShowPost(p broadcast.VideoPost) PostView { return s.postView(p) }
