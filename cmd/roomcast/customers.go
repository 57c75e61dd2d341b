package main

import (
	"context"
	"errors"
	"time"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/httpapi"
	"github.com/roomcast/roomcast/internal/webhook"
)

const (
	outboxEvery  = 100 * time.Millisecond
	deliverEvery = 250 * time.Millisecond
	// Who asks AWS is billed for it.
	sharedEvery = time.Second
	purgeEvery  = time.Hour
)

// customerStore is what telling customers needs of a store.
type customerStore interface {
	control.Idempotency
	control.Feed
	control.Webhooks
}

// withCustomers adds the way to customers where the store has one.
func (m *machine) withCustomers(o control.Options) control.Options {
	o.Bell, o.MaxWait, o.PlainWebhooks = &control.Bell{}, control.LongestWait, m.settings.InsecureWebhooks
	if s, ok := o.Store.(customerStore); ok {
		o.Idempotency, o.Feed, o.Webhooks = s, s, s
	}
	return o
}

// customers runs what tells customers of events, and forgets what is old.
func (m *machine) customers(ctx context.Context) {
	if m.service.Idempotency == nil {
		return
	}
	sender := webhook.New(webhook.Options{
		Body: httpapi.EventBody(m.service), Now: time.Now, Development: m.settings.InsecureWebhooks,
	})
	deliverer := m.service.NewDeliverer(sender)
	outbox, deliver := outboxEvery, deliverEvery
	if m.backend.shared {
		outbox, deliver = sharedEvery, sharedEvery
	}
	m.loops.Go(func() { m.whenDue(ctx, outbox, "outbox", m.service.PlaceNotices) })
	m.loops.Go(func() {
		m.whenDue(ctx, deliver, "webhooks", deliverer.Pass)
		deliverer.Wait()
		sender.Close()
	})
	m.loops.Go(func() {
		every(ctx, purgeEvery, m.log, "purge", func(ctx context.Context) error {
			return errors.Join(m.service.PurgeOnce(ctx), m.service.PurgeFeed(ctx))
		})
	})
}
