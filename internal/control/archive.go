package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/manifest"
)

// Failure codes of posts: the show has no segment; its record cannot be read.
const (
	CodeNoMedia    = "NO_MEDIA"
	CodeUnreadable = "RECORDING_UNREADABLE"
)

// errUnreadable: what is stored is not what an ingest writes.
var errUnreadable = errors.New("unreadable")

// maxPostFiles is more than lies in a post's folder itself.
const maxPostFiles = 100

// unreadableAttempts is how often that is believed to pass.
const unreadableAttempts = 4

// postFolder is where the objects of a post lie.
func postFolder(id broadcast.PostID) string { return "posts/" + string(id) + "/" }

// liveFromPost is the folder of a play id's segments, seen from a post's.
func liveFromPost(id broadcast.PlayID) string { return "../../" + liveFolder(id) }

// archive makes a CREATED post playable: static manifests over the live
// segments. Idempotent: the same objects get the same bytes. A post that is
// gone, playable or failed is done.
func (s *Service) archive(ctx context.Context, j Job) error {
	id := j.PostID
	post, err := s.Store.Post(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return s.deletePost(ctx, j.PlayID, id)
	}
	if err != nil {
		return err
	}
	if post.State != broadcast.PostCreated || post.Playable() {
		return nil
	}
	app, err := s.Store.App(ctx, post.AppID)
	if err != nil {
		return fmt.Errorf("app of post %s: %w", id, err)
	}
	began := s.Now()
	recording := manifest.NewRecording(liveFromPost(post.PlayID))
	if err := s.eachSegment(ctx, post, true, recording.Add); err != nil {
		if errors.Is(err, errUnreadable) && j.Attempts >= unreadableAttempts {
			s.Log.ErrorContext(ctx, "recording given up", "post", id, "err", err)
			return s.failPost(ctx, id, broadcast.OnSourceFailed, CodeUnreadable, "what the ingest left cannot be read; POST …/retry tries again")
		}
		return fmt.Errorf("archive %s: %w", id, err)
	}
	if recording.Len() == 0 {
		return s.failPost(ctx, id, broadcast.OnSourceFailed, CodeNoMedia, "nothing was recorded: the stream had no media after go live")
	}
	files, err := recording.Files()
	if err != nil {
		return err
	}
	for _, f := range files {
		opt := PutOptions{ContentType: f.ContentType, CacheControl: manifest.CacheControl}
		if _, err := s.Objects.Put(ctx, postFolder(id)+f.Name, [][]byte{f.Body}, opt); err != nil {
			return fmt.Errorf("write %s of post %s: %w", f.Name, id, err)
		}
	}
	return s.playable(ctx, post, app, recording, s.Now().Sub(began))
}

// playable says on the post that its manifests are there.
func (s *Service) playable(ctx context.Context, post broadcast.VideoPost, app App, recording *manifest.Recording, took time.Duration) error {
	id := post.ID
	profile, err := ResolveProfile(ctx, s.Store, cmp.Or(app.VODTranscodingProfileID, VODProfile), 0)
	if errors.Is(err, ErrNotFound) {
		profile, err = ResolveProfile(ctx, s.Store, VODProfile, 0) // the app has changed over meanwhile
	}
	if err != nil {
		return fmt.Errorf("profile of post %s: %w", id, err)
	}
	_, err = s.movePost(ctx, archiver(), id, func(p *broadcast.VideoPost) (postChange, error) {
		if p.State != broadcast.PostCreated || p.Playable() {
			return postChange{}, errUnchanged
		}
		p.Duration = recording.Duration()
		p.Playback = broadcast.PostPlayback{
			HLSKey: postFolder(id) + manifest.MasterName, DASHKey: postFolder(id) + manifest.MPDName,
		}
		p.TranscodingProfileID, p.TranscodingProfileRevision = profile.ID, profile.Version
		return postChange{jobs: []Job{s.postJob(JobSource, *p)}}, nil
	})
	if errors.Is(err, ErrNotFound) {
		return s.deletePost(ctx, post.PlayID, id) // meanwhile
	}
	if err != nil {
		return err
	}
	s.Log.InfoContext(ctx, "recording is playable", "post", id, "duration", recording.Duration(), "segments", recording.Len(), "took", took)
	return nil
}

// erase deletes all objects of a show and of its post, and then what a CDN has
// of them: the other way round it might fetch them once more.
func (s *Service) erase(ctx context.Context, j Job) error {
	var folders []string
	if j.PlayID != "" {
		folders = append(folders, liveFolder(j.PlayID))
	}
	if j.PostID != "" {
		folders = append(folders, postFolder(j.PostID))
	}
	if err := s.deletePost(ctx, j.PlayID, j.PostID); err != nil || s.CDN == nil || len(folders) == 0 {
		return err
	}
	if err := s.CDN.Forget(ctx, j.ID, folders); err != nil {
		return fmt.Errorf("let the CDN forget room %s: %w", j.RoomID, err)
	}
	return nil
}

// deletePost deletes what a show and its post have written; "" = there is none.
func (s *Service) deletePost(ctx context.Context, show broadcast.PlayID, post broadcast.PostID) error {
	err := s.deleteShow(ctx, show)
	if post != "" {
		err = errors.Join(err, s.deleteFolder(ctx, postFolder(post)))
	}
	return err
}

// deleteShow deletes the live objects of a play id, the record first: a worker
// that still writes ends with it.
func (s *Service) deleteShow(ctx context.Context, id broadcast.PlayID) error {
	if id == "" {
		return nil
	}
	if err := s.Objects.Delete(ctx, liveFolder(id)+manifest.RecordName); err != nil {
		return err
	}
	return s.deleteFolder(ctx, liveFolder(id))
}

// deleteFolder deletes every object whose key begins with prefix. It may be
// begun again at any time.
func (s *Service) deleteFolder(ctx context.Context, prefix string) error {
	const page = 500
	for {
		list, err := s.Objects.List(ctx, prefix, "", page)
		if err != nil {
			return fmt.Errorf("list %s: %w", prefix, err)
		}
		if len(list) == 0 {
			return nil
		}
		err = inParallel(len(list), deleteParallel, func(i int) error { return s.Objects.Delete(ctx, list[i].Key) })
		if err != nil {
			return fmt.Errorf("delete %s: %w", prefix, err)
		}
	}
}

// expire deletes the live segments of a post that is watched by other files,
// and the playlists over them.
func (s *Service) expire(ctx context.Context, j Job) error {
	post, err := s.Store.Post(ctx, j.PostID)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil // its deletion takes them along
	case err != nil:
		return err
	case post.State != broadcast.PostProcessed:
		return nil
	}
	if err := s.deleteShow(ctx, j.PlayID); err != nil {
		return err
	}
	// What is watched lies in vod/, which may be tens of thousands of objects.
	folder := postFolder(post.ID)
	for _, after := range []string{"", folder + "vod0"} {
		list, err := s.Objects.List(ctx, folder, after, maxPostFiles)
		if err != nil {
			return fmt.Errorf("list the files of post %s: %w", post.ID, err)
		}
		for _, o := range list {
			name := strings.TrimPrefix(o.Key, folder)
			if ext := path.Ext(name); strings.Contains(name, "/") || ext != path.Ext(manifest.MasterName) && ext != path.Ext(manifest.MPDName) {
				continue
			}
			if err := s.Objects.Delete(ctx, o.Key); err != nil {
				return fmt.Errorf("delete %s: %w", o.Key, err)
			}
		}
	}
	return nil
}
