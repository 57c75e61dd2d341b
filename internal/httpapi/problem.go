package httpapi

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// problem is the body of every error (RFC 9457). It never repeats what the
// caller sent but names: a wrong value may be a secret.
type problem struct {
	Type      string         `json:"type" doc:"Where the error code is explained, relative to this API" example:"/docs#VIDEO_ROOM_NOT_FOUND"`
	Title     string         `json:"title" doc:"What the error code means; the same at every occurrence" example:"There is no such video room"`
	Status    int            `json:"status" doc:"The HTTP status" example:"404"`
	Detail    string         `json:"detail" doc:"What is wrong this time, for people" example:"there is no such video room"`
	Instance  string         `json:"instance" doc:"The path of the request" example:"/v2/apps/me/video-rooms/room_1"`
	ErrorCode broadcast.Code `json:"errorCode" doc:"Stable name of the error; branch on this" example:"VIDEO_ROOM_NOT_FOUND"`
	RequestID string         `json:"requestId" doc:"The X-Request-Id of the request, as in the service's log" example:"req_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`

	CurrentState   *string      `json:"currentState,omitempty" doc:"Where a state forbids the call: that state" example:"SCHEDULED"`
	AllowedActions []string     `json:"allowedActions,omitzero" nullable:"false" doc:"Where a state forbids the call: what could be done instead" example:"[\"cancel\",\"update\"]"`
	Errors         []fieldError `json:"errors,omitzero" nullable:"false" doc:"Every wrong field, where fields are wrong"`

	retryAfter string // seconds; "" = as the status has it
}

// fieldError names one wrong field by its JSON path or its parameter's name.
type fieldError struct {
	Field   string `json:"field" doc:"JSON path in the body, or the parameter's name" example:"title"`
	Message string `json:"message" doc:"What is wrong with it" example:"expected string"`
}

func newProblem(code broadcast.Code, detail string) *problem {
	m, _ := meaningOf(code)
	return &problem{
		Type: "/docs#" + string(code), Title: m.title, Status: m.status,
		Detail: cmp.Or(detail, m.title), ErrorCode: code,
	}
}

// invalid is the problem of an input whose fields are wrong.
func invalid(fields ...fieldError) *problem {
	p := newProblem(broadcast.CodeInvalidField, firstOf(fields))
	p.Errors = fields
	return p
}

// Error makes a problem an error that a handler can return.
func (p *problem) Error() string { return string(p.ErrorCode) + ": " + p.Detail }

// GetStatus is what Huma asks errors for.
func (p *problem) GetStatus() int { return p.Status }

// ContentType is what Huma asks bodies for.
func (p *problem) ContentType(string) string { return "application/problem+json" }

// write answers the problem where Huma does not do it.
func (p *problem) write(w http.ResponseWriter, r *http.Request) {
	p.complete(r)
	body, err := json.Marshal(p)
	if err != nil {
		body = []byte(`{}`) // cannot be: a problem holds strings only
	}
	h := w.Header()
	h.Set("Content-Type", p.ContentType(""))
	h.Set("Content-Length", strconv.Itoa(len(body)))
	setRetryAfter(h, p)
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the caller is gone
}

// complete fills in what belongs to the occurrence, and leaves the code for
// the request's log line.
func (p *problem) complete(r *http.Request) {
	p.Instance = r.URL.EscapedPath()
	if s := stateOf(r.Context()); s != nil {
		p.RequestID = s.id
		s.code = p.ErrorCode
	}
}

func setRetryAfter(h http.Header, p *problem) {
	if p.Status == http.StatusServiceUnavailable || p.ErrorCode == codeCallRunning || p.Status == http.StatusTooManyRequests {
		h.Set("Retry-After", cmp.Or(p.retryAfter, retryAfter))
	}
}

// firstOf is the detail of invalid fields, for whoever reads no further.
func firstOf(fields []fieldError) string {
	if len(fields) == 0 {
		return ""
	}
	detail := fields[0].Field + ": " + fields[0].Message
	if n := len(fields) - 1; n > 0 {
		detail += fmt.Sprintf("; and %d more in errors", n)
	}
	return detail
}

// fromHuma turns Huma's own errors into problems and drops the values that it
// repeats.
func fromHuma(e *huma.ErrorModel) *problem {
	switch e.Status {
	case http.StatusUnprocessableEntity:
		fields := fieldErrors(e.Errors)
		p := newProblem(codeOf(e.Errors), firstOf(fields))
		p.Errors = fields
		return p
	case http.StatusBadRequest:
		return newProblem(codeMalformedRequest, "a JSON body is required")
	case http.StatusUnsupportedMediaType:
		return newProblem(codeUnsupportedMediaType, "")
	case http.StatusRequestEntityTooLarge:
		return newProblem(codeBodyTooLarge, "")
	}
	return newProblem(codeInternal, "")
}

// codeOf is the code of fields that a schema refused: a code of their own where
// all of them share it, as control has it.
func codeOf(details []*huma.ErrorDetail) broadcast.Code {
	var shared broadcast.Code
	for _, d := range details {
		code := broadcast.CodeInvalidField
		switch {
		case d == nil:
		case d.Location == "body.appUserId" && strings.HasPrefix(d.Message, "expected string to match"):
			code = broadcast.CodeInvalidAppUserID
		case strings.HasPrefix(d.Location, "body.customData") &&
			(strings.HasPrefix(d.Message, "expected length") || strings.HasPrefix(d.Message, "expected object with at most")):
			code = broadcast.CodeCustomDataTooLarge
		}
		if shared != "" && shared != code {
			return broadcast.CodeInvalidField
		}
		shared = code
	}
	return cmp.Or(shared, broadcast.CodeInvalidField)
}

const (
	missingBefore, missingAfter = "expected required property ", " to be present"
	longestField                = 100 // bytes of a caller's own name that we repeat
)

func fieldErrors(details []*huma.ErrorDetail) []fieldError {
	list := make([]fieldError, 0, len(details))
	for _, d := range details {
		if d == nil {
			continue
		}
		field := strings.TrimPrefix(d.Location, "body.")
		for _, in := range []string{"path.", "query.", "header."} {
			field = strings.TrimPrefix(field, in)
		}
		message := d.Message
		if name, ok := strings.CutPrefix(message, missingBefore); ok {
			name = strings.TrimSuffix(name, missingAfter)
			if field, message = field+"."+name, "is required"; d.Location == "body" {
				field = name
			}
		} else if d.Location == "body" && message != "expected object" {
			message = "has a value that does not fit"
		}
		list = append(list, fieldError{Field: clip(field), Message: message})
	}
	slices.SortStableFunc(list, func(a, b fieldError) int { return cmp.Compare(a.Field, b.Field) })
	// A field that is wrong in two ways is one wrong field.
	return slices.CompactFunc(list, func(a, b fieldError) bool { return a.Field == b.Field })
}

func clip(name string) string {
	if len(name) <= longestField {
		return name
	}
	return strings.ToValidUTF8(name[:longestField], "") + "…"
}
