package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// settle makes apps, members, workers, sweepers and publishers.
func (w *world) settle() {
	ctx := context.Background()
	for range 1 + w.rng.IntN(2) {
		app, key, _, err := w.service.CreateApp(ctx, control.Actor{Kind: "operator"}, "app")
		if err != nil {
			w.fail("set up: %v", err)
			return
		}
		c := control.Caller{AppID: app.ID, Actor: control.Actor{Kind: "api_key", ID: key.ID}}
		w.apps = append(w.apps, c)
		window, limit := 5+w.rng.IntN(30), 20+w.rng.IntN(60)
		var patch control.AppPatch
		if w.chance(0.5) {
			patch.ReconnectWindowSeconds = control.Field[int]{Set: true, Value: &window}
		}
		if w.chance(0.3) {
			patch.MaxLiveSeconds = control.Field[int]{Set: true, Value: &limit}
		}
		if _, err := w.service.UpdateApp(ctx, c, patch); err != nil {
			w.fail("set up: %v", err)
		}
	}
	for range 2 + w.rng.IntN(2) {
		w.newWorker()
	}
	for i := range 1 + w.rng.IntN(3) {
		m := &member{app: w.apps[i%len(w.apps)], userID: fmt.Sprintf("user%d", i)}
		made, _, err := w.service.PutMember(ctx, m.app, control.MemberInput{AppUserID: m.userID})
		if err != nil {
			w.fail("set up: %v", err)
			return
		}
		m.key, m.steady = made.KeyID, w.chance(0.6)
		w.members = append(w.members, m)
		w.own(m, m.userID)
		if w.dice.second && m.steady {
			w.own(m, m.userID+"'s second encoder")
		}
		if w.dice.thief {
			w.steal(m)
		}
	}
	for range 2 {
		w.sweep()
	}
	w.spawn(nil, w.call)
	w.repeat(5*time.Second, func() { _ = w.service.RunJobs(ctx) })
}

// repeat does work again and again, each time in a process that may die of it.
func (w *world) repeat(every time.Duration, work func()) {
	w.after(every, func() {
		w.spawn(nil, func(*proc) { work() })
		w.repeat(every, work)
	})
}

// sweep is one sweeper: a pass, a pause, the next. It may die, and the next
// one has seen nothing yet.
func (w *world) sweep() {
	p := w.spawn(nil, func(p *proc) {
		sweeper := w.service.NewSweeper(w.queue)
		p.sleep(w.between(0, w.dice.sweep))
		for {
			begun := w.now
			if err := sweeper.Pass(context.Background()); err != nil {
				w.innocent("sweep", err)
			}
			p.sleep(max(time.Second, begun+w.dice.sweep-w.now))
		}
	})
	var watch func()
	watch = func() {
		if p.over {
			w.tell("a sweeper begins anew")
			w.sweep()
			return
		}
		w.after(time.Second, watch)
	}
	watch()
}

// trouble lets machines stand still, die and have wrong clocks, and the store
// be away for a while.
func (w *world) trouble() {
	w.often(w.dice.outages, func() {
		d := w.between(time.Second, 25*time.Second)
		w.tell("the store answers nobody for %s", d)
		w.outage = w.now + d
	})
	w.often(w.dice.deaths, func() { w.oneWorker((*worker).die) })
	w.often(w.dice.pauses, func() {
		w.oneWorker(func(k *worker) {
			d := w.between(time.Second, 60*time.Second)
			if w.chance(0.5) { // about as long as a sweeper waits
				d = w.between(13*time.Second, 30*time.Second)
			}
			w.tell("%s stands still for %s", k.id, d)
			k.pause(&w.loop, d)
			k.stood = max(k.stood, w.now+d)
		})
	})
	w.often(w.dice.jumps, func() {
		w.oneWorker(func(k *worker) {
			k.ahead = w.between(-time.Hour, time.Hour)
			w.tell("the clock of %s is %s ahead", k.id, k.ahead)
		})
	})
	w.often(1, w.queue.replay)
}

// awaken lets the machine that holds a lease go on while the lease is being
// buried: a moment that is hardly ever met by chance.
func (w *world) awaken(c control.Changes) {
	for _, l := range c.Leases {
		holder := w.store.leases[l.Lease.KeyID].Holder
		if l.IfRenewals == nil || holder == nil || !w.chaos || !w.chance(0.3) {
			continue
		}
		for _, k := range w.workers {
			if k.id == holder.Worker && k.until > w.now {
				w.tell("%s goes on just now", k.id)
				k.thaw(&w.loop)
				k.stood = w.now
			}
		}
	}
}

// often does something that many times a minute, until the faults stop.
func (w *world) often(aMinute float64, do func()) {
	if aMinute == 0 {
		return
	}
	w.after(time.Duration(w.rng.ExpFloat64()/aMinute*float64(time.Minute)), func() {
		if w.chaos {
			do()
			w.often(aMinute, do)
		}
	})
}

func (w *world) oneWorker(do func(*worker)) {
	if len(w.workers) > 0 {
		do(w.workers[w.rng.IntN(len(w.workers))])
	}
}

// innocent fails the history where an error is neither a refusal nor a fault
// of this world.
func (w *world) innocent(what string, err error) {
	if !onlyFaults(err) {
		w.fail("%s answers an error of its own: %v", what, err)
	}
}

func onlyFaults(err error) bool {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			if onlyFaults(e) {
				return true
			}
		}
		return false
	}
	if one, ok := err.(interface{ Unwrap() error }); ok {
		return onlyFaults(one.Unwrap())
	}
	_, refused := err.(*broadcast.Refusal) //nolint:errorlint // joined errors are walked here
	return err == nil || errors.Is(err, errFault) || refused
}
