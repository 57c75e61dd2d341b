// Package console serves the web pages of the installation: a landing page and
// the watch page of public rooms. Everything they load is embedded and served
// from here; no foreign host is asked.
package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// ErrNotFound is what [Rooms] answers, maybe wrapped, where no such room can
// be watched by everyone: unknown, deleted, not public.
var ErrNotFound = errors.New("video room not found")

// Rooms knows the public rooms.
type Rooms interface {
	// WatchState is what a viewer may know of the room id, or ErrNotFound.
	// Called for every poll of every open page, from many goroutines.
	WatchState(ctx context.Context, id string) (State, error)
}

// State is a room as its viewers see it. Field names are those of the API.
type State struct {
	// VideoRoomState is SCHEDULED, LIVE, LIVE_INACTIVE, ENDED, ARCHIVED or CANCELLED.
	VideoRoomState string
	// Title may be empty.
	Title string
	// Playback is nil unless the room is live or interrupted.
	Playback *Playback
	// EndReason is empty until the end, then ENDED, FORCED,
	// RECONNECT_TIMEOUT or MAX_DURATION.
	EndReason string
	// ScheduledAt and LiveStartedAt may be zero.
	ScheduledAt, LiveStartedAt time.Time
}

// Playback holds the addresses of a live room; "" where the room's mode has no such output.
type Playback struct {
	HLSURL, DASHURL, RTMPURL, HTTPFLVURL string
}

// Options configure [New].
type Options struct {
	// Rooms is required.
	Rooms Rooms
	// Now is the clock that pages correct their own by when they show the
	// delay; required.
	Now func() time.Time
	// Log gets one line for each request that ends as 503; required.
	Log *slog.Logger
	// MediaOrigins are the origins (scheme://host[:port]) other than the
	// page's own that players may load from: the public URL, a CDN.
	MediaOrigins []string
}

// Handler serves GET and HEAD of
//
//	/                        landing page
//	/watch/{videoRoomId}     watch page; 404 page for a room that is not there
//	/watch/{id}/state        what the watch page polls: State as JSON, and serverTime
//	/assets/{hash}/…         what the pages load, cached for a year
//	/favicon.ico
//
// It is safe for concurrent use.
type Handler struct {
	opts   Options
	assets *assets
	pages  *template.Template
	csp    string
}

// New parses the embedded pages.
func New(opts Options) (*Handler, error) {
	if opts.Rooms == nil || opts.Now == nil || opts.Log == nil {
		return nil, errors.New("console: Rooms, Now and Log are required")
	}
	csp, err := contentSecurityPolicy(opts.MediaOrigins)
	if err != nil {
		return nil, err
	}
	a, err := loadAssets()
	if err != nil {
		return nil, fmt.Errorf("load the console's files: %w", err)
	}
	pages, err := template.New("").ParseFS(static, "static/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse the console's pages: %w", err)
	}
	return &Handler{opts: opts, assets: a, pages: pages, csp: csp}, nil
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	serve, reads := h.route(r.URL.Path), r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case serve == nil && reads:
		h.page(w, http.StatusNotFound, "notfound.html", page{})
	case serve == nil: // a call of the API that went to the wrong place
		writeProblem(w, r, http.StatusNotFound, "NOT_FOUND", "there is no such path; the API's paths begin with /v2, and /docs lists them")
	case !reads:
		w.Header().Set("Allow", "GET, HEAD")
		writeProblem(w, r, http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "this path knows GET and HEAD only")
	default:
		serve(w, r)
	}
}

// route answers what serves a path; nil = there is no such path.
func (h *Handler) route(path string) http.HandlerFunc {
	rest, watch := strings.CutPrefix(path, "/watch/")
	id, last, deeper := strings.Cut(rest, "/")
	switch {
	case path == "/":
		return func(w http.ResponseWriter, _ *http.Request) { h.page(w, http.StatusOK, "landing.html", page{}) }
	case watch && id != "" && !deeper:
		return func(w http.ResponseWriter, r *http.Request) { h.watch(w, r, id) }
	case watch && id != "" && last == "state":
		return func(w http.ResponseWriter, r *http.Request) { h.state(w, r, id) }
	case strings.HasPrefix(path, "/assets/"), path == "/favicon.ico":
		return h.assets.ServeHTTP
	}
	return nil
}

// page is what the templates are given.
type page struct {
	Assets   string // prefix of every asset's path, such as "/assets/1f2e…"
	StateURL string
	State    *watchState // the first answer of StateURL, so that the picture need not wait for it
}

func (h *Handler) watch(w http.ResponseWriter, r *http.Request, id string) {
	s, err := h.load(r, id)
	switch {
	case errors.Is(err, ErrNotFound):
		h.page(w, http.StatusNotFound, "notfound.html", page{})
	case err != nil:
		w.Header().Set("Retry-After", "2")
		h.page(w, http.StatusServiceUnavailable, "unavailable.html", page{})
	default:
		h.page(w, http.StatusOK, "watch.html", page{State: &s, StateURL: "/watch/" + id + "/state"})
	}
}

func (h *Handler) state(w http.ResponseWriter, r *http.Request, id string) {
	s, err := h.load(r, id)
	switch {
	case errors.Is(err, ErrNotFound):
		writeProblem(w, r, http.StatusNotFound, "VIDEO_ROOM_NOT_FOUND", "there is no public room with this id")
		return
	case err != nil:
		w.Header().Set("Retry-After", "2")
		writeProblem(w, r, http.StatusServiceUnavailable, "UNAVAILABLE", "the room's state cannot be read at the moment")
		return
	}
	body, err := json.Marshal(s)
	if err != nil {
		panic(err) //nolint:forbidigo // bug: a state of strings and times that JSON cannot say
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "max-age=0, s-maxage=1")
	_, _ = w.Write(body) // the viewer may have gone
}

// load reads the room, and logs what is neither a room nor its absence.
func (h *Handler) load(r *http.Request, id string) (watchState, error) {
	s, err := h.opts.Rooms.WatchState(r.Context(), id)
	if err != nil {
		if !errors.Is(err, ErrNotFound) && r.Context().Err() == nil {
			h.opts.Log.LogAttrs(r.Context(), slog.LevelError, "watch state", slog.String("videoRoomId", id), slog.Any("error", err))
		}
		return watchState{}, err
	}
	return newWatchState(s, h.opts.Now()), nil
}

func (h *Handler) page(w http.ResponseWriter, status int, name string, p page) {
	p.Assets = h.assets.prefix
	var body bytes.Buffer
	if err := h.pages.ExecuteTemplate(&body, name, p); err != nil {
		panic(err) //nolint:forbidigo // bug: an embedded page that does not fit its data
	}
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Security-Policy", h.csp)
	head.Set("Referrer-Policy", "same-origin")
	head.Set("Cache-Control", "no-cache")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the viewer may have gone
}
