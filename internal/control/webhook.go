package control

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

const (
	// claimFor is how long a delivery belongs to who took it: longer than its
	// longest call, so that a process that died holds it up shortly.
	claimFor = 30 * time.Second
	// perEndpoint and inAll bound the calls under way, so that a slow endpoint
	// holds up nobody but itself.
	perEndpoint = 4
	inAll       = 64
	// callReserve is what one more delivery may take.
	callReserve = 15 * time.Second
	// disableAfter is how long an endpoint may fail without one success.
	disableAfter = 3 * 24 * time.Hour
)

// retryPauses are the pauses before an event is tried again; after the last
// one it lies among its endpoint's dead letters.
var retryPauses = [...]time.Duration{
	5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 4 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

// Cursor is what an endpoint has not got yet of one group: the events of one
// aggregate from Next to Last, in order, or one that is delivered again. It is
// there only while something is left to do.
type Cursor struct {
	EndpointID string
	// Group is the aggregate, or AgainPrefix and an event's id.
	Group      string
	Aggregate  string
	Next, Last uint64
	// Attempts counts the failures of Next; DueAt is when it is tried again.
	Attempts int
	DueAt    time.Time
	// Claim is the token of who delivers; "" = nobody.
	Claim string
}

// AgainPrefix begins the group of an event that is delivered again.
const AgainPrefix = "again:"

// DeadLetter is an event that an endpoint did not take.
type DeadLetter struct {
	ID         string
	EndpointID string
	EventID    broadcast.EventID
	Type       string
	Attempts   int
	Reason     string // of the last attempt
	At         time.Time
}

// Webhooks keeps endpoints and what each has not got yet. Endpoints are
// written by Changes. Safe for concurrent use.
type Webhooks interface {
	Endpoint(ctx context.Context, id string) (Endpoint, error)
	Endpoints(ctx context.Context, app broadcast.AppID, p Page) (List[Endpoint], error)
	// Wake adds cursors; where the group has one, only its Last rises.
	Wake(ctx context.Context, list []Cursor) error
	// DueEndpoints answers the endpoints that have cursors due at now.
	DueEndpoints(ctx context.Context, now time.Time) ([]string, error)
	// DueCursors answers those of one endpoint, longest due first.
	DueCursors(ctx context.Context, endpoint string, now time.Time, limit int) ([]Cursor, error)
	// ClaimCursor takes a cursor that is due at now until until, and answers
	// it; ErrConflict = it is not due, or gone.
	ClaimCursor(ctx context.Context, c Cursor, token string, now, until time.Time) (Cursor, error)
	// SaveCursor stores Next, Attempts and DueAt and gives the claim back
	// where release is true; ErrConflict = the claim is lost.
	SaveCursor(ctx context.Context, c Cursor, release bool) error
	// FinishCursor removes the cursor unless Last has risen to Next or beyond;
	// ErrConflict = it has, or the claim is lost.
	FinishCursor(ctx context.Context, c Cursor) error
	// DropCursors removes all cursors of an endpoint.
	DropCursors(ctx context.Context, endpoint string) error
	// Failing remembers since when the endpoint fails without a success.
	Failing(ctx context.Context, endpoint string, at time.Time) (since time.Time, err error)
	Recovered(ctx context.Context, endpoint string) error
	AddDeadLetter(ctx context.Context, l DeadLetter) error
	WebhookDeadLetters(ctx context.Context, endpoint string, p Page) (List[DeadLetter], error)
}

// WebhookCall is one call of an endpoint.
type WebhookCall struct {
	URL     string
	Secrets []string // newest first
	Event   Notice
}

// Sender calls an endpoint once. An error says why the event was not taken:
// no answer in time, an answer other than 2xx, a forbidden address.
type Sender interface {
	Send(ctx context.Context, call WebhookCall) error
}

// wake tells the endpoints of each notice's app that there is something new.
func (s *Service) wake(ctx context.Context, list []Notice) error {
	apps := map[broadcast.AppID][]Endpoint{}
	var cursors []Cursor
	for _, n := range list {
		endpoints, known := apps[n.AppID]
		if !known {
			l, err := s.Webhooks.Endpoints(ctx, n.AppID, Page{Limit: maxEndpoints})
			if err != nil {
				return err
			}
			endpoints = l.Items
			apps[n.AppID] = endpoints
		}
		for _, e := range endpoints {
			if e.DisabledAt == nil && !n.At.Before(e.CreatedAt) && e.Wants(n) {
				cursors = append(cursors, Cursor{
					EndpointID: e.ID, Group: n.Aggregate, Aggregate: n.Aggregate, Next: n.Sequence, Last: n.Sequence, DueAt: s.Now(),
				})
			}
		}
	}
	if len(cursors) == 0 {
		return nil
	}
	return s.Webhooks.Wake(ctx, cursors)
}

// Deliverer calls endpoints. One per process; others in other processes do no
// harm. Not safe for concurrent use.
type Deliverer struct {
	s      *Service
	sender Sender
	calls  chan struct{}
	wg     sync.WaitGroup
	mu     sync.Mutex
	busy   map[string]int // calls under way, by endpoint
}

// NewDeliverer makes a deliverer that has nothing under way.
func (s *Service) NewDeliverer(sender Sender) *Deliverer {
	return &Deliverer{s: s, sender: sender, calls: make(chan struct{}, inAll), busy: map[string]int{}}
}

// Pass begins every delivery that is due, as far as there is room, and does
// not wait for it.
func (d *Deliverer) Pass(ctx context.Context) error {
	now := d.s.Now()
	endpoints, err := d.s.Webhooks.DueEndpoints(ctx, now)
	if err != nil {
		return fmt.Errorf("look for due deliveries: %w", err)
	}
	for _, id := range endpoints {
		room := d.room(id)
		if room <= 0 {
			continue
		}
		due, err := d.s.Webhooks.DueCursors(ctx, id, now, room)
		if err != nil {
			return fmt.Errorf("look for deliveries to %s: %w", id, err)
		}
		for _, c := range due {
			d.begin(ctx, c)
		}
	}
	return nil
}

// Wait returns when nothing is under way.
func (d *Deliverer) Wait() { d.wg.Wait() }

func (d *Deliverer) room(endpoint string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return min(perEndpoint-d.busy[endpoint], inAll-len(d.calls))
}

func (d *Deliverer) begin(ctx context.Context, c Cursor) {
	d.calls <- struct{}{}
	d.count(c.EndpointID, 1)
	d.wg.Go(func() {
		defer func() {
			d.count(c.EndpointID, -1)
			<-d.calls
		}()
		if err := d.s.Deliver(ctx, d.sender, c); err != nil && ctx.Err() == nil {
			d.s.Log.ErrorContext(ctx, "delivery comes again", "endpoint", c.EndpointID, "group", c.Group, "err", err)
		}
	})
}

func (d *Deliverer) count(endpoint string, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy[endpoint] += n; d.busy[endpoint] == 0 {
		delete(d.busy, endpoint)
	}
}

// Deliver sends a group's events one after the other until one is not taken or
// all are. Who is faster delivers: the other's call does nothing.
func (s *Service) Deliver(ctx context.Context, sender Sender, c Cursor) error {
	token := s.IDs.New("dlv")
	for {
		now := s.Now()
		claimed, err := s.Webhooks.ClaimCursor(ctx, c, token, now, now.Add(claimFor))
		if errors.Is(err, ErrConflict) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("claim: %w", err)
		}
		more, err := s.deliverNext(ctx, sender, &claimed)
		if errors.Is(err, ErrConflict) {
			return nil // somebody else has it now, or the endpoint is gone
		}
		if err != nil || !more || ctx.Err() != nil {
			return err
		}
		c = claimed
		if end, ok := ctx.Deadline(); ok && end.Sub(s.Now()) < callReserve {
			return s.Webhooks.Wake(ctx, []Cursor{c}) // another goes on
		}
	}
}

