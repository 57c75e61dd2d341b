package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

// publisher is a member with an encoder that never gives up, and with shows:
// whenever it can, a room of its goes live.
type publisher struct {
	w    *world
	user string
	mode string
	key  broadcast.KeyID
	wire *wire
	rng  *rand.Rand // of its encoder

	mu    sync.Mutex
	away  time.Time // it does not publish until then
	leave context.CancelFunc
	room  string // the one that it wants to be live; "" = a new one
}

// encode publishes until ctx ends: with the string of now, on some worker.
func (p *publisher) encode(ctx context.Context) {
	for ctx.Err() == nil {
		p.mu.Lock()
		pause := time.Until(p.away)
		p.mu.Unlock()
		if pause <= 0 {
			if err := p.publish(ctx); err != nil && ctx.Err() == nil {
				p.w.tell("%s: %v", p.user, err)
			}
			pause = time.Second
		}
		wait(ctx, min(pause, time.Second))
	}
}

func (p *publisher) publish(ctx context.Context) error {
	var key struct{ StreamKey string }
	if err := p.w.call(ctx, p.rng, http.MethodGet, "/v2/apps/me/members/"+p.user+"/stream-key", nil, &key); err != nil {
		return err
	}
	s := p.w.sites[p.rng.IntN(len(p.w.sites))]
	p.wire.lead(s.rtmp)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.mu.Lock()
	p.leave = cancel
	p.mu.Unlock()
	patient := time.AfterFunc(12*time.Second, cancel) // a process that stands still admits nobody
	defer patient.Stop()
	err := rtmpout.Loop{
		URL: "rtmp://" + p.wire.ln.Addr().String() + "/live/" + key.StreamKey + "?mode=" + p.mode, Tags: p.w.tags,
		Client:    rtmpout.Options{Now: time.Now},
		Connected: func() { patient.Stop(); p.w.tell("%s publishes on %s", p.user, s.name) },
	}.Run(ctx)
	if errors.Is(err, context.Canceled) {
		return errors.New("leaves " + s.name)
	}
	return err
}

// rest lets it leave cleanly and stay away.
func (p *publisher) rest(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = time.Now().Add(d)
	if p.leave != nil {
		p.leave()
	}
}

// perform brings one room after the other on air until ctx ends.
func (p *publisher) perform(ctx context.Context) {
	for rng := rand.New(rand.NewPCG(p.w.seed, 77)); ctx.Err() == nil; wait(ctx, time.Second) {
		p.mu.Lock()
		id := p.room
		p.mu.Unlock()
		if id == "" {
			var made room
			err := p.w.call(ctx, rng, http.MethodPost, "/v2/apps/me/video-rooms", map[string]string{
				"type": "BROADCAST_RTMP", "appUserId": p.user, "title": "a show", "scheduledAt": "2026-12-24T20:00:00Z",
			}, &made)
			if err != nil {
				continue
			}
			id = made.ID
			p.mu.Lock()
			p.room = id
			p.mu.Unlock()
		}
		var r room
		if err := p.w.call(ctx, rng, http.MethodGet, "/v2/apps/me/video-rooms/"+id, nil, &r); err != nil {
			continue
		}
		p.w.seen(r)
		switch r.State {
		case "SCHEDULED":
			if p.w.call(ctx, rng, http.MethodPost, "/v2/apps/me/video-rooms/"+id+"/start", nil, &r) == nil {
				p.w.tell("%s: %s is live", p.user, id)
				p.w.seen(r)
			}
		case "LIVE", "LIVE_INACTIVE":
		default:
			p.mu.Lock()
			p.room = ""
			p.mu.Unlock()
		}
	}
}

// show is the room that it has now; "" = none.
func (p *publisher) show() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.room
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
