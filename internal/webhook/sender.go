package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/roomcast/roomcast/internal/control"
)

const (
	// patience is how long one call may take in all.
	patience = 10 * time.Second
	// maxAnswer is how much of an answer is read, in bytes.
	maxAnswer = 64 << 10
)

// Options of New. Body and Now are required.
type Options struct {
	// Body writes an event as JSON.
	Body func(control.Notice) ([]byte, error)
	Now  func() time.Time
	// Development admits http and addresses that are not public.
	Development bool
	// Roots are the certificate authorities; nil = the system's.
	Roots *tls.Config
}

// Sender calls endpoints. Safe for concurrent use. It follows no redirect,
// uses no proxy, waits 10 s and reads 64 KiB.
type Sender struct {
	Options
	client *http.Client
}

var _ control.Sender = (*Sender)(nil)

// New makes a Sender. Close it.
func New(o Options) *Sender {
	dial := &net.Dialer{Timeout: patience}
	if !o.Development {
		dial.Control = guard
	}
	transport := &http.Transport{
		DialContext: dial.DialContext, TLSClientConfig: o.Roots, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: patience, MaxIdleConns: 100, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute,
		MaxResponseHeaderBytes: maxAnswer,
	}
	return &Sender{Options: o, client: &http.Client{
		Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close gives idle connections back.
func (s *Sender) Close() { s.client.CloseIdleConnections() }

// Send implements control.Sender. The error is fit for the customer: it names
// no address of ours.
func (s *Sender) Send(ctx context.Context, call control.WebhookCall) error {
	u, err := url.Parse(call.URL)
	if err != nil || u.Scheme != "https" && !(s.Development && u.Scheme == "http") {
		return errors.New("the URL must begin with https://")
	}
	req, err := s.request(ctx, call)
	if err != nil {
		return err
	}
	res, err := s.client.Do(req)
	if err != nil {
		return reason(err)
	}
	defer func() { _ = res.Body.Close() }() // it was read as far as we want
	if _, err := io.CopyN(io.Discard, res.Body, maxAnswer); err != nil && !errors.Is(err, io.EOF) {
		return reason(err)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("it answered %d", res.StatusCode)
	}
	return nil
}

func (s *Sender) request(ctx context.Context, call control.WebhookCall) (*http.Request, error) {
	body, err := s.Body(call.Event)
	if err != nil {
		return nil, fmt.Errorf("write event %s: %w", call.Event.ID, err)
	}
	now := s.Now()
	signature, err := Sign(call.Secrets, string(call.Event.ID), now, body)
	if err != nil {
		return nil, fmt.Errorf("sign event %s: %w", call.Event.ID, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, call.URL, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("call the endpoint: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "roomcast-webhooks/1")
	req.Header.Set("Webhook-Id", string(call.Event.ID))
	req.Header.Set("Webhook-Timestamp", stamp(now))
	req.Header.Set("Webhook-Signature", signature)
	return req, nil
}

// reason says an error of the call without our addresses.
func reason(err error) error {
	var timeout net.Error
	var name *net.DNSError
	switch {
	case errors.Is(err, errForbidden):
		return errForbidden
	case errors.As(err, &name):
		return errors.New("its name leads nowhere")
	case errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("it did not answer in time")
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return fmt.Errorf("the connection broke: %w", op.Err)
	}
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
