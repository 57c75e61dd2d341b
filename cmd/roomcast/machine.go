package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/cmaf"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ffmpeg"
	"github.com/roomcast/roomcast/internal/ids"
	"github.com/roomcast/roomcast/internal/store/sqlite"
	"github.com/roomcast/roomcast/workers/ingest/worker"
)

// sweepEvery and jobsEvery are the tickers that stand for AWS's scheduler and
// job queue on one machine.
const (
	sweepEvery = 2 * time.Second
	jobsEvery  = 500 * time.Millisecond
	// idleEvery is how late work may be that only time makes due.
	idleEvery = time.Second
)

// machine is everything that runs in this process.
type machine struct {
	settings config.Up
	log      *slog.Logger
	creds    credentials
	urls     control.URLs

	lock    *sqlite.DirLock
	backend *backend
	service *control.Service
	ingest  *worker.Worker
	http    *http.Server
	rtmpLn  net.Listener
	httpLn  net.Listener

	failed chan error // a server that ended by itself
	cancel context.CancelFunc
	loops  sync.WaitGroup
}

// start brings everything up, or nothing: a port in use or a directory that
// cannot be used leaves all as it was.
func start(ctx context.Context, settings config.Up, log *slog.Logger) (_ *machine, err error) {
	m := &machine{settings: settings, log: log, failed: make(chan error, 2)}
	ctx, m.cancel = context.WithCancel(ctx)
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	if m.lock, err = sqlite.Lock(settings.Data); err != nil {
		return nil, err
	}
	if err = m.listen(); err != nil {
		return nil, err
	}
	m.urls.HTTP, m.urls.RTMP = settings.PublicURLs(m.httpLn.Addr(), m.rtmpLn.Addr())
	if err := m.open(ctx); err != nil {
		return nil, err
	}
	m.run(ctx)
	return m, nil
}

// open makes every part and connects them.
func (m *machine) open(ctx context.Context) error {
	source := ids.New(time.Now)
	var err error
	if m.backend, err = openBackend(ctx, m.settings, m.log); err != nil {
		return err
	}
	objects := m.backend.media
	tool := ffmpeg.New(ctx)
	m.service = control.New(m.withCustomers(control.Options{
		Store: m.backend.records, Objects: objects, IDs: source, Now: time.Now, URLs: m.urls, Log: m.log,
		Transcoder: m.transcoder(tool, objects), CutFront: cmaf.CutFront, DeadEvents: m.backend.queue,
	}))
	if !m.backend.shared {
		if err = m.service.FreeJobs(ctx); err != nil {
			return err
		}
	}
	if m.creds, err = loadCredentials(ctx, m.settings, m.service, source); err != nil {
		return err
	}
	trust, err := m.relayTrust()
	if err != nil {
		return err
	}
	capacity := m.settings.Capacity
	if capacity == 0 {
		capacity = worker.CapacityPerCore * runtime.NumCPU()
	}
	m.ingest, err = worker.New(worker.Options{
		ID: broadcast.WorkerID(source.New("wrk")), Address: m.settings.RelayAddress, RelaySecret: m.settings.RelaySecret, RelayTLS: trust,
		Leases: m.backend.records, PlayIDs: m.backend.records, Events: m.backend.queue,
		Objects: objects, IDs: source, Now: time.Now, Sleep: sleep, TimeURL: m.urls.HTTP + "/time", Log: m.log,
		MaxViewers: m.settings.MaxViewers, MaxViewersPerAddress: m.settings.MaxViewersPerAddress, Capacity: capacity,
	}.WithLadders(m.backend.records, tool))
	if err != nil {
		return err
	}
	handler, err := m.handler(source, objects.Handler())
	if err != nil {
		return err
	}
	m.http = m.server(handler)
	return nil
}

// run starts the goroutines; stop waits for them.
func (m *machine) run(ctx context.Context) {
	m.loops.Go(func() { m.service.Consume(ctx, m.backend.queue) })
	m.loops.Go(func() { m.sweep(ctx) })
	m.lanes(ctx)
	m.customers(ctx)
	m.loops.Go(func() {
		if err := m.ingest.ServeRTMP(ctx, m.rtmpLn); err != nil {
			m.failed <- fmt.Errorf("rtmp server: %w", err)
		}
	})
	m.loops.Go(func() {
		if err := m.http.Serve(m.httpLn); !errors.Is(err, http.ErrServerClosed) {
			m.failed <- fmt.Errorf("http server: %w", err)
		}
	})
}

// sweep restores the truth. On one machine every worker but this process's own
// is dead, as the data directory is locked; elsewhere others live.
func (m *machine) sweep(ctx context.Context) {
	sweeper := m.service.NewSweeper(m.backend.queue)
	if !m.backend.shared {
		sweeper.Alive = func(w broadcast.WorkerID) bool { return w == m.ingest.ID }
	}
	every(ctx, sweepEvery, m.log, "sweep", sweeper.Pass)
}

// whenDue does the work whenever it may be due, but with a pause in between.
// Who asked the database each pause would keep an idle machine busy.
func (m *machine) whenDue(ctx context.Context, pause time.Duration, name string, work func(context.Context) error) {
	changed := m.backend.changed
	if changed == nil {
		every(ctx, pause, m.log, name, work)
		return
	}
	first := make(chan struct{})
	close(first)
	told := (<-chan struct{})(first) // once at the start
	every(ctx, pause, m.log, name, func(ctx context.Context) error {
		wait, cancel := context.WithTimeout(ctx, idleEvery-pause)
		defer cancel()
		select {
		case <-told:
		case <-wait.Done():
		}
		told = changed() // before the work: what changes meanwhile is not missed
		return work(ctx)
	})
}

// every does the work at once and then again after each pause.
func every(ctx context.Context, pause time.Duration, log *slog.Logger, name string, work func(context.Context) error) {
	for ctx.Err() == nil {
		if err := work(ctx); err != nil && ctx.Err() == nil {
			log.Error("comes again", "work", name, "err", err)
		}
		if sleep(ctx, pause) != nil {
			return
		}
	}
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

// stop closes the publishers cleanly, tells their ends, and closes the rest.
func (m *machine) stop(ctx context.Context) error {
	err := m.ingest.Stop(ctx)
	web, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if m.http.Shutdown(web) != nil {
		err = errors.Join(err, m.http.Close()) // viewers that still load
	}
	return errors.Join(err, m.close())
}

// close ends the goroutines and gives back what was opened, in reverse.
func (m *machine) close() error {
	if m.ingest != nil {
		m.ingest.Close()
	}
	m.cancel()
	m.loops.Wait()
	var err error
	for _, ln := range []net.Listener{m.rtmpLn, m.httpLn} {
		if ln != nil {
			_ = ln.Close() // the servers have closed them mostly
		}
	}
	if m.backend != nil {
		err = m.backend.close()
	}
	if m.lock != nil {
		err = errors.Join(err, m.lock.Unlock())
	}
	return err
}
