package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

const (
	jobBatch    = 20
	maxJobDelay = 5 * time.Minute
	// mediaAttempts is how often SOURCE and TRANSCODE are begun, a process
	// that was killed counted, before their post is FAILED.
	mediaAttempts = 3
	// discardAgain is when the media of a discarded show are deleted once
	// more: by then every upload that was under way has failed or ended.
	discardAgain = time.Minute
	// expireAfter is how long live segments outlive the archiving of their
	// room: who loaded the older playlists goes on.
	expireAfter = 24 * time.Hour
)

// endJobs are what a show's end leaves behind.
func (s *Service) endJobs(r broadcast.VideoRoom, now time.Time) []Job {
	job := func(k JobKind, after time.Duration) Job {
		return Job{ID: s.IDs.New("job"), Kind: k, RoomID: r.ID, PlayID: r.PlayID, PostID: r.PostID, DueAt: now.Add(after)}
	}
	if r.RecordingDiscarded {
		return []Job{job(JobClose, 0), job(JobDiscard, 0), job(JobDiscard, discardAgain)}
	}
	return []Job{job(JobClose, 0), job(JobArchive, 0)}
}

// RunJobs does the jobs that are due, once each and one after the other; what
// fails comes again later, each time after twice as long. Without kinds it
// does all kinds.
func (s *Service) RunJobs(ctx context.Context, kinds ...JobKind) error {
	due, err := s.Store.DueJobs(ctx, s.Now(), jobBatch)
	if err != nil {
		return fmt.Errorf("list due jobs: %w", err)
	}
	var problems []error
	for _, j := range due {
		if len(kinds) == 0 || slices.Contains(kinds, j.Kind) {
			problems = append(problems, s.runClaimed(ctx, j))
		}
	}
	return errors.Join(problems...)
}

// media reports whether the job may take long and break what runs it.
func (j Job) media() bool { return j.Kind == JobSource || j.Kind == JobTranscode }

func (s *Service) doJob(ctx context.Context, j Job) error {
	switch j.Kind {
	case JobClose:
		return s.CloseShow(ctx, j.PlayID)
	case JobArchive:
		return s.archive(ctx, j)
	case JobDiscard:
		return s.erase(ctx, j)
	case JobDelete:
		return s.erase(ctx, j)
	case JobExpire:
		return s.expire(ctx, j)
	case JobSource:
		return s.makeSource(ctx, j)
	case JobTranscode:
		return s.transcode(ctx, j)
	}
	return fmt.Errorf("unknown kind of job %q", j.Kind)
}
