package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast/internal/lambdatest"
	"github.com/roomcast/roomcast/internal/localstacktest"
)

type pass func() error

func (p pass) Pass(context.Context) error { return p() }
func (p pass) Busy() bool                 { return true }

// idle has something to watch for so many passes.
type idle struct {
	pass
	passes, busy int
}

func (i *idle) Pass(ctx context.Context) error { i.passes++; return i.pass.Pass(ctx) }
func (i *idle) Busy() bool                     { return i.passes <= i.busy }

// scheduled is what the scheduler says, taken what the table's stream says when
// a publisher has taken a lease.
func scheduled() call { return call{} }
func taken() call     { return call{Records: []json.RawMessage{[]byte("{}")}} }

func TestWhereNothingIsThereToWatchOneLookAMinuteIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sweeper, rewaker := &idle{pass: func() error { return nil }}, &idle{pass: func() error { return nil }}
		h := newHandler(sweeper, rewaker, time.Now, slog.New(slog.DiscardHandler))
		begin := time.Now()
		if err := h.handle(t.Context(), scheduled()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); sweeper.passes != 1 || rewaker.passes != 1 || took != 0 {
			t.Errorf("%d and %d passes in %s", sweeper.passes, rewaker.passes, took)
		}
		outage := errors.New("the store is out")
		sweeper.pass = func() error {
			if sweeper.passes > 5 {
				return nil
			}
			return outage
		}
		if err := h.handle(t.Context(), scheduled()); err != nil || sweeper.passes != 6 {
			t.Errorf("after an outage: %d passes, %v", sweeper.passes, err)
		}
	})
}

// A publisher takes a lease at any time of the scheduler's minute, and the
// index shows it up to a second later. From then on there are never 15 s
// between two passes: of the call by the stream and of the scheduled ones,
// which find the lease.
func TestFromThePublisherOnNothingIsUnseenForLongerThan15Seconds(t *testing.T) {
	for taking := time.Duration(0); taking < time.Minute; taking += 500 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			const late, lives = time.Second, 5 * time.Minute
			begin := time.Now()
			at := func() time.Duration { return time.Since(begin) }
			var mu sync.Mutex
			last, longest := taking, time.Duration(0)
			invoke := func(c call) {
				sweeper := &watching{held: func() bool { return at() >= taking+late && at() < taking+lives }, seen: func() {
					mu.Lock()
					defer mu.Unlock()
					longest, last = max(longest, at()-last), at()
				}}
				h := newHandler(sweeper, &idle{pass: func() error { return nil }}, time.Now, slog.New(slog.DiscardHandler))
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := h.handle(ctx, c); err != nil {
					t.Error(err)
				}
			}
			go func() { time.Sleep(taking); invoke(taken()) }()
			for minute := time.Duration(0); minute < lives+2*time.Minute; minute += time.Minute {
				time.Sleep(time.Until(begin.Add(minute)))
				go invoke(scheduled())
			}
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if longest > 15*time.Second || last < taking+lives-15*time.Second {
				t.Errorf("taken at %s: %s between two passes, the last one at %s", taking, longest, last)
			}
		})
	}
}

// watching is busy while a lease is held. seen is told the passes that see it.
type watching struct {
	held func() bool
	seen func()
	busy bool
}

func (w *watching) Pass(context.Context) error {
	if w.busy = w.held(); w.busy {
		w.seen()
	}
	return nil
}
func (w *watching) Busy() bool { return w.busy }

func TestPassesGoOnForMostOfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		passes, jobs := 0, 0
		var outage error
		h := newHandler(pass(func() error { passes++; return outage }), pass(func() error { jobs++; return nil }), time.Now, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		if err := h.handle(ctx, scheduled()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); passes != 28 || jobs != 28 || took != shift {
			t.Errorf("%d passes, %d times jobs in %s", passes, jobs, took)
		}
		outage = errors.New("the store is out")
		short, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		passes = 0
		if err := h.handle(short, scheduled()); !errors.Is(err, outage) || passes != 4 {
			t.Errorf("%d passes in 10 s of an outage: %v", passes, err)
		}
	})
}

func TestTheBuiltBootstrapSweeps(t *testing.T) {
	account := localstacktest.New(t)
	data, queues := account.Deploy(t, "data"), account.Deploy(t, "queues")
	p := lambdatest.Cold(t, "sweeper", map[string]string{
		"AWS_REGION": localstacktest.Region, "AWS_ENDPOINT_URL": localstacktest.Endpoint,
		"AWS_ACCESS_KEY_ID": account.AccessKey, "AWS_SECRET_ACCESS_KEY": account.SecretKey,
		"ROOMCAST_TABLE": data["TableName"], "ROOMCAST_STATE_EVENTS_URL": queues["StateEventsUrl"],
		"ROOMCAST_DELIVERIES_URL": queues["DeliveriesUrl"], "ROOMCAST_JOBS_URL": queues["JobsUrl"],
	})
	p.Deadline = 6 * time.Second
	for _, event := range []string{"sweeper", "sweeper-taken"} {
		if err := p.Invoke(lambdatest.Event(t, event), nil); err != nil {
			t.Errorf("%s: %v", event, err)
		}
	}
}
