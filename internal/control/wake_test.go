package control_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// woken notes wake-ups. Safe for concurrent use.
type woken struct {
	mu  sync.Mutex
	ups []control.WakeUp
	err error
}

func (w *woken) Wake(_ context.Context, list []control.WakeUp) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.ups = append(w.ups, list...)
	}
	return w.err
}

// took answers what was woken since the last time.
func (w *woken) took() []control.WakeUp {
	w.mu.Lock()
	defer w.mu.Unlock()
	ups := w.ups
	w.ups = nil
	return ups
}

// shared gives a recorded world what several processes need: claims that are
// prolonged when the test says so.
func shared(t *testing.T) (r *recorded, f *factory, tick chan struct{}) {
	t.Helper()
	r, f = withFactory(t)
	tick = make(chan struct{})
	r.Service.Wait = func(ctx context.Context, d time.Duration) error {
		if d < time.Second { // a lost race
			return ctx.Err()
		}
		select {
		case <-tick:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return r, f, tick
}

// jobOf answers the job of that kind, after those before it are done.
func (r *recorded) jobOf(kind control.JobKind) control.Job {
	r.Helper()
	for range 10 {
		due, err := r.db.DueJobs(r.Context(), r.clock.now(), 10)
		r.no(err)
		for _, j := range due {
			if j.Kind == kind {
				return j
			}
			r.no(r.RunWoken(r.Context(), j.ID))
		}
		r.clock.pass(time.Second)
	}
	r.Fatalf("no job %s", kind)
	return control.Job{}
}

func TestOfManyThatAreWokenOneDoesTheJob(t *testing.T) {
	r, f, tick := shared(t)
	j := r.jobOf(control.JobTranscode)
	f.beforeProcess = func() {
		// It takes longer than a claim lasts, and is prolonged.
		for range 4 {
			r.clock.pass(15 * time.Second)
			tick <- struct{}{}
			for { // until the claim is written
				now, err := r.db.Job(t.Context(), j.ID)
				if err != nil || now.DueAt.After(r.clock.now().Add(20*time.Second)) {
					break
				}
			}
			if err := r.RunWoken(t.Context(), j.ID); err != nil { // woken once more
				t.Error(err)
			}
		}
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := r.RunWoken(t.Context(), j.ID); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if f.processes != 1 {
		t.Errorf("the job was done %d times", f.processes)
	}
	if _, err := r.db.Job(t.Context(), j.ID); !errors.Is(err, control.ErrNotFound) {
		t.Errorf("the job is still there: %v", err)
	}
	r.no(r.RunWoken(t.Context(), j.ID)) // a late wake-up
}

func TestWhoLosesItsClaimStops(t *testing.T) {
	r, f, tick := shared(t)
	j := r.jobOf(control.JobTranscode)
	var ctx context.Context
	r.Service.Transcoder = stubborn{f, func(c context.Context) {
		ctx = c
		now, err := r.db.Job(t.Context(), j.ID)
		r.no(err)
		other := now
		other.DueAt = now.DueAt.Add(time.Hour)
		r.no(r.db.ClaimJob(t.Context(), now.DueAt, other)) // another took it
		tick <- struct{}{}
		<-c.Done()
	}}
	r.no(r.RunWoken(t.Context(), j.ID))
	if ctx.Err() == nil {
		t.Error("it went on")
	}
	if now, err := r.db.Job(t.Context(), j.ID); err != nil || now.DueAt.Before(r.clock.now().Add(time.Hour)) {
		t.Errorf("it changed the other's claim: %+v %v", now, err)
	}
}

// stubborn is a Transcoder that does something while it processes.
type stubborn struct {
	*factory
	meanwhile func(context.Context)
}

func (s stubborn) Process(ctx context.Context, _ control.ProcessTask, _ func(int)) (control.Processed, error) {
	s.meanwhile(ctx)
	return control.Processed{}, ctx.Err()
}

// launches notes what is launched, and can fail.
type launches struct {
	spare []bool
	last  control.Job
	err   error
}

func (l *launches) Launch(_ context.Context, j control.Job, spare bool) error {
	l.spare, l.last = append(l.spare, spare), j
	return l.err
}

func TestALaunchThatNeverBeginsIsRepeatedOnCapacityThatStays(t *testing.T) {
	r, f, _ := shared(t)
	j := r.jobOf(control.JobSource)
	l := &launches{err: errors.New("no capacity")}
	worker := control.New(r.Options) // the launched process
	r.Service.Launcher = l
	r.no(r.RunWoken(t.Context(), j.ID))
	if due, err := r.db.Job(t.Context(), j.ID); err != nil || !due.DueAt.Equal(r.clock.now().Add(2*time.Second)) {
		t.Errorf("after a failed launch: %+v %v", due, err)
	}
	l.err = nil
	r.clock.pass(10 * time.Second)
	r.no(r.RunWoken(t.Context(), j.ID))
	r.no(r.RunWoken(t.Context(), j.ID)) // woken twice: it is under way
	r.clock.pass(6 * time.Minute)       // and never begins
	r.no(r.RunWoken(t.Context(), j.ID))
	if want := []bool{true, false, false}; !slices.Equal(l.spare, want) || l.last.Launches != 3 || f.sources != 0 {
		t.Errorf("launched %v, last %+v, %d done here", l.spare, l.last, f.sources)
	}
	r.no(worker.RunJob(t.Context(), j.ID))
	r.no(worker.RunJob(t.Context(), j.ID)) // a launch before, which was slow to begin
	if f.sources != 1 {
		t.Errorf("%d done", f.sources)
	}
}

func TestWhatNobodyWasWokenForIsWokenByTheSweeper(t *testing.T) {
	w := newWorld(t)
	deliveries, work := &woken{}, &woken{}
	o := w.Options
	o.Feed, o.Webhooks, o.Deliveries, o.Work = w.db, w.db, deliveries, work
	w.Service = control.New(o)
	rewaker := w.NewRewaker()
	pass := func() {
		t.Helper()
		w.no(rewaker.Pass(t.Context()))
	}
	e, err := w.CreateEndpoint(t.Context(), w.caller, control.EndpointInput{URL: "https://hooks.example/"})
	w.no(err)
	room := w.room()
	w.no(w.db.Commit(t.Context(), control.Changes{ID: "tx", Jobs: []control.Job{{ID: "job", Kind: control.JobClose, DueAt: w.clock.now()}}}))
	pass()
	if len(deliveries.took())+len(work.took()) > 0 || rewaker.Busy() {
		t.Error("woken although it may be under way")
	}
	up := control.WakeUp{EndpointID: e.ID, Group: string(room)}
	w.clock.pass(6 * time.Second)
	work.err = errors.New("the queue is out")
	if err := rewaker.Pass(t.Context()); !errors.Is(err, work.err) {
		t.Errorf("an outage: %v", err)
	}
	if !rewaker.Busy() {
		t.Error("an outage leaves nothing to watch")
	}
	work.err = nil
	feed, err := w.db.Feed(t.Context(), control.FeedFilter{AppID: w.caller.AppID}, 0, 10)
	if w.no(err); len(feed) != 1 {
		t.Errorf("%d events in the feed", len(feed))
	}
	if got := deliveries.took(); !slices.Equal(got, []control.WakeUp{up}) {
		t.Errorf("woken for a new notice: %v", got)
	}
	w.clock.pass(6 * time.Second)
	for range 3 {
		pass()
		w.clock.pass(2 * time.Second)
	}
	if got, jobs := deliveries.took(), work.took(); !slices.Equal(got, []control.WakeUp{up}) || !slices.Equal(jobs, []control.WakeUp{{JobID: "job"}}) {
		t.Errorf("woken again: %v and %v, want each once", got, jobs)
	}
	w.clock.pass(time.Minute)
	pass()
	if len(deliveries.took()) != 1 || len(work.took()) != 1 {
		t.Error("lost twice, and not woken again")
	}
	c, err := w.db.ClaimCursor(t.Context(), control.Cursor{EndpointID: e.ID, Group: string(room)}, "token", w.clock.now(), w.clock.now().Add(time.Minute))
	w.no(err)
	c.DueAt = w.clock.now().Add(10 * time.Minute)
	w.no(w.Webhooks.SaveCursor(t.Context(), c, true))
	up.After = 10 * time.Minute
	if got := deliveries.took(); !slices.Equal(got, []control.WakeUp{up}) {
		t.Errorf("put off for 10 minutes: %v", got)
	}
}

// listed is a store whose list of due jobs is as it was a moment ago.
type listed struct {
	control.Store
	due []control.Job
}

func (l listed) DueJobs(context.Context, time.Time, int) ([]control.Job, error) { return l.due, nil }

// Lanes of two processes on one store saw the same job due: one does it.
func TestLanesOfTwoProcessesDoAJobOnce(t *testing.T) {
	for _, kind := range []control.JobKind{control.JobSource, control.JobTranscode} {
		r, f, _ := shared(t)
		j := r.jobOf(kind)
		o := r.Options
		other := &factory{bucket: r.bucket}
		o.Transcoder, o.Store = other, listed{r.db, []control.Job{j}}
		began, release := make(chan struct{}), make(chan struct{})
		f.beforeProcess = func() { close(began); <-release }
		f.beforeSource = f.beforeProcess
		mine, theirs := r.NewLane(2, kind), control.New(o).NewLane(2, kind)
		r.no(mine.Pass(t.Context()))
		<-began
		for range 3 {
			r.no(theirs.Pass(t.Context()))
			theirs.Wait()
		}
		if n := other.sources + other.processes; n != 0 {
			t.Errorf("%s: the other process did it %d times as well", kind, n)
		}
		close(release)
		mine.Wait()
		if _, err := r.db.Job(t.Context(), j.ID); !errors.Is(err, control.ErrNotFound) {
			t.Errorf("%s: the job is still there: %v", kind, err)
		}
	}
}

func TestASecondTranscoderOfAJobLeaves(t *testing.T) {
	r, f, _ := shared(t)
	j := r.jobOf(control.JobTranscode)
	second := &factory{bucket: r.bucket}
	o := r.Options
	o.Transcoder = second
	f.beforeProcess = func() {
		f.beforeProcess = nil
		r.no(control.New(o).RunJob(t.Context(), j.ID))
		if second.processes != 0 {
			t.Error("the second transcoder works on the first one's job")
		}
		// The first one is dead: its claim is over.
		r.clock.pass(31 * time.Second)
		r.no(control.New(o).RunJob(t.Context(), j.ID))
		f.processErr = context.Canceled // whatever it says
	}
	r.no(r.RunJob(t.Context(), j.ID))
	if f.processes != 1 || second.processes != 1 {
		t.Errorf("begun %d and %d times, want each once", f.processes, second.processes)
	}
	r.is(broadcast.PostProcessed, broadcast.RoomArchived, broadcast.VODArchived)
}

// A task whose spare capacity is taken away says so: another is launched at once.
func TestALaunchedJobThatIsStoppedIsDueAtOnce(t *testing.T) {
	r, f, _ := shared(t)
	j := r.jobOf(control.JobTranscode)
	worker := control.New(r.Options)
	l := &launches{}
	r.Service.Launcher = l
	r.no(r.RunWoken(t.Context(), j.ID))
	ctx, stop := context.WithCancel(t.Context())
	f.beforeProcess, f.processErr = func() { f.beforeProcess = nil; stop() }, context.Canceled
	r.no(worker.RunJob(ctx, j.ID))
	r.no(r.RunWoken(t.Context(), j.ID))
	if want := []bool{true, false}; !slices.Equal(l.spare, want) || l.last.Attempts != 0 {
		t.Fatalf("launched %v, last %+v", l.spare, l.last)
	}
	f.processErr = nil
	r.no(worker.RunJob(t.Context(), j.ID))
	r.is(broadcast.PostProcessed, broadcast.RoomArchived, broadcast.VODArchived)
}

// One machine knows at its start that nobody else is at its jobs.
func TestJobsOfADeadProcessAreDueAtTheNextStart(t *testing.T) {
	r, f, _ := shared(t)
	j := r.jobOf(control.JobTranscode)
	f.beforeProcess = func() { f.beforeProcess = nil; panic("kill -9") }
	func() {
		defer func() { _ = recover() }()
		_ = r.RunWoken(t.Context(), j.ID)
	}()
	r.no(r.RunWoken(t.Context(), j.ID))
	if f.processes != 1 {
		t.Fatal("done while it is claimed")
	}
	r.no(r.FreeJobs(t.Context()))
	r.no(r.RunWoken(t.Context(), j.ID))
	r.is(broadcast.PostProcessed, broadcast.RoomArchived, broadcast.VODArchived)
}
