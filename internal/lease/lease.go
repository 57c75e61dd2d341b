// Package lease is a worker's side of the right to publish: take, challenge,
// renew, release, and the order of a session's events (docs/states.md, "The
// lease", "Events"). It starts nothing and asks no clock: whoever calls hands
// in time and store, a worker its own and the simulation a simulated one.
package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

const (
	// challengeFor is how long a publisher waits for a held lease at most,
	// silentAfter how long the holder's media counter must stand still.
	challengeFor  = 6 * time.Second
	silentAfter   = 5 * time.Second
	challengePoll = 250 * time.Millisecond

	renewEvery = 2 * time.Second
	// renewTimeout ends one try, but the last one before the end gets
	// lastTry; endAfter is how long a session goes on after the beginning of
	// its last renewal that succeeded: somebody else may own the lease then.
	renewTimeout = 2 * time.Second
	lastTry      = 500 * time.Millisecond
	endAfter     = 15 * time.Second

	firstRetry = 100 * time.Millisecond
	maxRetry   = 5 * time.Second
)

// Store is what a worker does with leases: part of control.Leases.
type Store interface {
	Lease(ctx context.Context, id broadcast.KeyID) (broadcast.Lease, error)
	TakeLease(ctx context.Context, id broadcast.KeyID, c control.LeaseCondition, h broadcast.Holder, p broadcast.Progress) (broadcast.Lease, error)
	RenewLease(ctx context.Context, id broadcast.KeyID, epoch uint64, s broadcast.SessionID, p broadcast.Progress) error
	ReleaseLease(ctx context.Context, id broadcast.KeyID, epoch uint64, s broadcast.SessionID, p broadcast.Progress) error
}

// Worker is the worker that leases are taken for. All fields are required.
type Worker struct {
	Store Store
	// Now is the wall clock: it is compared with a disconnect's end only.
	Now func() time.Time
	// Uptime never jumps, whatever happens to the wall clock.
	Uptime func() time.Duration
	// Sleep waits, or answers ctx's error when that ends first.
	Sleep func(ctx context.Context, d time.Duration) error
}

// Refusal is why a publisher may not have the lease. Code becomes that of the
// key's lastError, Message is for the publisher: no secrets.
type Refusal struct{ Code, Message string }

// Error is the message.
func (r *Refusal) Error() string { return r.Message }

// Take makes h the holder of the lease of p's key. A held lease is watched for
// up to 6 s: a holder whose media counter stands still for 5 s is taken over.
// The error is a *Refusal, ctx's or an outage.
func (w Worker) Take(ctx context.Context, p control.Publisher, h broadcast.Holder, first broadcast.Progress) (broadcast.Lease, error) {
	if r := w.Disconnected(p.Lease); r != nil {
		return broadcast.Lease{}, r
	}
	lease, since := p.Lease, w.Uptime()
	deadline := since + challengeFor
	for {
		if lease.Holder == nil || w.Uptime()-since >= silentAfter {
			taken, err := w.Store.TakeLease(ctx, p.KeyID, condition(p, lease), h, first)
			if err == nil {
				return taken, nil
			}
			if !errors.Is(err, control.ErrConflict) {
				return broadcast.Lease{}, fmt.Errorf("take the lease: %w", err)
			}
		}
		if w.Uptime() >= deadline {
			return broadcast.Lease{}, held()
		}
		if err := w.Sleep(ctx, challengePoll); err != nil {
			return broadcast.Lease{}, err
		}
		now, err := w.Store.Lease(ctx, p.KeyID)
		if err != nil {
			return broadcast.Lease{}, fmt.Errorf("watch the lease: %w", err)
		}
		if r := w.challenge(p, lease, now); r != nil {
			return broadcast.Lease{}, r
		}
		if now.Epoch != lease.Epoch {
			since = w.Uptime() // somebody else's: watch from here on
		}
		lease = now
	}
}

// challenge decides by two sights of a lease whether to give up; nil = no.
func (w Worker) challenge(p control.Publisher, was, now broadcast.Lease) *Refusal {
	if now.KeyGeneration != p.Generation {
		return &Refusal{"STREAM_KEY_REPLACED", "the stream key is not valid any more"}
	}
	if r := w.Disconnected(now); r != nil {
		return r
	}
	if now.Holder != nil && now.Epoch == was.Epoch && now.Media != was.Media {
		return held() // it lives
	}
	return nil
}

func held() *Refusal {
	return &Refusal{"ALREADY_PUBLISHING", "somebody is publishing with this stream key already"}
}

// Disconnected refuses while a disconnect holds; nil = it does not.
func (w Worker) Disconnected(l broadcast.Lease) *Refusal {
	wait := l.RefusedUntil.Sub(w.Now())
	if wait <= 0 {
		return nil
	}
	return &Refusal{"DISCONNECTED", fmt.Sprintf("the stream was disconnected; try again in %d s", int(wait/time.Second)+1)}
}

func condition(p control.Publisher, l broadcast.Lease) control.LeaseCondition {
	c := control.LeaseCondition{Generation: p.Generation, Epoch: l.Epoch}
	if l.Holder != nil {
		c.Media = &l.Media
	}
	return c
}
