package drain_test

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

	"github.com/roomcast/roomcast/workers/ingest/drain"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

// world is a fleet, a handler behind the gate and its publishers, in a bubble
// of fake time.
type world struct {
	t    *testing.T
	gate *drain.Gate

	mu      sync.Mutex
	wanted  string
	fail    error // of every call
	calls   []string
	viewers int
	rhythm  time.Duration // see LeaveIn
	kicked  []time.Time
	began   time.Time
}

func (w *world) note(call string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail == nil {
		w.calls = append(w.calls, call)
	}
	return w.fail
}

func (w *world) Wanted(context.Context) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wanted, w.fail
}
func (w *world) Register(context.Context) error   { return w.note("register") }
func (w *world) Deregister(context.Context) error { return w.note("deregister") }
func (w *world) Protect(_ context.Context, on bool) error {
	return w.note(fmt.Sprintf("protect %t", on))
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.calls)
}

// Publish implements rtmpin.Handler.
func (w *world) Publish(context.Context, rtmpin.PublishRequest, rtmpin.Conn) (rtmpin.Publisher, error) {
	return publisher{w}, nil
}

type publisher struct{ w *world }

func (publisher) Message(rtmpin.Message) error { return nil }

// LeaveIn implements drain.Leaver: all key frames come at the same moments.
func (p publisher) LeaveIn(now time.Time) time.Duration {
	if p.w.rhythm == 0 {
		return 0
	}
	return p.w.rhythm - now.Sub(p.w.began)%p.w.rhythm
}
func (publisher) End(rtmpin.EndCause, error) {}
func (c *conn) Kick(_, _ string) {
	c.w.set(func() { c.w.kicked = append(c.w.kicked, time.Now()) })
	c.pub.End(0, nil)
}

type conn struct {
	w   *world
	pub rtmpin.Publisher
}

// enter is one publisher; nil = refused.
func (w *world) enter() *conn {
	c := &conn{w: w}
	pub, err := w.gate.Publish(w.t.Context(), rtmpin.PublishRequest{}, lazy{c})
	if err != nil {
		var r *rtmpin.Reject
		if !errors.As(err, &r) || r.Code != "NetStream.Publish.Failed" {
			w.t.Errorf("refused with %v", err)
		}
		return nil
	}
	c.pub = pub
	return c
}

// lazy kicks on a goroutine of its own, as a connection does.
type lazy struct{ *conn }

func (l lazy) Kick(code, text string) { go l.conn.Kick(code, text) }

func run(t *testing.T, colour string, maxDrain time.Duration, test func(w *world, drained <-chan error)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, wanted: "blue", began: time.Now()}
		w.gate = drain.NewGate(w)
		d := drain.New(drain.Options{
			Fleet: w, Colour: colour, MaxDrain: maxDrain, Gate: w.gate, Now: time.Now, Log: slog.New(slog.DiscardHandler),
			Viewers: func() int { w.mu.Lock(); defer w.mu.Unlock(); return w.viewers },
			Sleep: func(ctx context.Context, d time.Duration) error {
				select {
				case <-time.After(d):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		drained := make(chan error, 1)
		go func() { drained <- d.Run(ctx) }()
		time.Sleep(500 * time.Millisecond) // between two ticks
		test(w, drained)
		cancel()
		synctest.Wait()
	})
}

func pending(t *testing.T, drained <-chan error) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-drained:
		t.Fatalf("the worker ended: %v", err)
	default:
	}
}

func TestAWorkerThatIsWantedStaysAndIsProtectedWhileItCarriesStreams(t *testing.T) {
	run(t, "blue", time.Hour, func(w *world, drained <-chan error) {
		a := w.enter()
		time.Sleep(61 * time.Minute)
		a.pub.End(0, nil)
		time.Sleep(time.Hour)
		pending(t, drained)
		want := []string{"protect true", "protect true", "protect true", "protect true", "protect false"}
		if got := w.told(); !slices.Equal(got, want) {
			t.Errorf("the fleet was told %v", got)
		}
	})
}

