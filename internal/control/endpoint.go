package control

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

const (
	// maxEndpoints is how many webhook endpoints an app may have.
	maxEndpoints = 16
	// oldSecretFor is how long the secret before signs as well.
	oldSecretFor = 24 * time.Hour
)

// EventTypes are the types of events; an endpoint may ask for some of them.
var EventTypes = [...]string{
	"video_room.created", "video_room.live", "video_room.live_inactive", "video_room.ended", "video_room.archived",
	"video_room.cancelled", "stream_key.state_changed", NoticeReissued, TypeIngestWarning, "video_post.created",
	"video_post.ready", "video_post.queued", "video_post.processing", "video_post.processed", "video_post.failed", TypeEndpointDisabled, TypeTest,
}

// The types of events that are about an endpoint itself.
const (
	TypeTest             = "test"
	TypeEndpointDisabled = "webhook_endpoint.disabled"
)

// Endpoint is where an app wants to be told of its events.
type Endpoint struct {
	ID          string // whe_…
	AppID       broadcast.AppID
	URL         string
	Description string
	// Types are the events that it gets; empty = all.
	Types []string
	// Secrets sign, newest first: one, or two while the older is being replaced.
	Secrets []EndpointSecret
	// DisabledAt is when it stopped getting events; nil = it gets them.
	DisabledAt     *time.Time
	DisabledReason string // FAILING or MANUAL; "" = it is enabled
	// Sequence counts the events about the endpoint itself.
	Sequence   uint64
	CreatedAt  time.Time
	ModifiedAt time.Time
	Version    uint64
}

// EndpointSecret is whsec_ and base64 (Standard Webhooks, "Symmetric").
type EndpointSecret struct {
	Secret    string
	CreatedAt time.Time
	// ExpiresAt is set where a newer one has taken its place.
	ExpiresAt *time.Time
}

// Wants reports whether the endpoint gets events of that type.
func (e Endpoint) Wants(n Notice) bool {
	if n.EndpointID != "" {
		return n.EndpointID == e.ID
	}
	return len(e.Types) == 0 || slices.Contains(e.Types, n.Type)
}

// Signing are the secrets that sign at now, newest first.
func (e Endpoint) Signing(now time.Time) []string {
	var list []string
	for _, s := range e.Secrets {
		if s.ExpiresAt == nil || s.ExpiresAt.After(now) {
			list = append(list, s.Secret)
		}
	}
	return list
}

// EndpointInput makes an endpoint.
type EndpointInput struct {
	URL, Description string
	Types            []string
}

// EndpointPatch changes one.
type EndpointPatch struct {
	URL         Field[string]
	Description Field[string]
	Types       Field[[]string]
	Enabled     Field[bool]
	IfVersion   uint64
}

func (s *Service) checkEndpoint(v *invalid, e Endpoint) {
	u, err := url.Parse(e.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || len(e.URL) > maxURL:
		v.add(broadcast.CodeInvalidField, "url", "must be a URL of at most %d bytes without user and fragment", maxURL)
	case u.Scheme != "https" && !(s.PlainWebhooks && u.Scheme == "http"):
		v.add(broadcast.CodeInvalidField, "url", "must begin with https://")
	}
	v.text("description", e.Description, maxDescription)
	for _, t := range e.Types {
		if !slices.Contains(EventTypes[:], t) {
			v.add(broadcast.CodeInvalidField, "eventTypes", "an unknown event type is among them")
			break
		}
	}
}

func (s *Service) newEndpointSecret(now time.Time) EndpointSecret {
	text := base64.StdEncoding.EncodeToString([]byte(s.IDs.Secret(32)))
	return EndpointSecret{Secret: "whsec_" + text, CreatedAt: now}
}

// CreateEndpoint makes a webhook endpoint of the caller's app. Its secret is
// shown in this answer only.
func (s *Service) CreateEndpoint(ctx context.Context, c Caller, in EndpointInput) (Endpoint, error) {
	now := s.Now()
	e := Endpoint{
		ID: s.IDs.New("whe"), AppID: c.AppID, URL: in.URL, Description: in.Description, Types: in.Types,
		Secrets: []EndpointSecret{s.newEndpointSecret(now)}, CreatedAt: now, ModifiedAt: now,
	}
	var v invalid
	s.checkEndpoint(&v, e)
	if err := v.err(); err != nil {
		return Endpoint{}, err
	}
	there, err := s.Webhooks.Endpoints(ctx, c.AppID, Page{Limit: maxEndpoints})
	if err != nil {
		return Endpoint{}, err
	}
	if len(there.Items) >= maxEndpoints {
		return Endpoint{}, refuse(broadcast.CodeTooManyEndpoints, "an app has at most %d webhook endpoints", maxEndpoints)
	}
	if err := s.Store.Commit(ctx, Changes{ID: s.IDs.New("tx"), Endpoints: []Endpoint{e}}); err != nil {
		return Endpoint{}, err
	}
	e.Version = 1
	return e, nil
}

// Endpoint answers one of the caller's app.
func (s *Service) Endpoint(ctx context.Context, c Caller, id string) (Endpoint, error) {
	e, err := s.Webhooks.Endpoint(ctx, id)
	if err == nil && e.AppID != c.AppID {
		err = ErrNotFound
	}
	if err != nil {
		return Endpoint{}, notFound(err, broadcast.CodeEndpointNotFound, "webhook endpoint")
	}
	return e, nil
}

