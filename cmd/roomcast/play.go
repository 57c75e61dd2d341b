package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/workers/ingest/flvout"
	"github.com/roomcast/roomcast/workers/ingest/hub"
	"github.com/roomcast/roomcast/workers/ingest/session"
)

// newHub makes the place of this machine's RTMP and HTTP-FLV viewers.
func (m *machine) newHub(worker broadcast.WorkerID) *hub.Hub {
	return hub.New(hub.Options{
		Worker: string(worker), Directory: playIDs{m.backend.records}, Now: time.Now, Sleep: sleep, Log: m.log,
		MaxViewers: m.settings.MaxViewers, MaxPerAddress: m.settings.MaxViewersPerAddress,
	})
}

// flv serves HTTP-FLV. On one machine there are no relays.
func (m *machine) flv() http.Handler {
	return flvout.New(flvout.Options{Hub: m.hub, Now: time.Now, Log: m.log})
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
