package lease_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/lease"
)

// counted counts the calls of a store that agrees, but where it fails.
type counted struct {
	renewals, others atomic.Int64
	fail             func() error        // nil = never
	health           []*broadcast.Health // of each renewal
}

func (c *counted) Lease(context.Context, broadcast.KeyID) (broadcast.Lease, error) {
	c.others.Add(1)
	return broadcast.Lease{}, nil
}

func (c *counted) TakeLease(context.Context, broadcast.KeyID, control.LeaseCondition, broadcast.Holder, broadcast.Progress) (broadcast.Lease, error) {
	c.others.Add(1)
	return broadcast.Lease{}, nil
}

func (c *counted) RenewLease(_ context.Context, _ broadcast.KeyID, _ uint64, _ broadcast.SessionID, p broadcast.Progress) error {
	c.renewals.Add(1)
	if c.fail == nil {
		return nil
	}
	c.health = append(c.health, p.Health)
	return c.fail()
}

func (c *counted) ReleaseLease(context.Context, broadcast.KeyID, uint64, broadcast.SessionID, broadcast.Progress) error {
	c.others.Add(1)
	return nil
}

// worker is one on the bubble's clock.
func worker(store lease.Store) lease.Worker {
	begin := time.Now()
	return lease.Worker{
		Store: store, Now: time.Now, Uptime: func() time.Duration { return time.Since(begin) },
		Sleep: func(ctx context.Context, d time.Duration) error {
			select {
			case <-time.After(d):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}
}

// What changed rides along, and again where nobody knows whether it arrived.
func TestARenewalCarriesTheHealthOnlyWhereItIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := []error{nil, nil, errors.New("timeout"), nil, nil}
		bitrates := []int64{1, 1, 2, 2, 2}
		ctx, stop := context.WithCancel(t.Context())
		store := &counted{}
		store.fail = func() error {
			err := answers[len(store.health)-1]
			if len(store.health) == len(answers) {
				stop()
			}
			return err
		}
		held := lease.Held{Worker: worker(store), KeyID: "key_1", Epoch: 1, Session: "ses_1"}
		err := held.Keep(ctx, t.Context(), func() broadcast.Progress {
			return broadcast.Progress{Health: &broadcast.Health{BitrateBPS: bitrates[len(store.health)], Warnings: []string{"slow"}}}
		}, func(error) {})
		if err != nil {
			t.Fatal(err)
		}
		var got []bool
		for _, h := range store.health {
			got = append(got, h != nil)
		}
		if want := []bool{true, false, true, true, false}; !slices.Equal(got, want) {
			t.Errorf("health rode along in renewals %v, want %v", got, want)
		}
	})
}

func TestAWorkerWith100PublishersWritesAtMost50TimesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &counted{}
		w := worker(store)
		ctx, stop := context.WithCancel(t.Context())
		for range 100 {
			go func() {
				held := lease.Held{Worker: w, KeyID: "key_1", Epoch: 1, Session: "ses_1"}
				if err := held.Keep(ctx, t.Context(), func() broadcast.Progress { return broadcast.Progress{} }, func(error) {}); err != nil {
					t.Error(err)
				}
			}()
		}
		const seconds = 60
		time.Sleep(seconds*time.Second + time.Millisecond)
		stop()
		synctest.Wait()
		if n := store.renewals.Load(); n > 50*seconds || n < 49*seconds || store.others.Load() != 0 {
			t.Errorf("%d renewals and %d other calls in %d s", n, store.others.Load(), seconds)
		}
	})
}
