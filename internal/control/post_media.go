package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/manifest"
)

// Transcoder makes files of recordings. Safe for concurrent use. What it
// writes lies under the post's folder; a second run of the same task does not
// do again what is done.
type Transcoder interface {
	// CanEncode says whether renditions can be made here.
	CanEncode() bool
	// Source writes the original, without encoding: one file, or several that
	// cannot be joined.
	Source(ctx context.Context, t SourceTask) ([]broadcast.PostFile, error)
	// Forget drops what is kept of a post between runs.
	Forget(id broadcast.PostID)
	// Process writes renditions and pictures of all originals, one after the
	// other; progress is told percents.
	Process(ctx context.Context, t ProcessTask, progress func(percent int)) (Processed, error)
}

// SourceTask is the making of an original.
type SourceTask struct {
	PostID broadcast.PostID
	// Folder is the key prefix of what is written, Live that of the segments.
	Folder, Live string
	// Segments hands the recording's segments to add, in order.
	Segments func(ctx context.Context, add func(manifest.IndexSegment) error) error
}

// ProcessTask is the making of everything else.
type ProcessTask struct {
	PostID  broadcast.PostID
	Folder  string
	Sources []broadcast.PostFile
	Profile TranscodingProfile // of type VIDEO
	// Thumbnail and Preview are the sizes of the pictures.
	Thumbnail, Preview PictureBox
}

// PictureBox is what a picture fits into, in its own shape and never enlarged.
// A height of 0 follows the width.
type PictureBox struct{ WidthPixels, HeightPixels int }

// ScratchFolder is where, below the folder of a post, a Transcoder may keep what it
// goes on with in a later run; it is gone when the post is processed.
const ScratchFolder = "scratch/"

// Processed is what a ProcessTask made.
type Processed struct {
	Playback                                          broadcast.PostPlayback
	Renditions                                        []broadcast.PostRendition
	ThumbnailKey, PreviewKey, SpriteKey, SpriteVTTKey string
}

// progressEvery is how often a post's progress is written at most.
const progressEvery = 2 * time.Second

// Failure codes of posts.
const (
	CodeSourceFailed     = "SOURCE_FAILED"
	CodeProcessingFailed = "PROCESSING_FAILED"
)

// makeSource makes the original of a playable post. Where nothing can be
// transcoded here, the post is UPLOADED for good and its room ARCHIVED.
func (s *Service) makeSource(ctx context.Context, j Job) error {
	post, err := s.Store.Post(ctx, j.PostID)
	if errors.Is(err, ErrNotFound) {
		return s.deleteFolder(ctx, postFolder(j.PostID))
	}
	if err != nil || post.State != broadcast.PostCreated {
		return err
	}
	if j.Attempts > mediaAttempts {
		return s.failPost(ctx, post.ID, broadcast.OnSourceFailed, CodeSourceFailed, "the original could not be made")
	}
	var files []broadcast.PostFile
	if s.Transcoder != nil {
		files, err = s.Transcoder.Source(ctx, SourceTask{
			PostID: post.ID, Folder: postFolder(post.ID), Live: liveFolder(post.PlayID),
			Segments: func(ctx context.Context, add func(manifest.IndexSegment) error) error {
				return s.eachSegment(ctx, post, false, add)
			},
		})
		if err != nil {
			return s.mediaFailed(ctx, j, broadcast.OnSourceFailed, CodeSourceFailed, err)
		}
	}
	encode := len(files) > 0 && s.Transcoder.CanEncode()
	_, err = s.movePost(ctx, archiver(), post.ID, func(p *broadcast.VideoPost) (postChange, error) {
		if p.State != broadcast.PostCreated {
			return postChange{}, errUnchanged
		}
		p.Sources = files
		if !encode {
			return postChange{moves: []broadcast.PostMove{{On: broadcast.OnSourceSaved, Last: true}}}, nil
		}
		return postChange{
			moves: []broadcast.PostMove{{On: broadcast.OnSourceSaved}, {On: broadcast.OnQueued}},
			jobs:  []Job{s.postJob(JobTranscode, *p)},
		}, nil
	})
	if errors.Is(err, ErrNotFound) {
		s.forget(j.PostID)
		return s.deleteFolder(ctx, postFolder(j.PostID))
	}
	if err == nil && !encode {
		s.forget(j.PostID)
	}
	return err
}

func (s *Service) forget(id broadcast.PostID) {
	if s.Transcoder != nil {
		s.Transcoder.Forget(id)
	}
}

// mediaFailed gives a job's error back so that it comes again, or, at its last
// attempt, fails the post.
func (s *Service) mediaFailed(ctx context.Context, j Job, on broadcast.On, code string, err error) error {
	if j.Attempts < mediaAttempts || ctx.Err() != nil {
		return err
	}
	s.Log.ErrorContext(ctx, "recording given up", "post", j.PostID, "kind", j.Kind, "attempts", j.Attempts, "err", err)
	return s.failPost(ctx, j.PostID, on, code, fmt.Sprintf("%d attempts failed; POST …/retry tries again", j.Attempts))
}

