package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/telemetry"
)

const (
	// shutdownWithin is how long a clean end may take; a second signal ends at once.
	shutdownWithin = 9 * time.Second
	// sameSignal is the time in which signals are one: make, or whoever ends a
	// whole process group, passes it on to a process that has it already.
	sameSignal = 300 * time.Millisecond
)

type upCmd struct {
	Data      string `help:"Directory that holds everything (ROOMCAST_DATA, default .roomcast)." placeholder:"DIR"`
	HTTP      string `name:"http" help:"Address of API, watch page and media (ROOMCAST_HTTP, default 127.0.0.1:8080)." placeholder:"ADDR"`
	RTMP      string `name:"rtmp" help:"Address of RTMP ingest (ROOMCAST_RTMP, default 127.0.0.1:1935)." placeholder:"ADDR"`
	PublicURL string `name:"public-url" help:"How others reach the HTTP address (ROOMCAST_PUBLIC_URL)." placeholder:"URL"`

	TLSCert string `name:"tls-cert" help:"PEM certificate: HTTPS and RTMPS beside plain RTMP; read again when it changes (ROOMCAST_TLS_CERT)." placeholder:"FILE"`
	TLSKey  string `name:"tls-key" help:"Its private key (ROOMCAST_TLS_KEY)." placeholder:"FILE"`

	MaxViewers           int `help:"RTMP and HTTP-FLV viewers at a time (ROOMCAST_MAX_VIEWERS, default 20000)." placeholder:"N"`
	MaxViewersPerAddress int `help:"of one address (ROOMCAST_MAX_VIEWERS_PER_ADDRESS, default 1000)." placeholder:"N"`

	Capacity int `help:"Streams that are taken, where each rendition of a live ladder counts as many (ROOMCAST_CAPACITY, default 400 a core)." placeholder:"N"`

	InsecureWebhooks bool `help:"Admit webhook endpoints without TLS and at private addresses, for development (ROOMCAST_INSECURE_WEBHOOKS=true)."`

	LogFormat string `name:"log-format" help:"Of the log on standard error: text or json (ROOMCAST_LOG_FORMAT, default text)." placeholder:"NAME"`

	Backend string `help:"What keeps state and media: local or aws (ROOMCAST_BACKEND, default local)." placeholder:"NAME"`
}

// Run serves until SIGINT or SIGTERM.
func (c *upCmd) Run() error {
	settings, err := config.LoadUp(config.Up{
		Data: c.Data, HTTP: c.HTTP, RTMP: c.RTMP, PublicURL: c.PublicURL, Backend: config.Backend(c.Backend),
		TLSCert: c.TLSCert, TLSKey: c.TLSKey, LogFormat: c.LogFormat,
		MaxViewers: c.MaxViewers, MaxViewersPerAddress: c.MaxViewersPerAddress, Capacity: c.Capacity, InsecureWebhooks: c.InsecureWebhooks,
	}, config.OSEnv)
	if err != nil {
		return fmt.Errorf("wrong settings:\n%w", err)
	}
	log := slog.New(telemetry.NewTextHandler(os.Stderr))
	if settings.LogFormat == "json" {
		log = telemetry.Logger(slog.LevelInfo)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	m, err := start(context.Background(), settings, log)
	if err != nil {
		return err
	}
	m.banner(os.Stdout)
	select {
	case s := <-signals:
		log.Info("stopping: publishers are closed cleanly, a second signal ends at once", "signal", s.String())
	case err = <-m.failed:
		log.Error("stopping", "err", err)
	}
	go func() {
		time.Sleep(sameSignal)
		for len(signals) > 0 {
			<-signals
		}
		<-signals
		log.Error("ended at once by a second signal")
		os.Exit(1)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), shutdownWithin)
	defer cancel()
	return errors.Join(err, m.stop(ctx))
}