func TestADrainingWorkerLetsNobodyInAndEndsWhenItIsEmpty(t *testing.T) {
	run(t, "blue", 12*time.Hour, func(w *world, drained <-chan error) {
		a := w.enter()
		w.set(func() { w.wanted = "green"; w.viewers = 1 })
		time.Sleep(11 * time.Second)
		if w.enter() != nil {
			t.Error("a publisher came in")
		}
		if got := w.told(); !slices.Equal(got, []string{"protect true", "deregister"}) {
			t.Errorf("the fleet was told %v", got)
		}
		time.Sleep(6 * time.Hour)
		pending(t, drained)
		a.pub.End(0, nil)
		time.Sleep(time.Hour)
		pending(t, drained) // a viewer is still here
		w.set(func() { w.viewers = 0 })
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if calls := w.told(); calls[len(calls)-1] != "protect false" {
			t.Errorf("still protected: %v", calls)
		}
	})
}

func TestAnEmptyWorkerWaitsForThoseWhoWereOnTheWay(t *testing.T) {
	run(t, "blue", time.Hour, func(w *world, drained <-chan error) {
		w.set(func() { w.wanted = "green" })
		begin := time.Now()
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if d := time.Since(begin); d < 15*time.Second || d > 25*time.Second {
			t.Errorf("it took %s", d)
		}
	})
}

func TestAWorkerServesBeforeItsColourIsWantedButNotForEver(t *testing.T) {
	run(t, "green", 12*time.Hour, func(w *world, drained <-chan error) {
		time.Sleep(50 * time.Minute)
		pending(t, drained)
		if w.enter() == nil || len(w.told()) != 0 {
			t.Errorf("it does not serve; the fleet was told %v", w.told())
		}
		time.Sleep(11 * time.Minute)
		if w.enter() != nil || !slices.Contains(w.told(), "deregister") {
			t.Errorf("a colour that never came still serves after an hour; the fleet was told %v", w.told())
		}
	})
}

func TestAfterMaxDrainPublishersAreSentAwayAtMostFiveASecond(t *testing.T) {
	run(t, "blue", time.Hour, func(w *world, drained <-chan error) {
		for range 20 {
			w.enter()
		}
		w.set(func() { w.wanted = "green"; w.viewers = 3 })
		if err := <-drained; err != nil {
			t.Error(err)
		}
		if len(w.kicked) != 20 {
			t.Fatalf("%d of 20 were sent away", len(w.kicked))
		}
		for i := range w.kicked[5:] {
			if d := w.kicked[i+5].Sub(w.kicked[i]); d < time.Second {
				t.Errorf("6 publishers were sent away within %s", d)
			}
		}
		if d := w.kicked[0].Sub(w.began); d < time.Hour || d > time.Hour+time.Minute {
			t.Errorf("the first one after %s", d)
		}
		if d := time.Since(w.began); d < 2*time.Hour || d > 2*time.Hour+time.Minute {
			t.Errorf("its viewers were cut after %s", d)
		}
	})
}

// Who may not stay at all stays as long as the worker is wanted.
func TestWithoutTimeToDrainAWantedWorkerServes(t *testing.T) {
	run(t, "blue", 0, func(w *world, drained <-chan error) {
		time.Sleep(time.Minute)
		w.enter()
		time.Sleep(time.Minute)
		pending(t, drained)
		if len(w.kicked) > 0 {
			t.Error("its publisher was sent away")
		}
		w.set(func() { w.wanted = "green" })
		if err := <-drained; err != nil || len(w.kicked) != 1 {
			t.Errorf("%v, %d were sent away", err, len(w.kicked))
		}
	})
}

