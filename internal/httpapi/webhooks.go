package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// WebhookEndpoint is where an app is told of its events.
type WebhookEndpoint struct {
	ID             string     `json:"id" example:"whe_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	URL            string     `json:"url" example:"https://example.com/webhooks"`
	Description    *string    `json:"description"`
	EventTypes     eventTypes `json:"eventTypes" nullable:"true" doc:"null = all"`
	State          string     `json:"state" enum:"ENABLED,DISABLED"`
	DisabledReason *string    `json:"disabledReason" enum:"FAILING,MANUAL" doc:"FAILING = it took nothing for 3 days"`
	DisabledAt     *timestamp `json:"disabledAt" nullable:"true"`
	CreatedAt      timestamp  `json:"createdAt"`
	LastModifiedAt timestamp  `json:"lastModifiedAt"`
}

// eventTypes is a list of types of events.
type eventTypes []string

// Schema names them all.
func (eventTypes) Schema(huma.Registry) *huma.Schema {
	item := &huma.Schema{Type: huma.TypeString}
	for _, t := range control.EventTypes {
		item.Enum = append(item.Enum, t)
	}
	return &huma.Schema{Type: huma.TypeArray, Items: item}
}

type newEndpoint struct {
	WebhookEndpoint
	Secret string `json:"secret" doc:"Verifies the signatures (Standard Webhooks); shown this once" example:"whsec_…"`
}

func webhookEndpointOf(e control.Endpoint) WebhookEndpoint {
	state := "ENABLED"
	if e.DisabledAt != nil {
		state = "DISABLED"
	}
	return WebhookEndpoint{
		ID: e.ID, URL: e.URL, Description: orNull(e.Description), EventTypes: e.Types, State: state,
		DisabledReason: orNull(e.DisabledReason), DisabledAt: timestampOf(e.DisabledAt),
		CreatedAt: timestamp{e.CreatedAt}, LastModifiedAt: timestamp{e.ModifiedAt},
	}
}

func oneEndpoint(e control.Endpoint, err error) (*one[WebhookEndpoint], error) {
	return &one[WebhookEndpoint]{etag(e.Version), webhookEndpointOf(e)}, err
}

func oneNewEndpoint(e control.Endpoint, err error) (*one[newEndpoint], error) {
	if err != nil {
		return nil, err
	}
	return &one[newEndpoint]{etag(e.Version), newEndpoint{webhookEndpointOf(e), e.Secrets[0].Secret}}, nil
}

type deadLetter struct {
	ID       string    `json:"id" example:"dead_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	EventID  string    `json:"eventId" example:"evt_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	Type     string    `json:"type" example:"video_room.live"`
	Attempts int       `json:"attempts" example:"9"`
	Reason   string    `json:"reason" doc:"Of the last attempt" example:"it answered 500"`
	At       timestamp `json:"at"`
}

func deadLetterOf(l control.DeadLetter) deadLetter {
	return deadLetter{l.ID, string(l.EventID), l.Type, l.Attempts, l.Reason, timestamp{l.At}}
}

type webhookService interface {
	CreateEndpoint(ctx context.Context, c control.Caller, in control.EndpointInput) (control.Endpoint, error)
	Endpoint(ctx context.Context, c control.Caller, id string) (control.Endpoint, error)
	Endpoints(ctx context.Context, c control.Caller, p control.Page) (control.List[control.Endpoint], error)
	UpdateEndpoint(ctx context.Context, c control.Caller, id string, p control.EndpointPatch) (control.Endpoint, error)
	DeleteEndpoint(ctx context.Context, c control.Caller, id string) error
	RotateSecret(ctx context.Context, c control.Caller, id string) (control.Endpoint, error)
	TestEndpoint(ctx context.Context, c control.Caller, id string) (control.Notice, error)
	WebhookDeadLetters(ctx context.Context, c control.Caller, endpoint string, p control.Page) (control.List[control.DeadLetter], error)
	RedeliverRange(ctx context.Context, c control.Caller, endpoint string, from, to time.Time) (sent int, next *time.Time, err error)
}

