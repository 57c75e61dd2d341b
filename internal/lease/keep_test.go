package lease_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/lease"
)

// counted counts the calls of a store that always agrees.
type counted struct{ renewals, others atomic.Int64 }

func (c *counted) Lease(context.Context, broadcast.KeyID) (broadcast.Lease, error) {
	c.others.Add(1)
	return broadcast.Lease{}, nil
}

func (c *counted) TakeLease(context.Context, broadcast.KeyID, control.LeaseCondition, broadcast.Holder, broadcast.Progress) (broadcast.Lease, error) {
	c.others.Add(1)
	return broadcast.Lease{}, nil
}

func (c *counted) RenewLease(context.Context, broadcast.KeyID, uint64, broadcast.SessionID, broadcast.Progress) error {
	c.renewals.Add(1)
	return nil
}

func (c *counted) ReleaseLease(context.Context, broadcast.KeyID, uint64, broadcast.SessionID, broadcast.Progress) error {
	c.others.Add(1)
	return nil
}

func TestAWorkerWith100PublishersWritesAtMost50TimesASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, begin := &counted{}, time.Now()
		w := lease.Worker{
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
