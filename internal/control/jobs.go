package control

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	jobBatch    = 20
	maxJobDelay = 5 * time.Minute
)

// RunJobs does the jobs that are due, once each; what fails comes again later,
// each time after twice as long.
func (s *Service) RunJobs(ctx context.Context) error {
	due, err := s.Store.DueJobs(ctx, s.Now(), jobBatch)
	if err != nil {
		return fmt.Errorf("list due jobs: %w", err)
	}
	var problems []error
	for _, j := range due {
		err := s.doJob(ctx, j)
		if err == nil {
			err = s.Store.FinishJob(ctx, j.ID)
		} else {
			s.Log.WarnContext(ctx, "job comes again", "job", j.ID, "kind", j.Kind, "room", j.RoomID, "err", err)
			j.Attempts++
			j.DueAt = s.Now().Add(min(time.Second<<min(j.Attempts, 10), maxJobDelay))
			err = s.Store.RetryJob(ctx, j)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("job %s: %w", j.ID, err))
		}
	}
	return errors.Join(problems...)
}

func (s *Service) doJob(ctx context.Context, j Job) error {
	switch j.Kind {
	case JobClose:
		return s.CloseShow(ctx, j.PlayID)
	}
	return fmt.Errorf("unknown kind of job %q", j.Kind)
}
