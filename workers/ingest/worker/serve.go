package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/listen"
	"github.com/roomcast/roomcast/workers/ingest/drain"
	"github.com/roomcast/roomcast/workers/ingest/flvout"
)

// Service is how a worker runs as a process of its own.
type Service struct {
	// RTMP serves RTMP alone; Web RTMP, HTTP-FLV, relays and /healthz, told
	// apart by the first byte.
	RTMP, Web net.Listener
	Fleet     drain.Fleet
	Colour    string
	MaxDrain  time.Duration
}

// endWithin is what Fargate leaves between SIGTERM and the end: 120 s at most
// (infra/workers.yaml, StopTimeout).
const endWithin = 110 * time.Second

// Serve runs until the worker has drained, or ctx ends: then publishers are
// sent away one after the other, and their ends told, within 110 s. The listeners
// are closed.
func (w *Worker) Serve(ctx context.Context, s Service) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	failed := make(chan error, 3)
	port := listen.Split(s.Web, listen.Options{Now: w.Now, RTMP: true, HTTP: true})
	web := &http.Server{Handler: w.web(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	start := func(what string, serve func() error) {
		loops.Go(func() {
			if err := serve(); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
				failed <- fmt.Errorf("%s: %w", what, err)
			}
		})
	}
	start("rtmp", func() error { return w.ServeRTMP(serving, s.RTMP) })
	start("rtmp on the web port", func() error { return w.ServeRTMP(serving, port.RTMP) })
	start("http", func() error { return web.Serve(port.HTTP) })

	draining, stopDraining := context.WithCancel(ctx)
	drained := make(chan error, 1)
	drainer := drain.New(drain.Options{
		Fleet: s.Fleet, Colour: s.Colour, MaxDrain: s.MaxDrain, Gate: w.Gate, Viewers: w.Viewers,
		Now: w.Now, Sleep: w.Sleep, Log: w.Log,
	})
	go func() { drained <- drainer.Run(draining) }()
	var err error
	select {
	case err = <-drained:
		drained <- err
	case err = <-failed:
	}
	stopDraining()
	<-drained
	if ctx.Err() != nil {
		err = nil // asked to end
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	w.Gate.Close()
	farewell := drain.Farewell{Gate: w.Gate, Now: w.Now, Sleep: w.Sleep}
	err = errors.Join(err, farewell.All(ending), w.Stop(ending), web.Close())
	w.Close()
	stop()
	loops.Wait()
	return err
}

// web is what is served as HTTP. /healthz says that the process runs: a worker
// that drains is healthy, or ECS would replace it under its publishers.
func (w *Worker) web() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/flv/", w.flv)
	mux.Handle(flvout.RelayPath, w.flv)
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(rw, "ok") // the caller left
	})
	return mux
}

// Healthy asks a worker on this machine.
func Healthy(ctx context.Context, port string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort("127.0.0.1", port)+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Timeout: 3 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return errors.Join(err, resp.Body.Close())
}
