package main

import (
	"net/http"
	"time"

	"github.com/roomcast/roomcast/internal/telemetry/scrape"
)

// metrics is what Prometheus may scrape at /metrics, with the operator's token.
func (m *machine) metrics() *scrape.Metrics {
	count := func(name, help string, value func() uint64) scrape.Gauge {
		return scrape.Gauge{Name: name, Help: help, Value: func() float64 { return float64(value()) }}
	}
	gate := m.ingest.Gate
	return scrape.New(m.creds.OperatorToken, []scrape.Gauge{
		{Name: "publishers", Help: "Publishers now.", Value: func() float64 { return float64(gate.Publishers()) }},
		{Name: "viewers", Help: "RTMP and HTTP-FLV viewers now.", Value: func() float64 { return float64(m.ingest.Viewers()) }},
		count("viewers_sent_bytes_total", "Bytes sent to RTMP and HTTP-FLV viewers.", m.ingest.SentBytes),
		count("publishes_granted_total", "Publishers that were admitted.", func() uint64 { return gate.Counts().Granted }),
		count("publishes_refused_total", "Publishers that were told why not: a wrong key, a second publisher.", func() uint64 { return gate.Counts().Refused }),
		count("publishes_failed_total", "Publishers that met a fault of this server.", func() uint64 { return gate.Counts().Failed }),
	})
}

// metered counts the answers of next.
func metered(next http.Handler, to *scrape.Metrics) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, seen := time.Now(), &status{ResponseWriter: w, code: http.StatusOK}
		next.ServeHTTP(seen, r)
		to.Answered(method(r.Method), seen.code, time.Since(began).Seconds())
	})
}

// method keeps callers' inventions out of the names of series.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "OTHER"
}

// status remembers an answer's.
type status struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements http.ResponseWriter.
func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap is for http.ResponseController.
func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }
