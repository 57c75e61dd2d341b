package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"time"
)

const (
	firstWait   = 200 * time.Millisecond // doubles with every try
	longestWait = 10 * time.Second
	// tooLong is the Retry-After with which a call is given up at once: the
	// caller has better things to do meanwhile.
	tooLong   = time.Minute
	maxAnswer = 16 << 20 // bytes
)

// CallOption changes one call.
type CallOption func(*call)

// call is one call of the API, which may take several tries.
type call struct {
	method, path string
	query        url.Values
	body         []byte // nil = none
	header       http.Header
	etag         *string // where to put the answer's; nil = nowhere
}

// IdempotencyKey names a POST, so that it takes effect once however often it
// is called within 24 hours, also by another process. Without this option
// every call gets a key of its own, which all of its tries share.
func IdempotencyKey(key string) CallOption {
	return func(c *call) { c.header.Set("Idempotency-Key", key) }
}

// IfMatch lets a PATCH change only what still has this ETag; otherwise it is
// refused with VERSION_MISMATCH.
func IfMatch(etag string) CallOption {
	return func(c *call) { c.header.Set("If-Match", etag) }
}

// ETag puts the answer's ETag, for IfMatch, into etag.
func ETag(etag *string) CallOption {
	return func(c *call) { c.etag = etag }
}

// Do makes a call that has no method of its own: in is sent as JSON (nil = no
// body), the answer is read into out (nil = it is not wanted).
func (c *Client) Do(ctx context.Context, method, path string, in, out any, options ...CallOption) error {
	return c.send(ctx, method, path, nil, in, out, options)
}

func send[T any](ctx context.Context, c *Client, method, path string, query url.Values, in any, options []CallOption) (*T, error) {
	out := new(T)
	if err := c.send(ctx, method, path, query, in, out, options); err != nil {
		return nil, err
	}
	return out, nil
}

// send is one call with all its tries. An error answer is an *Error.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, in, out any, options []CallOption) error {
	one := &call{method: method, path: path, query: query, header: http.Header{"Accept": {"application/json"}}}
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s %s: encode: %w", method, path, err)
		}
		one.body = body
		one.header.Set("Content-Type", "application/json")
		if method == http.MethodPatch {
			one.header.Set("Content-Type", "application/merge-patch+json")
		}
	}
	if method == http.MethodPost {
		one.header.Set("Idempotency-Key", rand.Text())
	}
	for _, o := range options {
		o(one)
	}
	unsure := false // an earlier try may have taken effect
	for try := 1; ; try++ {
		err := c.try(ctx, one, out)
		if err == nil || (unsure && gone(method, err)) {
			return nil
		}
		err = fmt.Errorf("%s %s: %w", method, path, err)
		pause, again := one.again(try, err)
		if !again || try >= c.Tries || ctx.Err() != nil {
			return err
		}
		var answered *Error
		unsure = unsure || !errors.As(err, &answered)
		if waited := c.Wait(ctx, pause); waited != nil {
			return errors.Join(err, waited)
		}
	}
}

// gone says that a DELETE that may have taken effect did.
func gone(method string, err error) bool {
	var e *Error
	return method == http.MethodDelete && errors.As(err, &e) && e.Status == http.StatusNotFound
}

// again says whether a failed call may be sent again, and when: after a random
// part of a time that doubles, and never before the answer's Retry-After.
func (c *call) again(try int, err error) (time.Duration, bool) {
	limit := min(firstWait<<min(try-1, 10), longestWait)
	pause := time.Duration(mathrand.Int64N(int64(limit))) //nolint:gosec // it spreads tries and keeps no secret
	var e *Error
	if !errors.As(err, &e) {
		// Nobody knows whether a guarded PATCH took effect: a second one would be
		// refused where the first one did.
		return pause, c.header.Get("If-Match") == ""
	}
	if e.RetryAfter > tooLong {
		return 0, false
	}
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return e.RetryAfter + pause, true
	}
	return e.RetryAfter + pause, e.ErrorCode == "CALL_STILL_RUNNING"
}

// try sends the call once.
func (c *Client) try(ctx context.Context, one *call, out any) (err error) {
	target := c.URL + one.path
	if len(one.query) > 0 {
		target += "?" + one.query.Encode()
	}
	var body io.Reader
	if one.body != nil {
		body = bytes.NewReader(one.body)
	}
	req, err := http.NewRequestWithContext(ctx, one.method, target, body)
	if err != nil {
		return err
	}
	req.Header = one.header.Clone()
	if c.Auth != nil {
		c.Auth(req)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return errorOf(resp, answer)
	}
	if one.etag != nil {
		*one.etag = resp.Header.Get("ETag")
	}
	if out == nil || len(answer) == 0 {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

// add puts a query parameter that is not left out.
func add[T comparable](q url.Values, name string, value T) {
	var zero T
	if value != zero {
		q.Set(name, fmt.Sprint(value))
	}
}
