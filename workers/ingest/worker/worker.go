// Package worker puts the stages of ingest together: RTMP in, segments out,
// and the RTMP and HTTP-FLV viewers. `roomcast up` and the ECS worker run it.
package worker

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ladder"
	"github.com/roomcast/roomcast/workers/ingest/drain"
	"github.com/roomcast/roomcast/workers/ingest/flvout"
	"github.com/roomcast/roomcast/workers/ingest/hub"
	"github.com/roomcast/roomcast/workers/ingest/relay"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
	"github.com/roomcast/roomcast/workers/ingest/session"
	"github.com/roomcast/roomcast/workers/ingest/transcode"
)

// Queue takes state events; control.Queue is one.
type Queue interface {
	Send(ctx context.Context, m control.QueueMessage) error
}

// Options are what a Worker needs; all but Address, RelaySecret, RelayTLS,
// TimeURL, Profiles, Encoder, the limits and LoadBalancers are required.
type Options struct {
	ID broadcast.WorkerID
	// Address is the private host:port where other workers pull streams; ""
	// = there are no others.
	Address string
	// RelaySecret is the installation's; "" = streams are neither pulled nor
	// given to other workers.
	RelaySecret string
	// RelayTLS is how other workers are believed; nil = without TLS.
	RelayTLS *tls.Config
	Leases   control.Leases
	PlayIDs  control.PlayIDs
	Events   Queue
	Objects  control.Objects
	IDs      control.IDs
	Now      func() time.Time
	// Sleep waits, or answers ctx's error when that ends first.
	Sleep func(ctx context.Context, d time.Duration) error
	// TimeURL answers the time as xs:dateTime for DASH clients; "" = none.
	TimeURL string
	// MaxViewers and MaxViewersPerAddress bound RTMP and HTTP-FLV viewers; 0 =
	// the hub's defaults.
	MaxViewers, MaxViewersPerAddress int
	// Profiles, Encoder and Capacity are those of session.Options: without
	// them nothing is encoded, and nobody is refused for lack of room.
	Profiles func(ctx context.Context, id broadcast.ProfileID) (ladder.Profile, error)
	Encoder  transcode.Tool
	Capacity int
	// LoadBalancers are peers that speak for many: limits for one address do
	// not apply to them.
	LoadBalancers []netip.Prefix
	Log           *slog.Logger
}

// Worker is one process's ingest. Safe for concurrent use.
type Worker struct {
	Options
	// Gate is where publishers pass; closing it admits no more of them.
	Gate     *drain.Gate
	hub      *hub.Hub
	sessions *session.Handler
	rtmp     *rtmpin.Server
	flv      http.Handler
}

// New makes a Worker; it serves nothing yet.
func New(o Options) (*Worker, error) {
	w := &Worker{Options: o}
	h := hub.Options{
		Worker: string(o.ID), Directory: &playIDs{store: o.PlayIDs, leases: o.Leases, keys: map[string]broadcast.KeyID{}}, Now: o.Now, Sleep: o.Sleep, Log: o.Log,
		MaxViewers: o.MaxViewers, MaxPerAddress: o.MaxViewersPerAddress, LoadBalancers: o.LoadBalancers,
	}
	if o.RelaySecret != "" {
		transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true, TLSClientConfig: o.RelayTLS}
		puller := &relay.Puller{
			Client: &http.Client{Transport: transport}, Secret: o.RelaySecret, TLS: o.RelayTLS != nil, Path: flvout.RelayPath,
		}
		h.Pull = puller.Pull
	}
	w.hub = hub.New(h)
	w.sessions = session.New(session.Options{
		Worker: o.ID, Address: o.Address, Live: live{w.hub}, Leases: o.Leases, Events: events{o.Events}, Objects: o.Objects,
		IDs: o.IDs, Now: o.Now, Sleep: o.Sleep, TimeURL: o.TimeURL, Log: o.Log,
		Profiles: o.Profiles, Encoder: o.Encoder, Capacity: o.Capacity,
	})
	w.Gate = drain.NewGate(w.sessions)
	w.flv = flvout.New(flvout.Options{Hub: w.hub, Now: o.Now, Log: o.Log, Secret: o.RelaySecret})
	var err error
	w.rtmp, err = rtmpin.New(rtmpin.Options{
		Logger: o.Log, Now: o.Now, Player: hub.Player{Hub: w.hub}, LoadBalancers: o.LoadBalancers,
	}, w.Gate)
	return w, err
}

// ServeRTMP serves publishers and viewers on ln, which it closes, until Stop.
// It may serve several listeners at once.
func (w *Worker) ServeRTMP(ctx context.Context, ln net.Listener) error { return w.rtmp.Serve(ctx, ln) }

// Handler serves HTTP-FLV: /flv/ to viewers, /relay/ to other workers.
func (w *Worker) Handler() http.Handler { return w.flv }

// Viewers is how many RTMP and HTTP-FLV viewers there are, other workers
// among them.
func (w *Worker) Viewers() int { return w.hub.Viewers() }

// SentBytes is what viewers were sent since the start.
func (w *Worker) SentBytes() uint64 { return w.hub.SentBytes() }

// Stop accepts nobody any more, closes publishers cleanly, and waits until
// their ends are told, but not longer than ctx.
func (w *Worker) Stop(ctx context.Context) error {
	return errors.Join(w.rtmp.Shutdown(ctx), w.sessions.Close(ctx))
}

// Close closes the viewers and waits for all goroutines.
func (w *Worker) Close() { w.hub.Close() }

// live hands publishers to the hub.
type live struct{ hub *hub.Hub }

// Publish implements session.Live.
func (l live) Publish(id broadcast.PlayID, ready func()) session.Feed {
	return l.hub.Publish(string(id), ready)
}

// events puts the ingest's events into the queue.
type events struct{ queue Queue }

// Send implements session.Events.
func (e events) Send(ctx context.Context, ev broadcast.Event) error {
	m, err := control.EncodeEvent(ev, 0)
	if err != nil {
		return err
	}
	return e.queue.Send(ctx, m)
}
