package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/httpapi"
	"github.com/roomcast/roomcast/internal/listen"
	"github.com/roomcast/roomcast/workers/ingest/flvout"
)

// listen opens the addresses of HTTP and RTMP, which may be one.
func (m *machine) listen() error {
	var cert *listen.Certificate
	var err error
	if m.settings.TLS() {
		if cert, err = listen.LoadCertificate(m.settings.TLSCert, m.settings.TLSKey, time.Now, m.log); err != nil {
			return fmt.Errorf("--tls-cert, --tls-key: %w", err)
		}
	}
	ln, err := open("--http", m.settings.HTTP)
	if err != nil {
		return err
	}
	if m.settings.OnePort() {
		port := listen.Split(ln, listen.Options{Now: time.Now, RTMP: true, HTTP: true, Certificate: cert})
		m.httpLn, m.rtmpLn = port.HTTP, port.RTMP
		return nil
	}
	m.httpLn = ln
	if m.rtmpLn, err = open("--rtmp", m.settings.RTMP); err != nil || cert == nil {
		return err
	}
	m.httpLn = listen.Split(m.httpLn, listen.Options{Now: time.Now, HTTP: true, Certificate: cert}).HTTP
	m.rtmpLn = listen.Split(m.rtmpLn, listen.Options{Now: time.Now, RTMP: true, Certificate: cert}).RTMP
	return nil
}

func open(flag, addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: choose another address with %s", flag, addr, errors.Unwrap(err), flag)
	}
	return ln, nil
}

// server is the HTTP server. With a certificate, plain HTTP is for this machine,
// for load balancers that ask how it is, and for other workers, which show a
// secret of their own; everybody else is led to HTTPS.
func (m *machine) server(h http.Handler) *http.Server {
	s := httpapi.Server(h)
	s.ErrorLog = slog.NewLogLogger(m.log.Handler(), slog.LevelDebug) // what scanners do to a TLS port
	if !m.settings.TLS() {
		return s
	}
	s.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, secure{}, listen.Secure(conn))
	}
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := r.URL.Path
		switch safe, _ := r.Context().Value(secure{}).(bool); {
		case safe, neighbour(r), p == "/healthz", p == "/readyz", strings.HasPrefix(p, flvout.RelayPath):
			h.ServeHTTP(w, r)
		case r.Method == http.MethodGet, r.Method == http.MethodHead:
			http.Redirect(w, r, m.urls.HTTP+r.URL.RequestURI(), http.StatusPermanentRedirect) //nolint:gosec // to ourselves
		default:
			http.Error(w, "this address wants HTTPS", http.StatusForbidden)
		}
	})
	return s
}

// secure is the context key of connections in TLS.
type secure struct{}

// neighbour: the peer is on this machine.
func neighbour(r *http.Request) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	to, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if err != nil || !ok {
		return false
	}
	here, err := netip.ParseAddrPort(to.String())
	return err == nil && (from.Addr().Unmap().IsLoopback() || from.Addr() == here.Addr())
}
