package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/console"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/httpapi"
	"github.com/roomcast/roomcast/internal/ids"
	"github.com/roomcast/roomcast/workers/ingest/flvout"
)

// handler is everything that is served on the HTTP address.
func (m *machine) handler(source *ids.Source, media http.Handler) (http.Handler, error) {
	api, err := httpapi.New(httpapi.Options{
		Service: m.service, TokenKeys: m.creds.tokenKeys.get, OperatorToken: m.creds.OperatorToken, Now: time.Now, Rates: m.rates(),
		IDs: func() string { return source.New("req") }, Log: m.log,
	})
	if err != nil {
		return nil, err
	}
	pages, err := console.New(console.Options{
		Rooms: rooms{m.service}, Now: time.Now, Log: m.log, MediaOrigins: []string{m.urls.HTTP},
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/live/", media)
	mux.Handle("/posts/", media)
	mux.Handle("/flv/", m.ingest.Handler())
	mux.Handle(flvout.RelayPath, m.ingest.Handler())
	mux.Handle("/", pages)
	mux.HandleFunc("GET /healthz", ok)
	mux.HandleFunc("GET /readyz", m.ready)
	mux.HandleFunc("GET /time", now)
	metrics := m.metrics()
	mux.Handle("GET /metrics", metrics)
	api = metered(api, metrics)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The API answers every path below it itself: the mux would redirect
		// those that are not clean, in HTML.
		if p := r.URL.Path; p == "/v2" || strings.HasPrefix(p, "/v2/") || p == "/openapi.json" || p == "/docs" || strings.HasPrefix(p, "/docs/") {
			api.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}), nil
}

// rates are shared where other processes serve the same API.
func (m *machine) rates() httpapi.Rates {
	r := httpapi.Rates{PerApp: m.settings.Rates.PerApp, PerAddress: m.settings.Rates.PerAddress}
	r.Shared, _ = m.backend.records.(httpapi.SharedCounts)
	return r
}

func ok(w http.ResponseWriter, _ *http.Request) {
	_, _ = fmt.Fprintln(w, "ok") // the caller left
}

// ready says whether the database answers.
func (m *machine) ready(w http.ResponseWriter, r *http.Request) {
	if err := m.backend.records.Ping(r.Context()); err != nil {
		http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
		return
	}
	ok(w, r)
}

// now is the clock that DASH players read (ISO/IEC 23009-1, 5.8.4.11).
func now(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	_, _ = fmt.Fprint(w, time.Now().UTC().Format("2006-01-02T15:04:05.000Z")) // the caller left
}

// rooms shows rooms to the watch page.
type rooms struct{ service *control.Service }

// WatchState implements console.Rooms.
func (r rooms) WatchState(ctx context.Context, id string) (console.State, error) {
	v, err := r.service.WatchRoom(ctx, broadcast.RoomID(id))
	var refused *broadcast.Refusal
	if errors.As(err, &refused) {
		return console.State{}, fmt.Errorf("%w: %w", console.ErrNotFound, err)
	}
	if err != nil {
		return console.State{}, err
	}
	s := console.State{
		VideoRoomState: string(v.Room.State), Title: v.Room.Title, EndReason: string(v.Room.EndReason),
		ScheduledAt: v.Room.ScheduledAt,
	}
	if v.Room.LiveStartedAt != nil {
		s.LiveStartedAt = *v.Room.LiveStartedAt
	}
	if v.Playback != nil {
		p := console.Playback(*v.Playback)
		s.Playback = &p
	}
	return s, nil
}
