package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// queue takes events once it is there.
type queue struct {
	mu   sync.Mutex
	out  bool
	told []broadcast.Event
}

func (q *queue) Send(_ context.Context, e broadcast.Event) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.out {
		return errors.New("the queue is out")
	}
	q.told = append(q.told, e)
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestTenMinutesOfEventsWaitForTheQueueInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{out: true}
		h := New(Options{Events: q, Now: time.Now, Sleep: sleep, Log: slog.New(slog.DiscardHandler)})
		const keys, sessions = 20, 300 // a publisher that comes back every two seconds
		for n := range sessions {
			for k := range keys {
				for seq, phase := range []broadcast.Phase{broadcast.Prep, broadcast.Published, broadcast.Stopped} {
					h.outbox.send(h.Log, broadcast.Event{
						KeyID: broadcast.KeyID(fmt.Sprint("key_", k)), Epoch: uint64(n + 1), Seq: uint64(seq + 1), Phase: phase,
					})
				}
			}
			time.Sleep(2 * time.Second)
		}
		q.mu.Lock()
		q.out = false
		q.mu.Unlock()
		if err := h.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(q.told) != keys*sessions*3 || h.outbox.total != 0 || len(h.outbox.keys) != 0 {
			t.Fatalf("%d events were told, %d are left", len(q.told), h.outbox.total)
		}
		last := map[broadcast.KeyID]broadcast.Fence{}
		for _, e := range q.told {
			now := broadcast.Fence{Epoch: e.Epoch, Seq: e.Seq}
			if !last[e.KeyID].Before(now) {
				t.Fatalf("%s: %+v after %+v", e.KeyID, now, last[e.KeyID])
			}
			last[e.KeyID] = now
		}
	})
}

func TestWhatIsTooMuchIsLeftToTheSweeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{out: true}
		h := New(Options{Events: q, Now: time.Now, Sleep: sleep, Log: slog.New(slog.DiscardHandler)})
		for n := range maxUntold + 10 {
			h.outbox.send(h.Log, broadcast.Event{KeyID: "key_1", Epoch: 1, Seq: uint64(n + 1), Phase: broadcast.Prep})
		}
		q.mu.Lock()
		q.out = false
		q.mu.Unlock()
		if err := h.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(q.told); n != maxUntold || q.told[n-1].Seq != maxUntold {
			t.Fatalf("%d events were told", n)
		}
	})
}

// Many goroutines send, and the queue is in and out: still one at a time.
func TestOneKeysEventsNeverOvertakeEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		h := New(Options{Events: q, Now: time.Now, Sleep: sleep, Log: slog.New(slog.DiscardHandler)})
		for n := range 1000 {
			if n%100 == 0 {
				q.mu.Lock()
				q.out = !q.out
				q.mu.Unlock()
			}
			h.outbox.send(h.Log, broadcast.Event{KeyID: "key_1", Epoch: 1, Seq: uint64(n)})
			if n%7 == 0 {
				synctest.Wait()
			}
		}
		q.mu.Lock()
		q.out = false
		q.mu.Unlock()
		if err := h.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(q.told) != 1000 || !slices.IsSortedFunc(q.told, func(a, b broadcast.Event) int { return int(a.Seq) - int(b.Seq) }) {
			t.Fatalf("%d events were told, in order: no", len(q.told))
		}
	})
}
