package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/workers/ingest/flvout"
	"github.com/roomcast/roomcast/workers/ingest/hub"
	"github.com/roomcast/roomcast/workers/ingest/relay"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
	"github.com/roomcast/roomcast/workers/ingest/session"
)

// newHub makes the place of this process's RTMP and HTTP-FLV viewers.
func (m *machine) newHub(worker broadcast.WorkerID) (*hub.Hub, error) {
	pull, err := m.puller()
	if err != nil {
		return nil, err
	}
	return hub.New(hub.Options{
		Worker: string(worker), Directory: playIDs{m.backend.records}, Now: time.Now, Sleep: sleep, Log: m.log, Pull: pull,
		MaxViewers: m.settings.MaxViewers, MaxPerAddress: m.settings.MaxViewersPerAddress,
	}), nil
}

// puller fetches streams from other workers; nil on one machine.
func (m *machine) puller() (func(context.Context, string, string, func(rtmpin.Message) error) error, error) {
	if m.settings.RelaySecret == "" {
		if m.backend.shared {
			m.log.Warn("RTMP and HTTP-FLV viewers find only the streams of the worker that they reach: ROOMCAST_RELAY_SECRET is not set")
		}
		return nil, nil //nolint:nilnil // there are no relays
	}
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	if m.settings.RelayTLS {
		var err error
		if transport.TLSClientConfig, err = m.relayTrust(); err != nil {
			return nil, err
		}
	}
	p := &relay.Puller{
		Client: &http.Client{Transport: transport}, Secret: m.settings.RelaySecret, TLS: m.settings.RelayTLS, Path: flvout.RelayPath,
	}
	return p.Pull, nil
}

// relayTrust: workers are reached by private addresses, and show the
// certificate of the public name.
func (m *machine) relayTrust() (*tls.Config, error) {
	public, err := url.Parse(m.settings.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("--public-url: %w", err)
	}
	own, err := os.ReadFile(m.settings.TLSCert)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // the own one will do
	}
	roots.AppendCertsFromPEM(own)
	return &tls.Config{ServerName: public.Hostname(), RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}

// flv serves HTTP-FLV, to viewers and to other workers.
func (m *machine) flv() http.Handler {
	return flvout.New(flvout.Options{Hub: m.hub, Now: time.Now, Log: m.log, Secret: m.settings.RelaySecret})
}

// playIDs leads viewers to streams by the leases.
type playIDs struct{ store control.PlayIDs }

// Find implements hub.Directory.
func (p playIDs) Find(ctx context.Context, id string) (hub.Place, error) {
	lease, err := p.store.LeaseOfPlayID(ctx, broadcast.PlayID(id))
	if errors.Is(err, control.ErrNotFound) {
		return hub.Place{}, hub.ErrNotFound
	}
	if err != nil {
		return hub.Place{}, err
	}
	place := hub.Place{Playable: lease.Mode.RTMP(), Epoch: lease.Epoch}
	if lease.Holder != nil {
		place.Worker, place.Address = string(lease.Holder.Worker), lease.Holder.Address
	}
	return place, nil
}

// live hands publishers to the hub.
type live struct{ hub *hub.Hub }

// Publish implements session.Live.
func (l live) Publish(id broadcast.PlayID, ready func()) session.Feed {
	return l.hub.Publish(string(id), ready)
}
