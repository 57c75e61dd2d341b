package sqs

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/roomcast/roomcast/internal/control"
)

const (
	// maxBodyBytes is the limit of control.QueueMessage.
	maxBodyBytes = 64 << 10
	// maxNameBytes is SQS's for groups and deduplication ids.
	maxNameBytes = 128
	// maxDelay is SQS's longest visibility timeout.
	maxDelay = 12 * time.Hour
	// ackMemory is longer than any delivery of ours takes: by then SQS itself
	// refuses the receipt.
	ackMemory = 5 * time.Minute
)

// Send puts a message at the end of its group, or drops it where its DedupID
// was sent to the group within the last 5 minutes. A body is text, as SQS
// wants it.
func (q *Queue) Send(ctx context.Context, m control.QueueMessage) error {
	err := check(m)
	if err == nil {
		body := string(m.Body)
		_, err = q.api.SendMessage(ctx, &sqs.SendMessageInput{
			QueueUrl: &q.url, MessageBody: &body, MessageGroupId: &m.Group, MessageDeduplicationId: &m.DedupID,
		}, func(o *sqs.Options) { o.HTTPClient = q.send })
	}
	if err != nil {
		return fmt.Errorf("send to group %s: %w", m.Group, err)
	}
	return nil
}

func check(m control.QueueMessage) error {
	switch {
	case m.Group == "" || len(m.Group) > maxNameBytes:
		return fmt.Errorf("a group has 1 to %d bytes", maxNameBytes)
	case m.DedupID == "" || len(m.DedupID) > maxNameBytes:
		return fmt.Errorf("a deduplication id has 1 to %d bytes", maxNameBytes)
	case len(m.Body) == 0 || len(m.Body) > maxBodyBytes:
		return fmt.Errorf("a body has 1 to %d bytes, not %d", maxBodyBytes, len(m.Body))
	case !isText(m.Body):
		return errors.New("a body is UTF-8 text without control characters: SQS takes nothing else")
	}
	return nil
}

// isText knows the characters that SQS takes (SendMessage, MessageBody).
func isText(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 || r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return false
		}
		b = b[n:]
	}
	return true
}

// Ack removes a delivered message. A receipt is over when the message was
// delivered again, acknowledged or returned.
func (q *Queue) Ack(ctx context.Context, d control.Delivery) error {
	err := q.settle(d.Receipt, ackMemory, func() error {
		_, err := q.api.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: &d.Receipt})
		return err
	})
	if err != nil {
		return fmt.Errorf("acknowledge a delivery of group %s: %w", d.Group, err)
	}
	return nil
}

// Return makes a delivered message visible again after delay, in whole seconds
// and at most 12 hours; its group waits with it.
func (q *Queue) Return(ctx context.Context, d control.Delivery, delay time.Duration) error {
	delay = min(max(delay, 0), maxDelay)
	seconds := int32((delay + time.Second - 1) / time.Second)
	err := q.settle(d.Receipt, delay+ackMemory, func() error {
		_, err := q.api.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
			QueueUrl: &q.url, ReceiptHandle: &d.Receipt, VisibilityTimeout: seconds,
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("return a delivery of group %s: %w", d.Group, err)
	}
	return nil
}

// settle runs the one call that a receipt is good for.
func (q *Queue) settle(receipt string, memory time.Duration, call func() error) error {
	if receipt == "" || !q.finish(receipt, memory) {
		return control.ErrConflict
	}
	err := conflict(call())
	if err != nil && !errors.Is(err, control.ErrConflict) {
		q.resume(receipt)
	}
	return err
}