type EndpointPath struct {
	ID string `path:"id" doc:"The webhook endpoint's id" example:"whe_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
}

type (
	endpointCall struct {
		EndpointPath
		Body *empty
	}
	endpointCreate struct {
		Body struct {
			URL         string          `json:"url" maxLength:"1024" doc:"https; its address must be a public one" example:"https://example.com/webhooks"`
			Description opt[string]     `json:"description" required:"false" maxLength:"500"`
			EventTypes  opt[eventTypes] `json:"eventTypes" required:"false" maxItems:"32" doc:"null = all" example:"[\"video_room.live\"]"`
		}
	}
	endpointChange struct {
		EndpointPath
		Guarded
		Body struct {
			URL         opt[string]     `json:"url" required:"false" nullable:"false" maxLength:"1024" doc:"Cannot be cleared" example:"https://example.com/webhooks"`
			Description opt[string]     `json:"description" required:"false" maxLength:"500"`
			EventTypes  opt[eventTypes] `json:"eventTypes" required:"false" maxItems:"32" doc:"null = all"`
			State       opt[string]     `json:"state" required:"false" enum:"ENABLED,DISABLED" doc:"null = ENABLED. While it is disabled it misses events; the feed has them"`
		}
	}
	endpointRange struct {
		EndpointPath
		Body struct {
			From time.Time      `json:"from" doc:"RFC 3339 with a zone" example:"2026-03-01T12:00:00Z"`
			To   opt[time.Time] `json:"to" required:"false" doc:"RFC 3339 with a zone, exclusive; null = now" example:"2026-03-01T13:00:00Z"`
		}
	}
)

func webhookOp(id, method, path, summary, description string, codes ...broadcast.Code) endpoint {
	e := endpoint{
		side: serverAPI, id: id, method: method, path: "/webhook-endpoints" + path, tag: "Events", summary: summary, description: description,
		codes: codes, body: method == http.MethodPost || method == http.MethodPatch,
	}
	if path != "" {
		e.codes = append(e.codes, broadcast.CodeEndpointNotFound)
	}
	return e
}

func (a *api) registerWebhooks() {
	create := webhookOp("createWebhookEndpoint", http.MethodPost, "", "Add a webhook endpoint",
		"It gets the events from now on, signed by Standard Webhooks, each resource's in order, at least once. The secret is shown this once.", broadcast.CodeTooManyEndpoints)
	create.secret, create.status = true, http.StatusCreated
	register(a, create, func(ctx context.Context, c control.Caller, in *endpointCreate) (*one[newEndpoint], error) {
		b := in.Body
		return oneNewEndpoint(a.Service.CreateEndpoint(ctx, c, control.EndpointInput{URL: b.URL, Description: b.Description.or(""), Types: b.EventTypes.or(nil)}))
	})
	register(a, webhookOp("listWebhookEndpoints", http.MethodGet, "", "List webhook endpoints", "Newest first.", broadcast.CodeInvalidCursor),
		func(ctx context.Context, c control.Caller, in *Page) (*listed[WebhookEndpoint], error) {
			l, err := a.Service.Endpoints(ctx, c, in.of())
			return listOf(l, webhookEndpointOf), err
		})
	register(a, webhookOp("getWebhookEndpoint", http.MethodGet, "/{id}", "Get a webhook endpoint", "Without its secret."),
		func(ctx context.Context, c control.Caller, in *EndpointPath) (*one[WebhookEndpoint], error) {
			return oneEndpoint(a.Service.Endpoint(ctx, c, in.ID))
		})
	register(a, webhookOp("updateWebhookEndpoint", http.MethodPatch, "/{id}", "Change a webhook endpoint",
		"JSON Merge Patch.", broadcast.CodeVersionMismatch), a.updateEndpoint)
	register(a, webhookOp("deleteWebhookEndpoint", http.MethodDelete, "/{id}", "Delete a webhook endpoint", "What is under way is dropped."),
		func(ctx context.Context, c control.Caller, in *EndpointPath) (*none, error) {
			return &none{}, a.Service.DeleteEndpoint(ctx, c, in.ID)
		})
	register(a, webhookOp("listDeadLettersOfWebhookEndpoint", http.MethodGet, "/{id}/dead-letters", "List what the endpoint did not take",
		"Newest first. An event lies here after its last attempt, about 42 hours after the first.", broadcast.CodeInvalidCursor),
		func(ctx context.Context, c control.Caller, in *struct {
			EndpointPath
			Page
		},
		) (*listed[deadLetter], error) {
			l, err := a.Service.WebhookDeadLetters(ctx, c, in.ID, in.of())
			return listOf(l, deadLetterOf), err
		})
	a.registerWebhookCalls()
}

func (a *api) registerWebhookCalls() {
	rotate := webhookOp("rotateWebhookSecret", http.MethodPost, "/{id}/rotate-secret", "Give the endpoint a new secret",
		"Shown this once. The one before signs as well for 24 hours.")
	rotate.secret = true
	register(a, rotate, func(ctx context.Context, c control.Caller, in *endpointCall) (*one[newEndpoint], error) {
		return oneNewEndpoint(a.Service.RotateSecret(ctx, c, in.ID))
	})
	test := webhookOp("testWebhookEndpoint", http.MethodPost, "/{id}/test", "Send the endpoint a test event", "An event of type test, at once and outside of every order.", broadcast.CodeEndpointDisabled)
	test.status = http.StatusAccepted
	register(a, test, func(ctx context.Context, c control.Caller, in *endpointCall) (*one[WebhookEndpoint], error) {
		if _, err := a.Service.TestEndpoint(ctx, c, in.ID); err != nil {
			return nil, err
		}
		return oneEndpoint(a.Service.Endpoint(ctx, c, in.ID))
	}, func(ctx context.Context, c control.Caller, in *endpointCall, _ control.OnceRecord) (*one[WebhookEndpoint], error) {
		return oneEndpoint(a.Service.Endpoint(ctx, c, in.ID))
	})
	again := func(ctx context.Context, c control.Caller, in *endpointRange) (*struct{ Body redelivered }, error) {
		to := in.Body.To.or(a.Now())
		n, next, err := a.Service.RedeliverRange(ctx, c, in.ID, in.Body.From, to)
		return &struct{ Body redelivered }{redelivered{n, timestampOf(next)}}, err
	}
	register(a, webhookOp("redeliverToWebhookEndpoint", http.MethodPost, "/{id}/redeliver", "Deliver a time range again",
		"Outside of the order of the resources; at most 1,000 events at a time."),
		again, func(ctx context.Context, c control.Caller, in *endpointRange, _ control.OnceRecord) (*struct{ Body redelivered }, error) {
			return again(ctx, c, in)
		})
}

func (a *api) updateEndpoint(ctx context.Context, c control.Caller, in *endpointChange) (*one[WebhookEndpoint], error) {
	b := in.Body
	p := control.EndpointPatch{URL: b.URL.Field, Description: b.Description.Field, Types: field(b.EventTypes, func(t eventTypes) []string { return t }), IfVersion: ifVersion(in.IfMatch)}
	p.Enabled = field(b.State, func(s string) bool { return s == "ENABLED" })
	return oneEndpoint(a.Service.UpdateEndpoint(ctx, c, in.ID, p))
}
