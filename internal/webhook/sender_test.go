package webhook

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/control"
)

func sender(o Options) *Sender {
	o.Body = func(control.Notice) ([]byte, error) { return []byte(`{}`), nil }
	o.Now = func() time.Time { return time.Unix(1_700_000_000, 0) }
	return New(o)
}

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func call(url string) control.WebhookCall {
	return control.WebhookCall{URL: url, Secrets: []string{secret}, Event: control.Notice{ID: "evt_1"}}
}

// The example of the specification's reference implementations.
func TestTheSignatureIsThatOfTheSpecification(t *testing.T) {
	got, err := Sign([]string{secret}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; err != nil || got != want {
		t.Errorf("%s %v, want %s", got, err, want)
	}
	for _, bad := range []string{"", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_x", "whsec_c2hvcnQ="} {
		if _, err := Sign([]string{bad}, "id", time.Now(), nil); err == nil || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("secret %q: %v", bad, err)
		}
	}
	if _, err := Sign(nil, "id", time.Now(), nil); err == nil {
		t.Error("signed without a secret")
	}
}

func TestNamesThatLeadToPrivateAddressesAreRefusedAtConnectTime(t *testing.T) {
	s := sender(Options{})
	defer s.Close()
	for _, url := range []string{"https://localhost:1/", "https://127.0.0.1:1/", "https://[::1]:1/", "https://169.254.169.254/", "https://2130706433/"} {
		if err := s.Send(t.Context(), call(url)); err == nil || err.Error() != errForbidden.Error() && err.Error() != "its name leads nowhere" {
			t.Errorf("%s: %v", url, err)
		}
	}
	if err := s.Send(t.Context(), call("http://8.8.8.8/")); err == nil || !strings.Contains(err.Error(), "https") {
		t.Errorf("http: %v", err)
	}
}

func TestAnEndlessAnswerIsReadNoFurtherThan64KiB(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("x", 4096)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	s := sender(Options{Development: true})
	defer s.Close()
	if err := s.Send(t.Context(), call(server.URL)); err != nil {
		t.Errorf("an endless answer: %v", err)
	}
}

func TestAnEndpointThatDoesNotAnswerAndOneWithoutTrustAreErrors(t *testing.T) {
	hold := make(chan struct{})
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	defer server.Close()
	defer close(hold)
	s := sender(Options{Development: true})
	defer s.Close()
	if err := s.Send(t.Context(), call(server.URL)); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: %v", err)
	}
	trusting := sender(Options{Development: true, Roots: &tls.Config{InsecureSkipVerify: true}})
	defer trusting.Close()
	trusting.client.Timeout = 50 * time.Millisecond
	if err := trusting.Send(context.Background(), call(server.URL)); err == nil || err.Error() != "it did not answer in time" {
		t.Errorf("silence: %v", err)
	}
}
