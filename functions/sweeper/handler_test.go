package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

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

// Between two passes, of one invocation and of the next a minute later, there
// are never more than 15 s.
func TestAnIdleInstallationIsLookedAtEvery15Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last, longest time.Duration
		begin := time.Now()
		seen := pass(func() error {
			longest, last = max(longest, time.Since(begin)-last), time.Since(begin)
			return nil
		})
		sweeper, rewaker := &idle{pass: seen}, &idle{pass: func() error { return nil }, busy: 3}
		h := newHandler(sweeper, rewaker, time.Now, slog.New(slog.DiscardHandler))
		for minute := range 3 {
			time.Sleep(time.Until(begin.Add(time.Duration(minute) * time.Minute)))
			if err := h.handle(t.Context(), events.EventBridgeEvent{}); err != nil {
				t.Fatal(err)
			}
		}
		if longest > 15*time.Second || sweeper.passes != 7+5+5 {
			t.Errorf("%d passes, at most %s between two", sweeper.passes, longest)
		}
	})
}

func TestPassesGoOnForMostOfAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		passes, jobs := 0, 0
		var outage error
		h := newHandler(pass(func() error { passes++; return outage }), pass(func() error { jobs++; return nil }), time.Now, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		if err := h.handle(ctx, events.EventBridgeEvent{}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); passes != 28 || jobs != 28 || took != shift {
			t.Errorf("%d passes, %d times jobs in %s", passes, jobs, took)
		}
		outage = errors.New("the store is out")
		short, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		passes = 0
		if err := h.handle(short, events.EventBridgeEvent{}); !errors.Is(err, outage) || passes != 4 {
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
	if err := p.Invoke(lambdatest.Event(t, "sweeper"), nil); err != nil {
		t.Error(err)
	}
}
