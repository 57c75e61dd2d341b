package sim

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/cmaf"
	"github.com/roomcast/roomcast/internal/control"
)

// Options choose a history. The zero value is seed 0 without a planted bug.
type Options struct {
	Seed uint64
	Bug  Bug
	// Story gets one line for each thing that happens; nil = nobody.
	Story io.Writer
}

// Run lives through the history of a seed and answers how it broke an
// invariant; nil = it did not.
func Run(o Options) error {
	w := newWorld(o)
	defer w.close()
	w.live()
	return w.failure
}

// dice is how hard a history is: some seeds have much of one fault and nothing
// of another.
type dice struct {
	throttle, lost, late, slow, crash float64 // of each call
	outages, pauses, deaths, jumps    float64 // a minute
	unsent, doubled, delayed          float64 // of each event
	calls                             time.Duration
	sweep                             time.Duration
	thief, second, delete             bool
	chaos                             time.Duration
}

func (w *world) roll() dice {
	level := func(most float64) float64 { return []float64{0, most / 8, most}[w.rng.IntN(3)] }
	return dice{
		throttle: level(0.1), lost: level(0.1), late: level(0.05), slow: level(0.3), crash: level(0.03),
		outages: level(2), pauses: level(3), deaths: level(3), jumps: level(3),
		unsent: level(0.3), doubled: level(0.3), delayed: level(0.2),
		calls: w.between(500*time.Millisecond, 6*time.Second),
		sweep: w.between(2*time.Second, 15*time.Second),
		thief: w.chance(0.4), second: w.chance(0.5), delete: w.chance(0.3),
		chaos: w.between(20*time.Second, 100*time.Second),
	}
}

// truthWithin is how long after the last fault the state must be the truth
// (docs/states.md, "The lease").
const truthWithin = 45 * time.Second

// world is everything that there is in one history.
type world struct {
	loop
	rng     *rand.Rand
	dice    dice
	story   io.Writer
	bug     Bug
	failure error
	chaos   bool
	landing []func()      // calls that take effect late; those that have are over
	outage  time.Duration // the store answers nobody until then
	ids     uint64

	store   *Store
	queue   *queue
	service *control.Service
	check   *checker
	workers []*worker
	members []*member
	apps    []control.Caller
	events  map[broadcast.EventID]broadcast.Event
}

var begin = time.Date(2026, 12, 24, 20, 0, 0, 0, time.UTC)

func newWorld(o Options) *world {
	w := &world{
		loop:  loop{procs: map[*proc]struct{}{}},
		rng:   rand.New(rand.NewPCG(o.Seed, 0x9e3779b97f4a7c15)), //nolint:gosec // not a secret
		story: o.Story, bug: o.Bug, events: map[broadcast.EventID]broadcast.Event{},
	}
	w.dice = w.roll()
	w.store = NewStore(w.wall)
	w.store.bug = o.Bug
	w.queue = newQueue(w)
	w.check = newChecker(w)
	w.service = control.New(control.Options{
		Store: &net{w: w}, Objects: nothing{}, CutFront: cmaf.CutFront, IDs: w, Now: w.wall,
		URLs: control.URLs{HTTP: "http://h", RTMP: "rtmp://r"}, Log: slog.New(slog.DiscardHandler),
		Wait: func(ctx context.Context, d time.Duration) error {
			if d >= time.Second {
				// A claim that is to be prolonged, on a goroutine of its own:
				// jobs are over before, or their claims are.
				<-ctx.Done()
				return ctx.Err()
			}
			return w.nap(ctx, w.between(0, 30*time.Millisecond)) // its jitter is nobody's seed
		},
	})
	return w
}

// wall is the true time, and that of functions.
func (w *world) wall() time.Time { return begin.Add(w.now) }

// New implements control.IDs.
func (w *world) New(prefix string) string {
	w.ids++
	return fmt.Sprintf("%s_%06d", prefix, w.ids)
}

// Secret implements control.IDs.
func (w *world) Secret(int) string { return w.New("secret") }

func (w *world) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

func (w *world) between(from, to time.Duration) time.Duration {
	return from + time.Duration(w.rng.Int64N(int64(to-from)+1))
}

// ok says that the history goes on.
func (w *world) ok() bool {
	if w.broken != nil && w.failure == nil {
		w.fail("%v", w.broken)
	}
	return w.failure == nil
}

// fail ends the history: an invariant is broken.
func (w *world) fail(format string, args ...any) {
	if w.failure == nil {
		w.failure = fmt.Errorf("after %s: "+format, append([]any{w.now}, args...)...)
		w.tell("BROKEN: %v", w.failure)
	}
}

// tell adds a line to the story.
func (w *world) tell(format string, args ...any) {
	if w.story != nil {
		_, _ = fmt.Fprintf(w.story, "%9.3fs  "+format+"\n", append([]any{w.now.Seconds()}, args...)...)
	}
}

// live is the whole history: chaos, then calm until everything must be true,
// then what a calm world owes its callers.
func (w *world) live() {
	w.tell("%+v", w.dice)
	w.settle()
	w.chaos = true
	w.trouble()
	w.after(w.dice.chaos-w.between(time.Second, 10*time.Second), w.finale)
	w.run(w.dice.chaos, w.ok)
	w.calm()
	w.run(w.dice.chaos+truthWithin, w.ok)
	if w.ok() {
		w.check.truth()
	}
	if w.ok() {
		w.epilogue()
	}
}

// finale lets publishers leave and a worker die shortly before the faults
// stop: what the faults hide then must be found by the sweeper.
func (w *world) finale() {
	for _, m := range w.members {
		if m.steady {
			continue
		}
		m.done = w.chance(0.7)
		if m.done && m.conn != nil && m.conn.open {
			w.leave(m.conn)
		}
	}
	if w.dice.deaths > 0 && w.chance(0.5) {
		w.oneWorker((*worker).die)
	}
}

// calm ends every fault: what stands still goes on, what is late comes now.
func (w *world) calm() {
	w.tell("---- the faults stop ----")
	w.chaos, w.outage = false, 0
	for _, k := range w.workers {
		if k.until > w.now {
			k.thaw(&w.loop)
			k.stood = w.now
		}
		k.ahead = 0
	}
	for _, land := range w.landing {
		land()
	}
	w.queue.calm()
}

// nothing is an empty bucket.
type nothing struct{}

func (nothing) Put(context.Context, string, [][]byte, control.PutOptions) (string, error) {
	return "", control.ErrConflict
}

func (nothing) Get(_ context.Context, key string) ([]byte, control.ObjectInfo, error) {
	return nil, control.ObjectInfo{}, fmt.Errorf("%s: %w", key, control.ErrNotFound)
}
func (nothing) Delete(context.Context, string) error { return nil }
func (nothing) List(context.Context, string, string, int) ([]control.ObjectInfo, error) {
	return nil, nil
}