// TestPublishersAreSentAwayAtGoodMomentsAndInTime: a few with time between
// them, each when its encoder will be back before its next key frame; many as
// fast as those who take them in allow, within what SIGTERM leaves.
func TestPublishersAreSentAwayAtGoodMomentsAndInTime(t *testing.T) {
	for name, c := range map[string]struct {
		publishers  int
		rhythm      time.Duration
		least, most time.Duration // from the first to the last
	}{
		"one":                       {1, 10 * time.Second, 0, 0},
		"a few at any moment":       {10, 0, 18 * time.Second, 18 * time.Second},
		"a few at the same moments": {5, 2 * time.Second, 16 * time.Second, 16 * time.Second},
		"hundreds":                  {250, 0, 49 * time.Second, 70 * time.Second},
		"hundreds with a rhythm":    {400, 2 * time.Second, 79 * time.Second, 95 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, "blue", time.Hour, func(w *world, _ <-chan error) {
				w.rhythm = c.rhythm
				for range c.publishers {
					w.enter()
				}
				farewell := drain.Farewell{Gate: w.gate, Now: time.Now, Sleep: func(_ context.Context, d time.Duration) error { time.Sleep(d); return nil }}
				if err := farewell.All(t.Context()); err != nil || len(w.kicked) != c.publishers {
					t.Fatalf("%d of %d were sent away: %v", len(w.kicked), c.publishers, err)
				}
				if took := w.kicked[c.publishers-1].Sub(w.kicked[0]); took < c.least || took > c.most {
					t.Errorf("it took %s, not %s to %s", took, c.least, c.most)
				}
				for _, at := range w.kicked {
					if c.rhythm > 0 && c.publishers < 10 && at.Sub(w.began)%c.rhythm != 0 {
						t.Errorf("one was sent away %s behind its moment", at.Sub(w.began)%c.rhythm)
					}
				}
			})
		})
	}
}

func TestWhoIsWantedAgainKeepsWhoHasNotBeenSentAway(t *testing.T) {
	run(t, "blue", time.Hour, func(w *world, drained <-chan error) {
		for range 60 {
			w.enter()
		}
		w.set(func() { w.wanted = "green" })
		for w.gate.Publishers() == 60 {
			time.Sleep(time.Second)
		}
		w.set(func() { w.wanted = "blue" })
		time.Sleep(20 * time.Second)
		left := w.gate.Publishers()
		time.Sleep(time.Hour)
		pending(t, drained)
		if left == 0 || left != w.gate.Publishers() || w.enter() == nil {
			t.Errorf("of 60 publishers %d stayed at first, and %d in the end", left, w.gate.Publishers())
		}
	})
}

func TestAWorkerThatIsWantedAgainServesAgain(t *testing.T) {
	run(t, "blue", 12*time.Hour, func(w *world, drained <-chan error) {
		w.enter()
		w.set(func() { w.wanted = "green" })
		time.Sleep(time.Minute)
		w.set(func() { w.wanted = "blue" })
		time.Sleep(time.Minute)
		if w.enter() == nil {
			t.Error("it still refuses")
		}
		time.Sleep(24 * time.Hour)
		pending(t, drained)
		if calls := w.told(); calls[1] != "deregister" || calls[2] != "register" || len(w.kicked) != 0 {
			t.Errorf("the fleet was told %v, %d sent away", calls, len(w.kicked))
		}
	})
}

func TestAFleetThatDoesNotAnswerChangesNothingAndIsAskedAgain(t *testing.T) {
	run(t, "blue", 12*time.Hour, func(w *world, drained <-chan error) {
		w.set(func() { w.fail = errors.New("throttled"); w.wanted = "green" })
		w.enter()
		time.Sleep(time.Hour)
		pending(t, drained)
		if w.enter() == nil {
			t.Error("an outage made it drain")
		}
		w.set(func() { w.fail = nil })
		time.Sleep(11 * time.Second)
		if got := w.told(); !slices.Contains(got, "protect true") || !slices.Contains(got, "deregister") {
			t.Errorf("after the outage the fleet was told %v", got)
		}
	})
}
