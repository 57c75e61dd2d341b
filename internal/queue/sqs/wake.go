package sqs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/roomcast/roomcast/internal/control"
)

const (
	// wakeBatch is SQS's limit for one call.
	wakeBatch = 10
	// wakeTries is how often entries are sent that SQS did not take.
	wakeTries = 4
)

// Waker is a control.Waker on a standard queue: its messages are a WakeUp as
// JSON each. Safe for concurrent use.
type Waker struct {
	api *sqs.Client
	url string
}

var _ control.Waker = (*Waker)(nil)

// NewWaker makes a client of the queue without a word to AWS.
func NewWaker(opt Options) (*Waker, error) {
	q, err := New(opt)
	if err != nil {
		return nil, err
	}
	return &Waker{api: q.api, url: q.url}, nil
}

// Wake sends wake-ups. Those to one endpoint are a message group: SQS then
// sees to it that an endpoint with many keeps no other waiting (fair queues of
// a standard queue; no order comes with it).
func (w *Waker) Wake(ctx context.Context, list []control.WakeUp) error {
	for begin := 0; begin < len(list); begin += wakeBatch {
		batch, err := entries(list[begin:min(begin+wakeBatch, len(list))])
		for try := 1; err == nil && len(batch) > 0; try++ {
			if try > wakeTries {
				err = fmt.Errorf("SQS did not take %d of them", len(batch))
				break
			}
			batch, err = w.send(ctx, batch)
		}
		if err != nil {
			return fmt.Errorf("send %d wake-ups: %w", len(list)-begin, err)
		}
	}
	return nil
}

func entries(list []control.WakeUp) ([]types.SendMessageBatchRequestEntry, error) {
	batch := make([]types.SendMessageBatchRequestEntry, 0, len(list))
	for i, up := range list {
		body, err := json.Marshal(up)
		if err != nil {
			return nil, err
		}
		delay := min(max(up.After, 0), control.MaxWakeDelay)
		e := types.SendMessageBatchRequestEntry{
			Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(string(body)),
			DelaySeconds: int32((delay + time.Second - 1) / time.Second),
		}
		if up.EndpointID != "" {
			e.MessageGroupId = aws.String(up.EndpointID)
		}
		batch = append(batch, e)
	}
	return batch, nil
}

// send answers the entries that are to be sent again.
func (w *Waker) send(ctx context.Context, batch []types.SendMessageBatchRequestEntry) ([]types.SendMessageBatchRequestEntry, error) {
	out, err := w.api.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &w.url, Entries: batch})
	if err != nil {
		return nil, err
	}
	failed := map[string]bool{}
	for _, f := range out.Failed {
		if f.SenderFault {
			return nil, errors.New(aws.ToString(f.Code) + ": " + aws.ToString(f.Message))
		}
		failed[aws.ToString(f.Id)] = true
	}
	var again []types.SendMessageBatchRequestEntry
	for _, e := range batch {
		if failed[aws.ToString(e.Id)] {
			again = append(again, e)
		}
	}
	return again, nil
}
