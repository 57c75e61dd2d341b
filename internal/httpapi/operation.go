package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// endpoint describes one operation; path is relative to the side's prefix.
type endpoint struct {
	side         side
	id           string
	method, path string
	tag          string
	summary      string
	description  string
	status       int // 0 = 200, or 204 where nothing is answered
	body         bool
	// secret: the answer shows something that is shown once.
	secret bool
	// codes are the errors that this operation has beyond those that all have.
	codes []broadcast.Code
}

// none is the output of operations that answer nothing.
type none struct{}

// one is the answer of operations on one stored resource.
type one[T any] struct {
	ETag string `header:"ETag" doc:"Version of the stored resource, for If-Match" example:"\"3\""`
	Body T
}

// call makes one call of control.
type call[I, O any] func(ctx context.Context, c control.Caller, in *I) (*O, error)

// replay answers a call again that took effect before, from its record.
type replay[I, O any] func(ctx context.Context, c control.Caller, in *I, r control.OnceRecord) (*O, error)

// register serves an endpoint: credential, then body, then one call of h. A
// POST needs again, unless its answer shows a secret.
func register[I, O any](a *api, e endpoint, h call[I, O], again ...replay[I, O]) {
	full := e.side.prefix() + e.path
	op := huma.Operation{
		OperationID: e.id, Method: e.method, Path: full, Tags: []string{e.tag},
		Summary: e.summary, Description: e.description, DefaultStatus: e.status,
		Security:        []map[string][]string{{string(e.side): {}}},
		Responses:       e.problems(a.huma.OpenAPI().Components.Schemas),
		Middlewares:     huma.Middlewares{a.authenticate(e.side), strictQuery, strictBody},
		BodyReadTimeout: -1, // strictBody has read it
		MaxBodyBytes:    maxBody + 1,

		RejectUnknownQueryParameters: true,
	}
	if e.method == http.MethodPost {
		op.Middlewares = append(op.Middlewares, a.repeatable(e))
		op.Parameters = []*huma.Param{keyParam()}
		h = once(a, h, again...)
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, callerOf(ctx), in)
		if err != nil {
			p, internal := problemOf(err)
			if s := stateOf(ctx); s != nil {
				s.cause = internal
			}
			return nil, p
		}
		return out, nil
	})
}

// asProblem gives every error its final form.
func (a *api) asProblem(ctx huma.Context, _ string, v any) (any, error) {
	var p *problem
	switch v := v.(type) {
	case *problem:
		p = v
	case *huma.ErrorModel:
		p = fromHuma(v)
	default:
		return v, nil
	}
	r, w := humago.Unwrap(ctx)
	p.complete(r)
	setRetryAfter(w.Header(), p)
	return p, nil
}

// problems documents what can go wrong, one response per status.
func (e endpoint) problems(schemas huma.Registry) map[string]*huma.Response {
	codes := append([]broadcast.Code{
		broadcast.CodeInvalidCredentials, codeForbidden, broadcast.CodeInvalidField, codeUnavailable, broadcast.CodeBusy, codeRateLimited, codeInternal,
	}, e.codes...)
	if e.body {
		codes = append(codes, codeMalformedRequest, codeRequestTimeout, codeBodyTooLarge, codeUnsupportedMediaType)
	}
	if e.method == http.MethodPost {
		codes = append(codes, broadcast.CodeIdempotencyKeyReused, codeCallRunning)
	}
	if e.secret {
		codes = append(codes, codeSecretShown)
	}
	slices.Sort(codes)
	schema := schemas.Schema(typeOf[problem](), true, "")
	responses := map[string]*huma.Response{}
	for _, code := range slices.Compact(codes) {
		m, _ := meaningOf(code)
		status := strconv.Itoa(m.status)
		r := responses[status]
		if r == nil {
			r = &huma.Response{
				Content: map[string]*huma.MediaType{"application/problem+json": {Schema: schema, Examples: map[string]*huma.Example{}}},
				Headers: problemHeaders(m.status),
			}
			responses[status] = r
		}
		r.Description = strings.TrimPrefix(r.Description+" · `"+string(code)+"` "+m.title, " · ")
		r.Content["application/problem+json"].Examples[string(code)] = &huma.Example{Ref: "#/components/examples/" + string(code)}
	}
	return responses
}

const retryAfterDoc = "Seconds; on every 429 and 503 and on CALL_STILL_RUNNING"

func problemHeaders(status int) map[string]*huma.Param {
	text := &huma.Schema{Type: huma.TypeString}
	switch status {
	case http.StatusUnauthorized:
		return map[string]*huma.Param{"WWW-Authenticate": {Schema: text}}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusConflict:
		return map[string]*huma.Param{"Retry-After": {Description: retryAfterDoc, Schema: text}}
	}
	return nil
}

// stateless are the conflicts that no state of a resource makes.
var stateless = [...]broadcast.Code{
	codeCallRunning, codeSecretShown, broadcast.CodeTooManyEndpoints, broadcast.CodeProfileInUse, broadcast.CodeAppNotEmpty, broadcast.CodeRoomNotBroadcast,
}

func example(code broadcast.Code) *problem {
	p := newProblem(code, "")
	p.Instance, p.RequestID = "/v2/apps/me", "req_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"
	switch {
	case p.Status == http.StatusConflict && !slices.Contains(stateless[:], code):
		state := "INACTIVE"
		if strings.HasPrefix(string(code), "VIDEO_ROOM") {
			state = "SCHEDULED"
		}
		p.CurrentState, p.AllowedActions = &state, []string{}
	case code == broadcast.CodeInvalidField:
		p.Errors = []fieldError{{Field: "title", Message: "expected string"}}
	}
	return p
}
