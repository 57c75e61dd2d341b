// Package scrape is /metrics for Prometheus, on one machine. It stands apart
// from telemetry, so that functions do not carry it.
package scrape

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/roomcast/roomcast/internal/telemetry"
)

// Gauge is a value that is read whenever Prometheus asks.
type Gauge struct {
	// Name is without the namespace, such as "publishers"; one that ends with
	// _total is a counter. Help is one sentence.
	Name, Help string
	Value      func() float64
}

// Metrics serves gauges, and what Go and the process tell of themselves, to
// whoever shows token as a bearer token. Safe for concurrent use.
type Metrics struct {
	handler  http.Handler
	token    [sha256.Size]byte
	requests *prometheus.HistogramVec
}

// New makes one; the token is not empty.
func New(token string, gauges []Gauge) *Metrics {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p := &Metrics{
		token: sha256.Sum256([]byte(token)),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: telemetry.Namespace, Name: "http_request_seconds", Help: "Requests of the API by method and class of status.",
			Buckets: []float64{0.005, 0.025, 0.1, 0.5, 2, 10},
		}, []string{"method", "status"}),
	}
	registry.MustRegister(p.requests)
	for _, g := range gauges {
		name := prometheus.BuildFQName(telemetry.Namespace, "", g.Name)
		if strings.HasSuffix(name, "_total") {
			registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: g.Help}, g.Value))
			continue
		}
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: g.Help}, g.Value))
	}
	p.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return p
}

// ServeHTTP is /metrics.
func (p *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	shown := sha256.Sum256([]byte(token))
	if !ok || subtle.ConstantTimeCompare(shown[:], p.token[:]) != 1 {
		w.Header().Set("WWW-Authenticate", `Bearer realm="metrics"`)
		http.Error(w, "metrics are for the operator: Authorization: Bearer OPERATOR_TOKEN", http.StatusUnauthorized)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	p.handler.ServeHTTP(w, r)
}

// Answered counts an answer of the API; seconds is what it took.
func (p *Metrics) Answered(method string, status int, seconds float64) {
	class := "5xx"
	switch {
	case status < 300:
		class = "2xx"
	case status < 400:
		class = "3xx"
	case status < 500:
		class = "4xx"
	}
	p.requests.WithLabelValues(method, class).Observe(seconds)
}
