package control

import (
	"context"
	"sync"
	"time"
)

const (
	// receiveBatch is how many groups are worked on at once.
	receiveBatch = 10
	receiveWait  = 10 * time.Second
	maxReturn    = 20 * time.Second
)

// Consume applies the queue's events until ctx ends: groups beside each other,
// one group's events in order. A failing store makes an event come again,
// later each time.
func (s *Service) Consume(ctx context.Context, q Queue) {
	for ctx.Err() == nil {
		list, err := q.Receive(ctx, receiveBatch, receiveWait)
		if err != nil {
			if ctx.Err() == nil {
				s.Log.ErrorContext(ctx, "receive state events", "err", err)
				_ = s.Wait(ctx, time.Second) // ends with ctx
			}
			continue
		}
		var all sync.WaitGroup
		for _, d := range list {
			all.Go(func() { s.HandleDelivery(ctx, q, d) })
		}
		all.Wait()
	}
}

// Deliveries is what a consumer needs of a queue: it acknowledges what is
// applied and returns what is not.
type Deliveries interface {
	Ack(ctx context.Context, d Delivery) error
	Return(ctx context.Context, d Delivery, delay time.Duration) error
}

// HandleDelivery applies one event and settles its delivery: acknowledged when
// there is nothing left to do, returned when it has to come again. It ends
// what it began, whatever becomes of ctx.
func (s *Service) HandleDelivery(ctx context.Context, q Deliveries, d Delivery) {
	ctx = context.WithoutCancel(ctx) // what was begun is finished
	e, err := DecodeEvent(d.Body)
	if err == nil {
		err = s.ApplyEvent(ctx, e)
	} else {
		// It will never be readable: another try helps nobody.
		s.Log.ErrorContext(ctx, "state event dropped", "group", d.Group, "err", err)
		err = nil
	}
	if err == nil {
		if err := q.Ack(ctx, d); err != nil {
			s.Log.WarnContext(ctx, "state event not acknowledged", "group", d.Group, "err", err)
		}
		return
	}
	s.Log.ErrorContext(ctx, "state event comes again", "group", d.Group, "attempt", d.Attempts, "err", err)
	delay := min(time.Duration(d.Attempts)*time.Second, maxReturn)
	if err := q.Return(ctx, d, delay); err != nil {
		s.Log.WarnContext(ctx, "state event not returned", "group", d.Group, "err", err)
	}
}
