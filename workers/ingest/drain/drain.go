package drain

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

const (
	tick = time.Second
	// lookEvery is how often the fleet is asked for the wanted colour.
	lookEvery = 10 * time.Second
	callTime  = 5 * time.Second
	// protectAgain is a third of the time for which ECS protects a task.
	protectAgain = 20 * time.Minute
	// emptyFor is how long nobody must have been there: who was on the way
	// when the load balancer let go of this worker has come by then.
	emptyFor = 10 * time.Second
	// joinFor is how long a worker serves that was never wanted: it waits for
	// its colour's turn, which comes when enough of its kind are healthy.
	joinFor = time.Hour
)

// Fleet is what a worker knows of, and does to, the service that it is part
// of. Calls are idempotent.
type Fleet interface {
	// Wanted is the colour that shall serve; "" = every one.
	Wanted(ctx context.Context) (string, error)
	// Register makes the load balancer send new connections here, Deregister
	// makes it stop; connections that are there stay in both cases.
	Register(ctx context.Context) error
	Deregister(ctx context.Context) error
	// Protect keeps scale-in and deployments from ending this task.
	Protect(ctx context.Context, on bool) error
}

// Options of a Drainer. All are required.
type Options struct {
	Fleet  Fleet
	Colour string // this worker's
	// MaxDrain is how long publishers may stay; then they are closed cleanly,
	// and viewers, who are relayed to, have as long again.
	MaxDrain time.Duration
	Gate     *Gate
	// Viewers is how many there are.
	Viewers func() int
	Now     func() time.Time
	// Sleep waits, or answers ctx's error when that ends first.
	Sleep func(ctx context.Context, d time.Duration) error
	Log   *slog.Logger
}

// Drainer watches the wanted colour and drains its worker. One goroutine runs
// it.
type Drainer struct {
	Options
	startedAt, lookedAt time.Time
	// served: this colour was wanted before.
	served bool
	// since is when draining began; zero = this worker serves.
	since time.Time
	// listed: the load balancer sends connections here.
	listed      bool
	protected   bool
	protectedAt time.Time
	busyAt      time.Time
	farewell    Farewell
}

// New makes a Drainer for a worker that its service has registered.
func New(o Options) *Drainer {
	d := &Drainer{Options: o, listed: true}
	d.farewell = d.newFarewell()
	return d
}

func (d *Drainer) newFarewell() Farewell { return Farewell{Gate: d.Gate, Now: d.Now, Sleep: d.Sleep} }

// Run answers nil when the worker is not wanted and empty, and ctx's error
// when that ends first. What fails is tried again; a fleet that does not
// answer changes nothing.
func (d *Drainer) Run(ctx context.Context) error {
	d.startedAt, d.busyAt = d.Now(), d.Now()
	for {
		d.look(ctx)
		d.list(ctx)
		load := d.Gate.Publishers() + d.Viewers()
		if load > 0 {
			d.busyAt = d.Now()
		}
		d.protect(ctx, load > 0)
		if !d.since.IsZero() && !d.listed && !d.protected && d.Now().Sub(d.busyAt) >= emptyFor {
			d.Log.Info("drained", "took", d.Now().Sub(d.since))
			return nil
		}
		if d.since.IsZero() || d.drainedFor() < d.MaxDrain {
			d.farewell = d.newFarewell() // the next drain's time begins anew
		} else if more, err := d.farewell.Next(ctx); err != nil {
			return err
		} else if more {
			continue
		}
		if !d.since.IsZero() && d.drainedFor() >= 2*d.MaxDrain && d.Gate.Publishers() == 0 {
			d.Log.Warn("drained by force: who still watches here is cut", "viewers", d.Viewers())
			return nil
		}
		if err := d.Sleep(ctx, tick); err != nil {
			return err
		}
	}
}

// drainedFor is 0 while this worker serves.
func (d *Drainer) drainedFor() time.Duration {
	if d.since.IsZero() {
		return 0
	}
	return d.Now().Sub(d.since)
}

// look asks for the wanted colour every 10 s.
func (d *Drainer) look(ctx context.Context) {
	now := d.Now()
	if !d.lookedAt.IsZero() && now.Sub(d.lookedAt) < lookEvery {
		return
	}
	d.lookedAt = now
	var wanted string
	err := call(ctx, func(ctx context.Context) (err error) { wanted, err = d.Fleet.Wanted(ctx); return err })
	serve := wanted == "" || wanted == d.Colour
	if err == nil && serve {
		d.served = true
	}
	serve = serve || !d.served && now.Sub(d.startedAt) < joinFor
	switch {
	case err != nil:
		d.Log.Warn("wanted colour not read: all stays as it is", "err", err)
	case !serve && d.since.IsZero():
		d.since = now
		d.Gate.Close()
		d.Log.Info("draining", "colour", d.Colour, "wanted", wanted, "publishers", d.Gate.Publishers(), "viewers", d.Viewers())
	case serve && !d.since.IsZero():
		d.since = time.Time{}
		d.Gate.Open()
		d.Log.Info("serving again", "colour", d.Colour)
	}
}

// list makes the load balancer know what was decided.
func (d *Drainer) list(ctx context.Context) {
	want := d.since.IsZero()
	if d.listed == want {
		return
	}
	change := d.Fleet.Deregister
	if want {
		change = d.Fleet.Register
	}
	if err := call(ctx, change); err != nil {
		d.Log.Warn("load balancer not told, again in a second", "register", want, "err", err)
		return
	}
	d.listed, d.busyAt = want, d.Now()
}

// protect keeps the task while it carries streams.
func (d *Drainer) protect(ctx context.Context, want bool) {
	if d.protected == want && (!want || d.Now().Sub(d.protectedAt) < protectAgain) {
		return
	}
	err := call(ctx, func(ctx context.Context) error { return d.Fleet.Protect(ctx, want) })
	if err != nil {
		d.Log.Warn("task protection not changed, again in a second", "protect", want, "err", err)
		return
	}
	d.protected, d.protectedAt = want, d.Now()
}

func call(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if err := f(ctx); err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	return nil
}
