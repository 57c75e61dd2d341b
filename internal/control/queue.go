package control

import (
	"context"
	"time"
)

// QueueMessage is one message of a FIFO queue. Messages of one Group are
// delivered in the order they were sent, one at a time.
type QueueMessage struct {
	Group string
	// DedupID: a message with the same Group and DedupID within 5 minutes is
	// accepted and dropped.
	DedupID string
	Body    []byte // ≤ 64 KiB
}

// Delivery is a message on its way. It comes again when it is neither
// acknowledged nor returned within the queue's visibility timeout.
type Delivery struct {
	QueueMessage
	Receipt  string // of this delivery only
	Attempts int    // 1 at the first delivery
}

// Queue is the FIFO of state events. Safe for concurrent use. A message that
// was received more often than the queue's limit lies among the dead letters,
// and its group goes on.
type Queue interface {
	Send(ctx context.Context, m QueueMessage) error
	// Receive waits up to wait for at most limit messages of different groups;
	// none is no error.
	Receive(ctx context.Context, limit int, wait time.Duration) ([]Delivery, error)
	// Ack removes a delivered message; a receipt that is over is ErrConflict.
	Ack(ctx context.Context, d Delivery) error
	// Return makes a delivered message visible again after delay.
	Return(ctx context.Context, d Delivery, delay time.Duration) error
	// DeadLetters lists up to limit; Replay sends one again, Drop removes it.
	DeadLetters(ctx context.Context, limit int) ([]Delivery, error)
	Replay(ctx context.Context, receipt string) error
	Drop(ctx context.Context, receipt string) error
}
