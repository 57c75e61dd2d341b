package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/workers/ingest/drain"
)

// Main runs serve until SIGTERM or SIGINT, or asks a worker that runs how it
// is, and ends the process.
func Main(serve func(context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if len(os.Args) == 2 && os.Args[1] == "healthcheck" {
		serve = func(ctx context.Context) error { return Healthy(ctx, config.WebPort(config.OSEnv)) }
	}
	err := serve(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "ingest: %v\n", err)
		os.Exit(1)
	}
}

// Run completes o by the settings, listens and serves. ip is this worker's.
func Run(ctx context.Context, c config.Ingest, ip string, o Options, f drain.Fleet) error {
	rtmp, err := net.Listen("tcp", c.RTMP)
	if err != nil {
		return fmt.Errorf("ROOMCAST_RTMP: %w", err)
	}
	web, err := net.Listen("tcp", c.Web)
	if err != nil {
		return errors.Join(fmt.Errorf("ROOMCAST_WEB: %w", err), rtmp.Close())
	}
	o.ID, o.Address = broadcast.WorkerID(o.IDs.New("wrk")), net.JoinHostPort(ip, strconv.Itoa(config.Port(c.Web)))
	o.RelaySecret, o.TimeURL = c.RelaySecret, c.PublicURL+"/time"
	o.MaxViewers, o.MaxViewersPerAddress, o.LoadBalancers = c.MaxViewers, c.MaxViewersPerAddress, c.LoadBalancers
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	w, err := New(o)
	if err != nil {
		return errors.Join(err, rtmp.Close(), web.Close())
	}
	o.Log.Info("serving", "worker", o.ID, "address", o.Address, "colour", c.Colour, "rtmp", rtmp.Addr().String(), "web", web.Addr().String())
	metering, stop := context.WithCancel(ctx)
	defer stop()
	if c.MetricsStack != "" {
		go w.meter(metering, os.Stdout, c.MetricsStack, c.Colour)
	}
	return w.Serve(ctx, Service{RTMP: rtmp, Web: web, Fleet: f, Colour: c.Colour, MaxDrain: c.MaxDrain})
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
