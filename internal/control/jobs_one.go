package control

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// jobClaim is how long a job belongs to who does it, and jobRenew how often
	// that is prolonged: a job whose process died is due again soon.
	jobClaim = 30 * time.Second
	jobRenew = 10 * time.Second
	// launchClaim is how long a process may take from its launch to its begin.
	launchClaim = 5 * time.Minute
)

// Launcher starts a process that does one job by RunJob.
type Launcher interface {
	// Launch starts it; spare capacity, which may be taken away, will do where
	// spare is set. j.Launches tells this launch from others of the job.
	Launch(ctx context.Context, j Job, spare bool) error
}

// RunWoken does the job of that id where it is due and nobody else does it, or
// has a process started for it. A job that fails is due again later: the error
// is about the store alone.
func (s *Service) RunWoken(ctx context.Context, id string) error {
	j, err := s.Store.Job(ctx, id)
	if errors.Is(err, ErrNotFound) || err == nil && j.DueAt.After(s.Now()) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read job %s: %w", id, err)
	}
	if j.media() && s.Launcher != nil {
		return s.launch(ctx, j)
	}
	return s.runClaimed(ctx, j)
}

// RunJob does a job now, due or not, as a process that was launched for it. A
// job that is done, or that another process does already, is no error.
func (s *Service) RunJob(ctx context.Context, id string) error {
	j, err := s.Store.Job(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read job %s: %w", id, err)
	}
	if j.Claimed && j.DueAt.After(s.Now()) {
		s.Log.InfoContext(ctx, "job is under way elsewhere", "job", j.ID, "kind", j.Kind, "post", j.PostID)
		return nil
	}
	return s.runClaimed(ctx, j)
}

// FreeJobs makes jobs due that a process of before had claimed. Only whoever
// knows that no other process lives on the store may call it.
func (s *Service) FreeJobs(ctx context.Context) error {
	now := s.Now()
	for {
		list, err := s.Store.DueJobs(ctx, now.Add(jobClaim), laneBatch)
		if err != nil {
			return fmt.Errorf("list claimed jobs: %w", err)
		}
		freed := 0
		for _, j := range list {
			if !j.Claimed {
				continue
			}
			was := j.DueAt
			j.Claimed, j.DueAt = false, now
			if err := s.Store.ClaimJob(ctx, was, j); err != nil {
				return fmt.Errorf("free job %s: %w", j.ID, err)
			}
			freed++
		}
		if freed == 0 {
			return nil
		}
	}
}

// launch starts a process for the job: on spare capacity the first time, so
// that a second try does not end as the first did.
func (s *Service) launch(ctx context.Context, j Job) error {
	was := j.DueAt
	j.Launches++
	j.Claimed, j.DueAt = false, s.Now().Add(launchClaim)
	if err := s.Store.ClaimJob(ctx, was, j); err != nil {
		return claimed(j, err)
	}
	err := s.Launcher.Launch(ctx, j, j.Launches == 1 && j.Attempts == 0)
	if err == nil {
		s.Log.InfoContext(ctx, "job launched", "job", j.ID, "kind", j.Kind, "post", j.PostID, "launch", j.Launches)
		return nil
	}
	s.Log.WarnContext(ctx, "launch comes again", "job", j.ID, "kind", j.Kind, "post", j.PostID, "launch", j.Launches, "err", err)
	j.DueAt = s.Now().Add(min(time.Second<<min(j.Launches, 10), maxJobDelay))
	if err := s.Store.RetryJob(context.WithoutCancel(ctx), j); err != nil {
		return fmt.Errorf("put launch of job %s off: %w", j.ID, err)
	}
	return nil
}

// runClaimed does the job while its claim holds.
func (s *Service) runClaimed(ctx context.Context, j Job) error {
	due := j.DueAt
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	claim := func() error {
		next := j
		next.Claimed, next.DueAt = true, s.Now().Add(jobClaim)
		err := s.Store.ClaimJob(ctx, j.DueAt, next)
		if err == nil {
			j = next
		}
		return err
	}
	if j.media() {
		j.Attempts++ // counted before it begins: it may kill its process
	}
	if err := claim(); err != nil {
		return claimed(j, err)
	}
	begun := j
	renewed := make(chan struct{})
	over, end := context.WithCancel(ctx)
	go func() {
		defer close(renewed)
		for s.Wait(over, jobRenew) == nil && over.Err() == nil {
			if err := claim(); errors.Is(err, ErrConflict) {
				cancel() // somebody else does it
				return
			}
		}
	}()
	err := s.doJob(ctx, begun)
	end()
	<-renewed
	return s.settle(ctx, j, due, err)
}

// settle removes a job, or puts it off. One that ended with its context is due
// as it was, or now where its launch had time left.
func (s *Service) settle(ctx context.Context, j Job, due time.Time, err error) error {
	was := j.DueAt
	j.Claimed = false
	switch {
	case err == nil:
		err = s.Store.FinishJob(ctx, j.ID)
	case ctx.Err() != nil:
		if j.media() {
			j.Attempts--
		}
		if j.DueAt = due; due.After(s.Now()) {
			j.DueAt = s.Now()
		}
		err = s.Store.ClaimJob(context.WithoutCancel(ctx), was, j)
	default:
		s.Log.WarnContext(ctx, "job comes again", "job", j.ID, "kind", j.Kind, "room", j.RoomID, "post", j.PostID, "err", err)
		if !j.media() {
			j.Attempts++
		}
		j.DueAt = s.Now().Add(min(time.Second<<min(j.Attempts, 10), maxJobDelay))
		err = s.Store.ClaimJob(ctx, was, j)
	}
	return claimed(j, err)
}

// claimed says an error of a claim: a claim that another has is none.
func claimed(j Job, err error) error {
	if err == nil || errors.Is(err, ErrConflict) {
		return nil
	}
	return fmt.Errorf("job %s: %w", j.ID, err)
}
