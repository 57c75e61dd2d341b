package browser

import (
	"errors"
	"net"
	"net/http"
	"time"
)

// harness serves the pages for stock players, from the npm packages.
type harness struct {
	base   string // http://127.0.0.1:port
	server *http.Server
	done   chan error // Serve's result, once
}

func serveHarness(dir string) (*harness, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(dir+"/harness")))
	mux.Handle("/node_modules/", http.FileServer(http.Dir(dir)))
	h := &harness{
		base:   "http://" + listener.Addr().String(),
		server: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second},
		done:   make(chan error, 1),
	}
	go func() { h.done <- h.server.Serve(listener); close(h.done) }()
	return h, nil
}

func (h *harness) close() error {
	err := h.server.Close()
	if served, ok := <-h.done; ok && !errors.Is(served, http.ErrServerClosed) {
		return errors.Join(err, served)
	}
	return err
}