// Endpoints lists those of the caller's app.
func (s *Service) Endpoints(ctx context.Context, c Caller, p Page) (List[Endpoint], error) {
	return s.Webhooks.Endpoints(ctx, c.AppID, p)
}

// editEndpoint changes an endpoint and adds what else belongs to the transaction.
func (s *Service) editEndpoint(ctx context.Context, c Caller, id string, ifVersion uint64, edit func(*Endpoint, *Changes) error) (Endpoint, error) {
	var e Endpoint
	err := s.retry(ctx, func() error {
		var err error
		if e, err = s.Endpoint(ctx, c, id); err != nil {
			return err
		}
		if err := checkVersion(ifVersion, e.Version); err != nil {
			return err
		}
		ch := Changes{ID: s.IDs.New("tx")}
		if err := edit(&e, &ch); err != nil {
			return err
		}
		e.ModifiedAt = s.Now()
		ch.Endpoints = []Endpoint{e}
		return lostUpdate(s.Store.Commit(ctx, ch), ifVersion)
	})
	if err != nil {
		return Endpoint{}, err
	}
	e.Version++
	return e, nil
}

// UpdateEndpoint changes an endpoint. One that is disabled misses the events
// of that time: the feed has them.
func (s *Service) UpdateEndpoint(ctx context.Context, c Caller, id string, p EndpointPatch) (Endpoint, error) {
	e, err := s.editEndpoint(ctx, c, id, p.IfVersion, func(e *Endpoint, _ *Changes) error {
		set(&e.URL, p.URL)
		set(&e.Description, p.Description)
		set(&e.Types, p.Types)
		if p.Enabled.Set {
			s.enable(e, p.Enabled.Value == nil || *p.Enabled.Value)
		}
		var v invalid
		s.checkEndpoint(&v, *e)
		return v.err()
	})
	if err == nil && p.Enabled.Set {
		err = s.Webhooks.Recovered(ctx, id)
	}
	return e, err
}

func (s *Service) enable(e *Endpoint, on bool) {
	switch now := s.Now(); {
	case on:
		e.DisabledAt, e.DisabledReason = nil, ""
	case e.DisabledAt == nil:
		e.DisabledAt, e.DisabledReason = &now, "MANUAL"
	}
}

// DeleteEndpoint removes an endpoint and what it has not got yet.
func (s *Service) DeleteEndpoint(ctx context.Context, c Caller, id string) error {
	err := s.retry(ctx, func() error {
		e, err := s.Endpoint(ctx, c, id)
		if err != nil {
			return err
		}
		return s.Store.Commit(ctx, Changes{ID: s.IDs.New("tx"), DeleteEndpoints: []Endpoint{e}})
	})
	if err != nil {
		return err
	}
	return s.Webhooks.DropCursors(ctx, id)
}

// RotateSecret gives an endpoint a new secret, shown in this answer only. The
// one before signs as well for 24 hours; an older one ends now.
func (s *Service) RotateSecret(ctx context.Context, c Caller, id string) (Endpoint, error) {
	return s.editEndpoint(ctx, c, id, 0, func(e *Endpoint, _ *Changes) error {
		now := s.Now()
		over := now.Add(oldSecretFor)
		before := e.Secrets[0]
		before.ExpiresAt = &over
		e.Secrets = []EndpointSecret{s.newEndpointSecret(now), before}
		return nil
	})
}

// TestEndpoint sends the endpoint an event of type test, in the order of its
// own events.
func (s *Service) TestEndpoint(ctx context.Context, c Caller, id string) (Notice, error) {
	var n Notice
	_, err := s.editEndpoint(ctx, c, id, 0, func(e *Endpoint, ch *Changes) error {
		if e.DisabledAt != nil {
			return &broadcast.Refusal{
				Code: broadcast.CodeEndpointDisabled, State: "DISABLED", Allowed: []string{"enable"},
				Message: "the endpoint is disabled; enable it first",
			}
		}
		n = s.endpointNotice(e, TypeTest)
		n.EndpointID = e.ID
		ch.Notices = []Notice{n}
		return nil
	})
	return n, err
}

func (s *Service) endpointNotice(e *Endpoint, kind string) Notice {
	e.Sequence++
	return Notice{
		ID: broadcast.EventID(s.IDs.New("evt")), AppID: e.AppID, Aggregate: e.ID, Sequence: e.Sequence, Type: kind, At: s.Now(),
	}
}

// disableFailing stops an endpoint that has failed for too long and says so in
// the feed and to the app's other endpoints.
func (s *Service) disableFailing(ctx context.Context, id string, app broadcast.AppID, since time.Time) error {
	_, err := s.editEndpoint(ctx, Caller{AppID: app}, id, 0, func(e *Endpoint, ch *Changes) error {
		now := s.Now()
		e.DisabledAt, e.DisabledReason = &now, "FAILING"
		ch.Notices = []Notice{s.endpointNotice(e, TypeEndpointDisabled)}
		return nil
	})
	var gone *broadcast.Refusal
	if errors.As(err, &gone) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("disable webhook endpoint %s: %w", id, err)
	}
	s.Log.WarnContext(ctx, "webhook endpoint disabled", "endpoint", id, "app", app, "failing_since", since)
	return s.Webhooks.DropCursors(ctx, id)
}
