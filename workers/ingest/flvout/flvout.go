// Package flvout serves the hub's streams as HTTP-FLV: to viewers, and to the
// other workers of the installation.
package flvout

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/roomcast/roomcast/workers/ingest/hub"
)

// RelayPath is where other workers pull: RelayPath + play id + ".flv".
const RelayPath = "/relay/"

// Options of a Handler. Hub, Now and Log are required.
type Options struct {
	Hub *hub.Hub
	Now func() time.Time
	Log *slog.Logger
	// Secret is what relays show, as a bearer token; "" = relays are refused.
	Secret string
}

// Handler serves
//
//	GET, HEAD, OPTIONS /flv/{playId}.flv     viewers, from any origin
//	GET /relay/{playId}.flv                  other workers, with the secret
//
// It is safe for concurrent use. A viewer's connection is the hub's until the
// hub is closed: http.Server.Shutdown does not know it.
type Handler struct{ o Options }

// New makes a Handler.
func New(o Options) *Handler { return &Handler{o} }

const maxName = 256

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Cache-Control", "no-store")
	head.Set("X-Content-Type-Options", "nosniff")
	if rest, ok := strings.CutPrefix(r.URL.Path, RelayPath); ok {
		h.relay(w, r, rest)
		return
	}
	head.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodOptions:
		head.Set("Allow", "GET, HEAD, OPTIONS")
		head.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
		head.Set("Access-Control-Allow-Headers", "*")
		head.Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
		return
	case http.MethodGet, http.MethodHead:
	default:
		head.Set("Allow", "GET, HEAD, OPTIONS")
		http.Error(w, "this path knows GET, HEAD and OPTIONS only", http.StatusMethodNotAllowed)
		return
	}
	rest, _ := strings.CutPrefix(r.URL.Path, "/flv/")
	id, ok := playID(rest)
	if !ok {
		http.Error(w, "no such stream", http.StatusNotFound)
		return
	}
	ticket, err := h.o.Hub.Admit(r.Context(), id, remote(r))
	h.answer(w, r, ticket, err)
}

// playID takes the name of a stream apart: the id has none of what paths are
// made of.
func playID(name string) (string, bool) {
	id, ok := strings.CutSuffix(name, ".flv")
	return id, ok && id != "" && len(id) <= maxName && !strings.ContainsAny(id, "/\\.%?#")
}

// relay serves another worker.
func (h *Handler) relay(w http.ResponseWriter, r *http.Request, name string) {
	given := sha256.Sum256([]byte(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))
	want := sha256.Sum256([]byte(h.o.Secret))
	if h.o.Secret == "" || subtle.ConstantTimeCompare(given[:], want[:]) != 1 {
		http.Error(w, "for workers of this installation only", http.StatusForbidden)
		return
	}
	id, ok := playID(name)
	if !ok || r.Method != http.MethodGet {
		http.Error(w, "no such stream", http.StatusNotFound)
		return
	}
	ticket, err := h.o.Hub.AdmitRelay(id)
	h.answer(w, r, ticket, err)
}

// remote is the address of the peer.
func remote(r *http.Request) net.Addr { return address(r.RemoteAddr) }

type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

// answer sends the response's head and hands the connection to the hub.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, ticket *hub.Ticket, err error) {
	switch {
	case err == nil:
	case errors.Is(err, hub.ErrNotFound):
		http.Error(w, "no such stream", http.StatusNotFound)
		return
	case errors.Is(err, hub.ErrFull), errors.Is(err, hub.ErrShutdown):
		w.Header().Set("Retry-After", "5")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	default:
		if !errors.Is(err, context.Canceled) {
			h.o.Log.Error("admit a viewer", "err", err)
		}
		w.Header().Set("Retry-After", "2")
		http.Error(w, "the stream cannot be looked up at the moment", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "video/x-flv")
	if r.Method == http.MethodHead {
		ticket.Cancel()
		w.WriteHeader(http.StatusOK)
		return
	}
	hijacker, ok := w.(http.Hijacker)
	if !ok || r.ProtoMajor != 1 {
		h.stream(w, r, ticket)
		return
	}
	h.hijack(w, r, hijacker, ticket)
}

// headTimeout bounds the writing of the response's head.
const headTimeout = 5 * time.Second

// hijack takes the connection off the HTTP server: a viewer costs no
// goroutine and no buffer then.
func (h *Handler) hijack(w http.ResponseWriter, r *http.Request, hijacker http.Hijacker, ticket *hub.Ticket) {
	conn, _, err := hijacker.Hijack()
	if err != nil {
		ticket.Cancel()
		return // the connection is gone
	}
	format, version := hub.ChunkedFLV, "HTTP/1.1"
	if r.ProtoAtLeast(1, 1) {
		w.Header().Set("Transfer-Encoding", "chunked")
	} else {
		format, version = hub.FLV, "HTTP/1.0"
	}
	w.Header().Set("Connection", "close")
	var b strings.Builder
	b.WriteString(version + " 200 OK\r\n")
	_ = w.Header().Write(&b) // a Builder takes everything
	b.WriteString("\r\n")
	_ = conn.SetReadDeadline(time.Time{}) // a dead connection says so at the write
	_ = conn.SetWriteDeadline(h.o.Now().Add(headTimeout))
	if _, err := conn.Write([]byte(b.String())); err != nil {
		ticket.Cancel()
		_ = conn.Close() // it is gone
		return
	}
	_ = conn.SetWriteDeadline(time.Time{})
	began, peer := h.o.Now(), r.RemoteAddr
	sink, stop := hub.Connection(conn, h.o.Now)
	ticket.Start(format, sink, func(why error) {
		if format == hub.ChunkedFLV && !errors.Is(why, hub.ErrLeft) && !errors.Is(why, hub.ErrTooSlow) {
			_, _ = sink.TryWrite([][]byte{[]byte("0\r\n\r\n")}) // a clean end, where there is room for it
		}
		stop()
		h.left(peer, began, why)
	})
}

// stream serves where the connection cannot be had: HTTP/2, and wrappers.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request, ticket *hub.Ticket) {
	control := http.NewResponseController(w)
	w.WriteHeader(http.StatusOK)
	if control.Flush() != nil {
		ticket.Cancel()
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	sink, stop := hub.NewPump(func(bufs [][]byte) error {
		_ = control.SetWriteDeadline(h.o.Now().Add(headTimeout)) // where it can be set
		for _, b := range bufs {
			if _, err := w.Write(b); err != nil {
				return err
			}
		}
		return control.Flush()
	}, func() { _ = control.SetWriteDeadline(time.Unix(1, 0)) })
	began, closed := h.o.Now(), make(chan struct{})
	leave := context.AfterFunc(ctx, ticket.Leave)
	ticket.Start(hub.FLV, sink, func(why error) {
		h.left(r.RemoteAddr, began, why)
		close(closed)
	})
	<-closed
	leave()
	stop()
}

func (h *Handler) left(peer string, began time.Time, why error) {
	h.o.Log.Info("viewer left", "protocol", "http-flv", "remote", peer, "reason", why.Error(), "duration", h.o.Now().Sub(began))
}