// transcode processes a QUEUED post, or one whose processing was broken off.
func (s *Service) transcode(ctx context.Context, j Job) error {
	if j.Attempts > mediaAttempts {
		return s.failPost(ctx, j.PostID, broadcast.OnProcessFailed, CodeProcessingFailed, "processing was broken off again and again")
	}
	post, err := s.movePost(ctx, archiver(), j.PostID, func(p *broadcast.VideoPost) (postChange, error) {
		if p.State != broadcast.PostQueued {
			return postChange{}, errUnchanged
		}
		return postChange{moves: []broadcast.PostMove{{On: broadcast.OnProcessing}}}, nil
	})
	if errors.Is(err, ErrNotFound) {
		return s.deleteFolder(ctx, postFolder(j.PostID))
	}
	switch {
	case err != nil:
		return err
	case post.State == broadcast.PostProcessed: // the process before ended with its work
		return s.deleteFolder(ctx, postFolder(post.ID)+ScratchFolder)
	case post.State != broadcast.PostProcessing:
		return nil
	}
	if s.Transcoder == nil || !s.Transcoder.CanEncode() {
		return s.failPost(ctx, post.ID, broadcast.OnProcessFailed, "ENCODER_MISSING", "ffmpeg or one of its encoders is missing")
	}
	profile, err := ResolveProfile(ctx, s.Store, cmp.Or(post.TranscodingProfileID, VODProfile), post.TranscodingProfileRevision)
	if err != nil {
		return fmt.Errorf("profile of post %s: %w", post.ID, err)
	}
	task := ProcessTask{PostID: post.ID, Folder: postFolder(post.ID), Sources: post.Sources, Profile: profile}
	if task.Thumbnail, task.Preview, err = s.pictureBoxes(ctx, post.AppID); err != nil {
		return fmt.Errorf("pictures of post %s: %w", post.ID, err)
	}
	done, err := s.Transcoder.Process(ctx, task, s.progress(ctx, post.ID))
	if err != nil {
		return s.mediaFailed(ctx, j, broadcast.OnProcessFailed, CodeProcessingFailed, err)
	}
	return s.processed(ctx, post.ID, done)
}

// pictureBoxes are the sizes of an app's pictures, by its profiles as they are now.
func (s *Service) pictureBoxes(ctx context.Context, id broadcast.AppID) (thumbnail, preview PictureBox, err error) {
	app, err := s.Store.App(ctx, id)
	if err != nil {
		return thumbnail, preview, err
	}
	box := func(own, shipped broadcast.ProfileID) (PictureBox, error) {
		p, err := ResolveProfile(ctx, s.Store, cmp.Or(own, shipped), 0)
		if errors.Is(err, ErrNotFound) { // the app has changed over meanwhile
			p, err = ResolveProfile(ctx, s.Store, shipped, 0)
		}
		if err != nil {
			return PictureBox{}, err
		}
		v := p.Content.VideoStreams[0]
		return PictureBox{v.WidthPixels, v.HeightPixels}, nil
	}
	if thumbnail, err = box(app.ThumbnailTranscodingProfileID, ThumbnailProfile); err == nil {
		preview, err = box(app.PreviewTranscodingProfileID, PreviewProfile)
	}
	return thumbnail, preview, err
}

// processed changes the post over to its new files, and archives its room.
func (s *Service) processed(ctx context.Context, id broadcast.PostID, done Processed) error {
	_, err := s.movePost(ctx, archiver(), id, func(p *broadcast.VideoPost) (postChange, error) {
		if p.State != broadcast.PostProcessing {
			return postChange{}, errUnchanged
		}
		p.Playback, p.Renditions = done.Playback, done.Renditions
		p.ThumbnailKey, p.PreviewKey, p.SpriteKey, p.SpriteVTTKey = done.ThumbnailKey, done.PreviewKey, done.SpriteKey, done.SpriteVTTKey
		later := s.postJob(JobExpire, *p)
		later.DueAt = later.DueAt.Add(expireAfter)
		return postChange{moves: []broadcast.PostMove{{On: broadcast.OnProcessed}}, jobs: []Job{later}}, nil
	})
	if errors.Is(err, ErrNotFound) {
		s.forget(id)
		return s.deleteFolder(ctx, postFolder(id))
	}
	if err != nil {
		return err
	}
	s.forget(id)
	return s.deleteFolder(ctx, postFolder(id)+ScratchFolder)
}

// progress writes a post's progress now and then; nothing depends on it.
func (s *Service) progress(ctx context.Context, id broadcast.PostID) func(percent int) {
	var last time.Time
	return func(percent int) {
		now := s.Now()
		if now.Sub(last) < progressEvery {
			return
		}
		last = now
		post, err := s.Store.Post(ctx, id)
		if err == nil && post.State == broadcast.PostProcessing && (post.Progress == nil || *post.Progress != percent) {
			percent = min(max(percent, 0), 100)
			post.Progress = &percent
			err = s.Store.Commit(ctx, Changes{ID: s.IDs.New("tx"), Posts: []broadcast.VideoPost{post}})
		}
		if err != nil {
			s.Log.DebugContext(ctx, "progress not written", "post", id, "err", err)
		}
	}
}
