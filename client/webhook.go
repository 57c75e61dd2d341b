package client

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Webhook verifies what an endpoint of the app receives (Standard Webhooks).
// Safe for concurrent use.
type Webhook struct {
	verifier *standardwebhooks.Webhook
}

// maxWebhook is the largest body in bytes that is read: far above any event.
const maxWebhook = 1 << 20

// NewWebhook takes the endpoint's secret (whsec_…). While a new secret is
// introduced roomcast signs with both for 24 hours, so that either verifies.
func NewWebhook(secret string) (*Webhook, error) {
	v, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, fmt.Errorf("roomcast: webhook secret: %w", err)
	}
	return &Webhook{v}, nil
}

// Read answers the event of a request, if roomcast sent it within the last
// 5 minutes; answer 401 otherwise. An event can come more than once: its ID
// stays the same.
func (w *Webhook) Read(r *http.Request) (*Event, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxWebhook))
	if err != nil {
		return nil, fmt.Errorf("read webhook: %w", err)
	}
	return w.Verify(r.Header, body)
}

// Verify is Read where the body has been read already; it must be exactly the
// bytes that came.
func (w *Webhook) Verify(header http.Header, body []byte) (*Event, error) {
	if err := w.verifier.Verify(body, header); err != nil {
		return nil, fmt.Errorf("verify webhook: %w", err)
	}
	event := &Event{}
	if err := json.Unmarshal(body, event); err != nil {
		return nil, fmt.Errorf("read webhook: %w", err)
	}
	return event, nil
}
