package scrape_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/telemetry/scrape"
)

func TestMetricsAreForWhoHasTheToken(t *testing.T) {
	n := 0.0
	p := scrape.New("operator", []scrape.Gauge{
		{Name: "publishers", Help: "Publishers now.", Value: func() float64 { n++; return n }},
		{Name: "sent_bytes_total", Help: "Bytes.", Value: func() float64 { return 7 }},
	})
	p.Answered(http.MethodPost, 201, 0.01)
	p.Answered(http.MethodGet, 404, 0.2)
	get := func(authorization string) (int, string) {
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	for _, wrong := range []string{"", "Bearer ", "Bearer operato", "Bearer operator2", "Basic operator", "operator"} {
		if status, body := get(wrong); status != http.StatusUnauthorized || strings.Contains(body, "publishers") {
			t.Errorf("%q is answered %d", wrong, status)
		}
	}
	for want := 1; want <= 2; want++ { // read each time
		status, body := get("Bearer operator")
		for _, line := range []string{
			"# TYPE roomcast_publishers gauge", "# TYPE roomcast_sent_bytes_total counter", "roomcast_sent_bytes_total 7",
			`roomcast_http_request_seconds_count{method="POST",status="2xx"} 1`, `roomcast_http_request_seconds_count{method="GET",status="4xx"} 1`,
			"go_goroutines ", "process_resident_memory_bytes ",
		} {
			if status != http.StatusOK || !strings.Contains(body, line) {
				t.Errorf("%d without %q:\n%s", status, line, body)
			}
		}
		if !strings.Contains(body, "roomcast_publishers "+string(rune('0'+want))) {
			t.Errorf("publishers are not read when they are asked for:\n%s", body)
		}
	}
}
