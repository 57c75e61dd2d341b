package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"regexp"
	"runtime/debug"
	"strings"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/telemetry"
)

// requestState is what a request's log line says. Only the request's own
// goroutine touches it.
type requestState struct {
	id     string
	app    broadcast.AppID
	member broadcast.MemberID
	code   broadcast.Code
	cause  error       // why it is a 5xx; nil = it is none
	stack  string      // of a panic; "" = none
	header http.Header // of the answer
}

type stateKey struct{}

// stateOf is nil outside of observed.
func stateOf(ctx context.Context) *requestState {
	s, _ := ctx.Value(stateKey{}).(*requestState)
	return s
}

// observed gives each request its id and its one log line, and turns panics
// into 500s. No header, query, body or path gets into the line: they may hold
// secrets and personal data; the route's pattern does.
func (a *api) observed(next *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := a.Now()
		s := &requestState{id: r.Header.Get("X-Request-Id"), header: w.Header()}
		if !saneID(s.id) {
			s.id = a.IDs()
		}
		r = r.WithContext(telemetry.With(context.WithValue(r.Context(), stateKey{}, s), slog.String(telemetry.Request, s.id)))
		w.Header().Set("X-Request-Id", s.id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store") // answers hold stream keys
		rec := &recorder{ResponseWriter: w}
		defer func() {
			a.recovered(rec, r, s, recover())
			a.logRequest(r, rec, s, a.Now().Sub(began).Milliseconds())
			if s.stack != "" && rec.began {
				panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to cut an answer that would look whole
			}
		}()
		if !cleanPath(r.URL.Path) {
			newProblem(codeNotFound, "").write(rec, r)
			return
		}
		next.ServeHTTP(rec, r)
	})
}

// recovered answers a panic, where there was one and nothing was answered yet.
func (a *api) recovered(rec *recorder, r *http.Request, s *requestState, v any) {
	if v == nil {
		return
	}
	s.cause, s.stack = fmt.Errorf("panic: %v", v), string(debug.Stack())
	if rec.status == 0 {
		newProblem(codeInternal, "").write(rec, r)
		rec.began = false // it is whole
	}
}

func (a *api) logRequest(r *http.Request, rec *recorder, s *requestState, ms int64) {
	attrs := []slog.Attr{
		slog.String(telemetry.Request, s.id), slog.String("method", knownMethod(r.Method)), slog.String("route", r.Pattern),
		slog.Int("status", rec.status), slog.Int64("duration_ms", ms),
		slog.String("app_id", string(s.app)), slog.String("member_id", string(s.member)),
	}
	if name := named(r); name.Key != "" {
		attrs = append(attrs, name)
	}
	if s.code != "" {
		attrs = append(attrs, slog.String("error_code", string(s.code)))
	}
	level := slog.LevelInfo
	if s.cause != nil {
		if level = slog.LevelError; errors.Is(s.cause, context.Canceled) && r.Context().Err() != nil {
			level = slog.LevelInfo // the caller left: nothing is wrong here
		}
		attrs = append(attrs, slog.String("err", s.cause.Error()))
	}
	if s.stack != "" {
		attrs = append(attrs, slog.String("stack", s.stack))
	}
	a.Log.LogAttrs(r.Context(), level, "request", attrs...)
}

// ours is an id that this server has made.
var ours = regexp.MustCompile(`^(key|room|post)_[0-9a-z]{26}$`)

// named is the key, room or recording that a path is about, if it is an id of
// ours: anything else may be a secret or about a person.
func named(r *http.Request) slog.Attr {
	if m := ours.FindStringSubmatch(r.PathValue("id")); m != nil {
		return slog.String(m[1], m[0])
	}
	return slog.Attr{}
}

// saneID admits 1–128 visible ASCII characters.
func saneID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// knownMethod keeps callers' inventions out of the log.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions:
		return m
	}
	return "OTHER"
}

// cleanPath is false where ServeMux would redirect to a cleaned path.
func cleanPath(p string) bool {
	return p == "/" || (strings.HasPrefix(p, "/") && path.Clean(p) == p)
}

// serveRest answers what no operation matches: 405 on a known path, else 404.
func (a *api) serveRest() {
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if allow := a.allowed(r); allow != "" {
			w.Header().Set("Allow", allow)
			newProblem(codeMethodNotAllowed, "allowed here: "+allow).write(w, r)
			return
		}
		newProblem(codeNotFound, "there is no such path").write(w, r)
	})
}

// allowed lists the methods that r's path has; "" = it has none.
func (a *api) allowed(r *http.Request) string {
	var list []string
	for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		if _, pattern := a.mux.Handler(&http.Request{Method: m, URL: r.URL, Host: r.Host}); pattern != "/" {
			list = append(list, m)
		}
	}
	return strings.Join(list, ", ")
}

// recorder remembers the status for the log.
type recorder struct {
	http.ResponseWriter
	status int
	began  bool // something of a body was written
}

// WriteHeader keeps the first status.
func (w *recorder) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Write implies 200 (net/http).
func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.began = true
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
