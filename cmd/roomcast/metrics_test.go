package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/rtmpout"
)

// scraped is what /metrics answers with that token.
func scraped(t *testing.T, m *machine, token string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.urls.HTTP+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

func TestPrometheusSeesPublishersAndRequests(t *testing.T) {
	m := startMachine(t, 10, 10)
	if status, _ := scraped(t, m, m.creds.APISecret); status != http.StatusUnauthorized {
		t.Errorf("who is no operator is answered %d", status)
	}
	// The address of a key that nobody has.
	loop := rtmpout.Loop{URL: m.urls.RTMP + "/live/sk_none", Tags: tags(t, time.Second), Client: rtmpout.Options{Now: time.Now}}
	if err := loop.Run(context.Background()); err == nil {
		t.Error("a wrong key is admitted")
	}
	if _, err := http.Get(m.urls.HTTP + "/v2/apps/me"); err != nil { //nolint:noctx // a test's own server
		t.Fatal(err)
	}
	status, body := scraped(t, m, m.creds.OperatorToken)
	for _, line := range []string{
		"roomcast_publishers 0\n", "roomcast_viewers 0\n", "roomcast_publishes_granted_total 0\n", "roomcast_publishes_refused_total 1\n",
		`roomcast_http_request_seconds_count{method="GET",status="4xx"} 1`,
	} {
		if status != http.StatusOK || !strings.Contains(body, line) {
			t.Errorf("%d without %q:\n%s", status, line, body)
		}
	}
}
