package session_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/cmaf"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ids"
	"github.com/roomcast/roomcast/internal/ladder"
	"github.com/roomcast/roomcast/internal/mediatest/check"
	"github.com/roomcast/roomcast/internal/objects/disk"
	"github.com/roomcast/roomcast/internal/queue/local"
	"github.com/roomcast/roomcast/internal/store/sqlite"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
	"github.com/roomcast/roomcast/workers/ingest/session"
	"github.com/roomcast/roomcast/workers/ingest/transcode"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// speed is how much faster than the real one a world's clock runs: leases and
// challenges take seconds. Publishers that are paced go by the same clock.
const speed = 3

// clock runs at speed, and can be set forward. Safe for concurrent use.
type clock struct {
	mu    sync.Mutex
	from  time.Time
	ahead time.Duration
	speed time.Duration
}

func newClock() *clock { return &clock{from: time.Now(), speed: speed} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.from.Add(c.speed*time.Since(c.from) + c.ahead)
}

// run sets how fast it goes; who sleeps does not notice.
func (c *clock) run(speed time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.speed = speed
}

// pass sets the clock forward; who sleeps does not notice.
func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	t := time.NewTimer(d / c.speed)
	c.mu.Unlock()
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// world is one machine without its HTTP side: real store, real queue, real
// directory, real RTMP server, and wrappers in which faults can be planted.
type world struct {
	*testing.T
	clock    *clock
	dir      string
	db       *sqlite.DB
	queue    *local.Queue
	disk     *disk.Disk
	recorder *check.Recorder
	service  *control.Service
	caller   control.Caller
	log      *lines
	worker   *worker // the one that runs now

	// Of workers that are started from now on.
	profile  func(broadcast.ProfileID) (ladder.Profile, error)
	encoder  transcode.Tool
	capacity int
}

func newWorld(t *testing.T, more ...func(*world)) *world { return newWorldIn(t, t.TempDir(), more...) }

// newWorldIn makes a world in a directory; more changes it before its worker
// starts.
func newWorldIn(t *testing.T, dir string, more ...func(*world)) *world {
	t.Helper()
	w := &world{T: t, clock: newClock(), dir: dir, log: &lines{}}
	var err error
	w.db, err = sqlite.Open(filepath.Join(dir, "roomcast.db"), sqlite.Options{Now: w.clock.now})
	w.no(err)
	t.Cleanup(func() { w.no(w.db.Close()) })
	w.queue, err = local.New(t.Context(), w.db.SQL(), local.Options{Now: w.clock.now})
	w.no(err)
	w.disk, err = disk.Open(filepath.Join(dir, "media"))
	w.no(err)
	t.Cleanup(func() { w.no(w.disk.Close()) })
	w.recorder = check.NewRecorder(w.disk)
	log := slog.New(slog.NewTextHandler(w.log, nil))
	w.service = control.New(control.Options{
		Store: w.db, Objects: w.recorder, CutFront: cmaf.CutFront, IDs: ids.New(w.clock.now), Now: w.clock.now,
		URLs: control.URLs{HTTP: "http://h", RTMP: "rtmp://r"}, Log: log,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var consumer sync.WaitGroup
	consumer.Go(func() { w.service.Consume(ctx, w.queue) })
	t.Cleanup(func() { cancel(); consumer.Wait() })
	app, _, _, err := w.service.CreateApp(t.Context(), control.Actor{Kind: "operator"}, "test")
	w.no(err)
	w.caller = control.Caller{AppID: app.ID, Actor: control.Actor{Kind: "api_key"}}
	for _, m := range more {
		m(w)
	}
	w.startWorker()
	t.Cleanup(func() {
		w.worker.stop(t)
		if t.Failed() {
			t.Logf("log:\n%s", w.log)
		}
	})
	return w
}

func (w *world) no(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// worker is one process: a Handler behind an RTMP server.
type worker struct {
	id      broadcast.WorkerID
	faults  *faults
	handler *session.Handler
	server  *rtmpin.Server
	address string
	served  chan error
	stopped sync.Once
}

func (w *world) startWorker() {
	w.Helper()
	source := ids.New(w.clock.now)
	log := slog.New(slog.NewTextHandler(w.log, nil))
	k := &worker{id: broadcast.WorkerID(source.New("wrk")), faults: &faults{}, served: make(chan error, 1)}
	k.handler = session.New(session.Options{
		Worker: k.id, Leases: leases{w.db, k.faults}, Events: events{w.queue, k.faults},
		Objects: objects{w.recorder, k.faults}, IDs: source, Now: w.clock.now, Sleep: w.clock.sleep, Log: log,
		Encoder: w.encoder, Capacity: w.capacity,
		Profiles: func(_ context.Context, id broadcast.ProfileID) (ladder.Profile, error) {
			if w.profile == nil {
				return ladder.Profile{}, nil
			}
			return w.profile(id)
		},
	})
	var err error
	k.server, err = rtmpin.New(rtmpin.Options{Logger: log, Now: time.Now}, k.handler)
	w.no(err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	w.no(err)
	k.address = ln.Addr().String()
	go func() { k.served <- k.server.Serve(context.Background(), ln) }()
	w.worker = k
}

func (k *worker) stop(t *testing.T) {
	k.stopped.Do(func() { k.shutdown(t) })
}

func (k *worker) shutdown(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := errors.Join(k.server.Shutdown(ctx), <-k.served)
	late, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if closed := k.handler.Close(late); !k.faults.dead.Load() {
		err = errors.Join(err, closed)
	}
	if err != nil {
		t.Errorf("stop the worker: %v", err)
	}
}

// crash cuts the worker off from everything, as kill -9 does, and starts
// another on what it left behind. The sweeper's first look at a lease of a
// process that is gone comes with it.
func (w *world) crash() {
	w.Helper()
	old := w.worker
	old.faults.dead.Store(true)
	old.stop(w.T)
	w.startWorker()
	sweeper := w.service.NewSweeper(w.queue)
	sweeper.Alive = func(id broadcast.WorkerID) bool { return id == w.worker.id }
	w.no(sweeper.Pass(w.Context()))
}

// lines is a log. Safe for concurrent use.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var _ io.Writer = (*lines)(nil)
