package control

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// MaxWakeDelay is the longest that a wake-up waits on its way (SQS). What is
	// due later the sweeper wakes.
	MaxWakeDelay = 15 * time.Minute
	// wakeGrace is how long something may be due before the sweeper takes its
	// wake-up for lost, and wakeAgain how long before it takes the next one so.
	wakeGrace = 5 * time.Second
	wakeAgain = time.Minute
	// wakeBatch is how many of one endpoint one look wakes.
	wakeBatch = 100
)

// WakeUp says that something may be due: the group of an endpoint, or a job.
type WakeUp struct {
	EndpointID string `json:",omitempty"`
	Group      string `json:",omitempty"`
	JobID      string `json:",omitempty"`
	// After is how long it waits on its way, at most MaxWakeDelay.
	After time.Duration `json:"-"`
}

// Waker takes wake-ups to functions. They may be lost, come late, twice and in
// any order: what they are about is in the store. Safe for concurrent use.
type Waker interface {
	Wake(ctx context.Context, list []WakeUp) error
}

// wakingWebhooks wakes the delivery of what was stored as due.
type wakingWebhooks struct {
	Webhooks
	deliveries Waker
	now        func() time.Time
}

// Wake implements Webhooks.
func (w wakingWebhooks) Wake(ctx context.Context, list []Cursor) error {
	if err := w.Webhooks.Wake(ctx, list); err != nil {
		return err
	}
	ups := make([]WakeUp, 0, len(list))
	seen := map[WakeUp]bool{}
	for _, c := range list {
		if up := w.up(c); !seen[up] {
			seen[up] = true
			ups = append(ups, up)
		}
	}
	return w.deliveries.Wake(ctx, ups)
}

// SaveCursor implements Webhooks. Where the group goes on at once, who saves it
// does that.
func (w wakingWebhooks) SaveCursor(ctx context.Context, c Cursor, release bool) error {
	if err := w.Webhooks.SaveCursor(ctx, c, release); err != nil {
		return err
	}
	if up := w.up(c); release && up.After > 0 && up.After <= MaxWakeDelay {
		return w.deliveries.Wake(ctx, []WakeUp{up})
	}
	return nil
}

func (w wakingWebhooks) up(c Cursor) WakeUp {
	return WakeUp{EndpointID: c.EndpointID, Group: c.Group, After: max(c.DueAt.Sub(w.now()), 0)}
}

// WakeJobs tells whoever does jobs of new ones, by their ids.
func (s *Service) WakeJobs(ctx context.Context, ids []string) error {
	ups := make([]WakeUp, 0, len(ids))
	for _, id := range ids {
		ups = append(ups, WakeUp{JobID: id})
	}
	return s.Work.Wake(ctx, ups)
}

// Rewaker finds what is due although somebody should have been woken for it,
// and wakes again: streams fail and wake-ups get lost. One per process. Not
// safe for concurrent use.
type Rewaker struct {
	s *Service
	// woken is when something was woken from here.
	woken map[WakeUp]time.Time
	busy  bool
}

// NewRewaker makes one that has woken nobody.
func (s *Service) NewRewaker() *Rewaker { return &Rewaker{s: s, woken: map[WakeUp]time.Time{}} }

// Pass looks once.
func (r *Rewaker) Pass(ctx context.Context) error {
	now := r.s.Now()
	for up, at := range r.woken {
		if now.Sub(at) >= wakeAgain {
			delete(r.woken, up)
		}
	}
	err := errors.Join(r.notices(ctx, now), r.deliveries(ctx, now), r.jobs(ctx, now))
	r.busy = err != nil || len(r.woken) > 0
	return err
}

// Busy says whether something was left behind within the last minute, or could
// not be looked for.
func (r *Rewaker) Busy() bool { return r.busy }

// notices does the outbox's work where it is late.
func (r *Rewaker) notices(ctx context.Context, now time.Time) error {
	list, err := r.s.Feed.Unplaced(ctx, outboxBatch)
	if err != nil {
		return fmt.Errorf("look for notices that were left behind: %w", err)
	}
	if len(list) == 0 || now.Sub(list[0].At) < wakeGrace {
		return nil
	}
	return r.s.place(ctx, list)
}

func (r *Rewaker) deliveries(ctx context.Context, now time.Time) error {
	before := now.Add(-wakeGrace)
	endpoints, err := r.s.Webhooks.DueEndpoints(ctx, before)
	if err != nil {
		return fmt.Errorf("look for deliveries that were left behind: %w", err)
	}
	var ups []WakeUp
	for _, id := range endpoints {
		due, err := r.s.Webhooks.DueCursors(ctx, id, before, wakeBatch)
		if err != nil {
			return fmt.Errorf("look for deliveries to %s that were left behind: %w", id, err)
		}
		for _, c := range due {
			ups = append(ups, WakeUp{EndpointID: c.EndpointID, Group: c.Group})
		}
	}
	return r.wake(ctx, r.s.Deliveries, ups, now)
}

func (r *Rewaker) jobs(ctx context.Context, now time.Time) error {
	due, err := r.s.Store.DueJobs(ctx, now.Add(-wakeGrace), laneBatch)
	if err != nil {
		return fmt.Errorf("look for jobs that were left behind: %w", err)
	}
	ups := make([]WakeUp, 0, len(due))
	for _, j := range due {
		ups = append(ups, WakeUp{JobID: j.ID})
	}
	return r.wake(ctx, r.s.Work, ups, now)
}

func (r *Rewaker) wake(ctx context.Context, waker Waker, ups []WakeUp, now time.Time) error {
	var late []WakeUp
	for _, up := range ups {
		if _, woken := r.woken[up]; !woken {
			late = append(late, up)
		}
	}
	if len(late) == 0 {
		return nil
	}
	if err := waker.Wake(ctx, late); err != nil {
		return fmt.Errorf("wake %d again: %w", len(late), err)
	}
	for _, up := range late {
		r.woken[up] = now
	}
	return nil
}
