// Package apiclient calls roomcast's HTTP API, for its own programs and tests.
package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 8 << 20

// patience is longer than any long poll.
const patience = 30 * time.Second

// Client calls one installation. Safe for concurrent use.
type Client struct {
	// Base is the installation's URL without a trailing slash.
	Base string
	// User and Secret are an API key (Basic); Token a bearer token. Token wins.
	User, Secret, Token string
	// HTTP is a client that gives up after 30 s when nil.
	HTTP *http.Client
}

// Problem is an error document (RFC 9457) that the API answered.
type Problem struct {
	Status         int      `json:"status"`
	Title          string   `json:"title"`
	Detail         string   `json:"detail"`
	ErrorCode      string   `json:"errorCode"`
	RequestID      string   `json:"requestId"`
	CurrentState   string   `json:"currentState"`
	AllowedActions []string `json:"allowedActions"`
}

// Error is one line for people.
func (p *Problem) Error() string {
	return fmt.Sprintf("%d %s: %s", p.Status, p.ErrorCode, p.Detail)
}

// Do sends in as JSON (nil = no body) and reads the answer into out (nil =
// thrown away). An error status is a *Problem.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode %s %s: %w", method, path, err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
		if method == http.MethodPatch {
			req.Header.Set("Content-Type", "application/merge-patch+json")
		}
	}
	switch {
	case c.Token != "":
		req.Header.Set("Authorization", "Bearer "+c.Token)
	case c.User != "":
		req.SetBasicAuth(c.User, c.Secret)
	}
	client := c.HTTP
	if client == nil {
		client = &http.Client{Timeout: patience}
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return read(resp, method, path, out)
}

func read(resp *http.Response, method, path string, out any) (err error) {
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of %s %s: %w", method, path, err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		p := &Problem{Status: resp.StatusCode, Detail: http.StatusText(resp.StatusCode)}
		_ = json.Unmarshal(b, p) // an answer that is no problem document keeps the status
		return fmt.Errorf("%s %s: %w", method, path, p)
	}
	if out == nil || len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("read the answer of %s %s: %w", method, path, err)
	}
	return nil
}
