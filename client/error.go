package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Error is an error that the API answered (RFC 9457). Branch on ErrorCode; the
// codes of an operation are in docs/openapi.yaml.
type Error struct {
	Problem
	// RetryAfter is when to call again; 0 = the API did not say.
	RetryAfter time.Duration
}

// Error is one line for people.
func (e *Error) Error() string {
	return fmt.Sprintf("%d %s: %s (request %s)", e.Status, e.ErrorCode, e.Detail, e.RequestID)
}

// HasCode says whether err is an answer with this errorCode.
func HasCode(err error, code string) bool {
	var e *Error
	return errors.As(err, &e) && e.ErrorCode == code
}

// errorOf reads an error answer. One that is no problem document, from a proxy
// perhaps, keeps its status.
func errorOf(resp *http.Response, answer []byte) *Error {
	e := &Error{}
	if json.Unmarshal(answer, &e.Problem) != nil || e.ErrorCode == "" {
		e.Problem = Problem{Title: http.StatusText(resp.StatusCode), Detail: http.StatusText(resp.StatusCode)}
	}
	e.Status = int64(resp.StatusCode)
	if e.RequestID == "" {
		e.RequestID = resp.Header.Get("X-Request-Id")
	}
	e.RetryAfter = retryAfter(resp.Header)
	return e
}

// retryAfter reads both forms of RFC 9110, 10.2.3; a date counts from the
// answer's own, so that no clock of ours has to be right.
func retryAfter(h http.Header) time.Duration {
	if seconds, err := strconv.Atoi(h.Get("Retry-After")); err == nil {
		return max(0, time.Duration(min(seconds, 1<<30))*time.Second)
	}
	then, err := http.ParseTime(h.Get("Retry-After"))
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return max(0, then.Sub(now))
}
