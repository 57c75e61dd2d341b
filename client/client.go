// Package client calls the roomcast API: one method for each operation of
// docs/openapi.yaml (api.gen.go), and what they have in common (call.go):
// credentials, errors with a code, and calls that are repeated until they are
// answered, without ever taking effect twice. Webhook verifies what roomcast
// sends.
//
// A field without a value is the zero value of its type: "", 0, nil, or a time
// that IsZero.
package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options say where roomcast is and who calls.
type Options struct {
	// URL is where the API is served: https://live.example.com. Required.
	URL string
	// Auth is one of BasicAuth and BearerToken; nil = calls are anonymous.
	Auth Auth
	// HTTP sends the requests; nil = a client that gives up on a request after
	// 30 s. Client does not change it.
	HTTP *http.Client
	// Tries is how often a call is sent at most before its error is returned;
	// 0 = 5, 1 = never again.
	Tries int
	// Wait waits before a call is sent again, or until ctx is done; nil = it
	// takes that long.
	Wait func(ctx context.Context, d time.Duration) error
}

// Auth puts a credential on requests.
type Auth func(*http.Request)

// BasicAuth is the credential of an app's backend: the server API, methods
// without a prefix.
func BasicAuth(apiKey, apiSecret string) Auth {
	return func(r *http.Request) { r.SetBasicAuth(apiKey, apiSecret) }
}

// BearerToken is the credential of a member's device (the Token of
// LoginMember: methods with Own in their names, and GetSelf) or of the
// operator of the installation (methods on apps, and those with All).
func BearerToken(token string) Auth {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// Client calls one roomcast with one credential. Safe for concurrent use.
type Client struct {
	Options
}

const (
	patience     = 30 * time.Second
	defaultTries = 5
)

// New checks o. The error names what is wrong.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("roomcast: URL: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, errors.New("roomcast: URL must be like https://live.example.com")
	}
	o.URL = strings.TrimSuffix(o.URL, "/")
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: patience}
	}
	if o.Tries < 1 {
		o.Tries = defaultTries
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	return &Client{o}, nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