// deliverNext sends the event that is next and stores what came of it; more =
// the group may go on at once.
func (s *Service) deliverNext(ctx context.Context, sender Sender, c *Cursor) (more bool, err error) {
	e, err := s.Webhooks.Endpoint(ctx, c.EndpointID)
	if errors.Is(err, ErrNotFound) || err == nil && e.DisabledAt != nil {
		return false, s.Webhooks.DropCursors(ctx, c.EndpointID)
	}
	if err != nil {
		return false, err
	}
	n, err := s.Feed.NoticeAt(ctx, c.Aggregate, c.Next)
	switch {
	case errors.Is(err, ErrNotFound): // older than the feed
	case err != nil:
		return false, err
	case e.Wants(n):
		err := sender.Send(ctx, WebhookCall{URL: e.URL, Secrets: e.Signing(s.Now()), Event: n})
		if ctx.Err() != nil {
			return false, s.Webhooks.SaveCursor(context.WithoutCancel(ctx), *c, true) // the process ends: it comes again
		}
		if err != nil {
			return s.notTaken(ctx, e, n, c, err)
		}
		if err := s.Webhooks.Recovered(ctx, e.ID); err != nil {
			return false, err
		}
	}
	return true, s.advance(ctx, c)
}

// advance goes on to the next event of the group, if there is one.
func (s *Service) advance(ctx context.Context, c *Cursor) error {
	c.Next++
	c.Attempts, c.DueAt = 0, s.Now()
	if c.Next > c.Last {
		if err := s.Webhooks.FinishCursor(ctx, *c); !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return s.Webhooks.SaveCursor(ctx, *c, true)
}

// notTaken puts the event off, or among the dead letters; more = the group
// goes on with the next one.
func (s *Service) notTaken(ctx context.Context, e Endpoint, n Notice, c *Cursor, why error) (more bool, err error) {
	now := s.Now()
	since, err := s.Webhooks.Failing(ctx, e.ID, now)
	if err != nil {
		return false, err
	}
	s.Log.InfoContext(ctx, "webhook not taken", "endpoint", e.ID, "event", n.ID, "type", n.Type, "attempt", c.Attempts+1, "err", why)
	if now.Sub(since) >= disableAfter {
		return false, s.disableFailing(ctx, e.ID, e.AppID, since)
	}
	if c.Attempts < len(retryPauses) {
		pause := retryPauses[c.Attempts]
		pause += time.Duration(rand.Int64N(int64(pause) / 5)) //nolint:gosec // jitter, not a secret
		c.Attempts++
		c.DueAt = now.Add(pause)
		return false, s.Webhooks.SaveCursor(ctx, *c, true)
	}
	err = s.Webhooks.AddDeadLetter(ctx, DeadLetter{
		ID: s.IDs.New("dead"), EndpointID: e.ID, EventID: n.ID, Type: n.Type, Attempts: c.Attempts + 1, Reason: why.Error(), At: now,
	})
	if err != nil {
		return false, err
	}
	return true, s.advance(ctx, c)
}

// WebhookDeadLetters lists what an endpoint did not take.
func (s *Service) WebhookDeadLetters(ctx context.Context, c Caller, endpoint string, p Page) (List[DeadLetter], error) {
	if _, err := s.Endpoint(ctx, c, endpoint); err != nil {
		return List[DeadLetter]{}, err
	}
	return s.Webhooks.WebhookDeadLetters(ctx, endpoint, p)
}

// again is the cursor of an event that an endpoint gets once more.
func (s *Service) again(endpoint string, n Notice) Cursor {
	return Cursor{
		EndpointID: endpoint, Group: AgainPrefix + string(n.ID), Aggregate: n.Aggregate, Next: n.Sequence, Last: n.Sequence, DueAt: s.Now(),
	}
}

// RedeliverEvent sends an event again, outside of the order, to one endpoint
// or, where endpoint is "", to all that want it. It answers to how many.
func (s *Service) RedeliverEvent(ctx context.Context, c Caller, id broadcast.EventID, endpoint string) (int, error) {
	n, err := s.Event(ctx, c, id)
	if err != nil {
		return 0, err
	}
	var cursors []Cursor
	if endpoint != "" {
		e, err := s.Endpoint(ctx, c, endpoint)
		if err != nil {
			return 0, err
		}
		cursors = append(cursors, s.again(e.ID, n))
	} else {
		list, err := s.Webhooks.Endpoints(ctx, c.AppID, Page{Limit: maxEndpoints})
		if err != nil {
			return 0, err
		}
		for _, e := range list.Items {
			if e.DisabledAt == nil && e.Wants(n) {
				cursors = append(cursors, s.again(e.ID, n))
			}
		}
	}
	return len(cursors), s.Webhooks.Wake(ctx, cursors)
}

// RedeliverRange sends an endpoint again what happened from from until before
// to, at most 1,000 events at a time: next is where to go on, nil = all done.
func (s *Service) RedeliverRange(ctx context.Context, c Caller, endpoint string, from, to time.Time) (sent int, next *time.Time, err error) {
	e, err := s.Endpoint(ctx, c, endpoint)
	if err != nil {
		return 0, nil, err
	}
	var after uint64
	var cursors []Cursor
	for {
		events, err := s.Feed.Feed(ctx, FeedFilter{AppID: c.AppID}, after, outboxBatch)
		if err != nil {
			return 0, nil, err
		}
		for _, ev := range events {
			after = ev.Position
			if ev.At.Before(from) || !ev.At.Before(to) || !e.Wants(ev.Notice) {
				continue
			}
			if len(cursors) == redeliverAtOnce {
				at := ev.At
				return len(cursors), &at, s.Webhooks.Wake(ctx, cursors)
			}
			cursors = append(cursors, s.again(e.ID, ev.Notice))
		}
		if len(events) < outboxBatch {
			return len(cursors), nil, s.Webhooks.Wake(ctx, cursors)
		}
	}
}

const redeliverAtOnce = 1000
