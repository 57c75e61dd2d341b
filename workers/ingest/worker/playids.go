package worker

import (
	"context"
	"errors"
	"sync"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/workers/ingest/hub"
)

// maxPlayIDs bounds what playIDs remembers.
const maxPlayIDs = 10_000

// playIDs leads viewers to streams by the leases. A play id is only ever one
// key's, so whose it is is remembered: an interrupted stream, whose viewers
// wait, is asked for again and again, and then costs one read. Safe for
// concurrent use.
type playIDs struct {
	store  control.PlayIDs
	leases control.Leases

	mu   sync.Mutex
	keys map[string]broadcast.KeyID
}

// Find implements hub.Directory.
func (p *playIDs) Find(ctx context.Context, id string) (hub.Place, error) {
	lease, err := p.lease(ctx, id)
	if errors.Is(err, control.ErrNotFound) || err == nil && string(lease.PlayID) != id {
		p.remember(id, "")
		return hub.Place{}, hub.ErrNotFound
	}
	if err != nil {
		return hub.Place{}, err
	}
	p.remember(id, lease.KeyID)
	place := hub.Place{Playable: lease.Mode.RTMP(), Epoch: lease.Epoch}
	if lease.Holder != nil {
		place.Worker, place.Address = string(lease.Holder.Worker), lease.Holder.Address
	}
	return place, nil
}

func (p *playIDs) lease(ctx context.Context, id string) (broadcast.Lease, error) {
	p.mu.Lock()
	key := p.keys[id]
	p.mu.Unlock()
	if key != "" {
		return p.leases.Lease(ctx, key)
	}
	return p.store.LeaseOfPlayID(ctx, broadcast.PlayID(id))
}

// remember notes whose id it is; "" forgets it.
func (p *playIDs) remember(id string, key broadcast.KeyID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if key == "" {
		delete(p.keys, id)
		return
	}
	if len(p.keys) >= maxPlayIDs {
		clear(p.keys)
	}
	p.keys[id] = key
}
