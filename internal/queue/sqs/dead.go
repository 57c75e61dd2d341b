package sqs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/roomcast/roomcast/internal/control"
)

const (
	// hiddenSeconds is how long one look may take: others do not see dead
	// letters meanwhile.
	hiddenSeconds int32 = 30
	deadBatch     int32 = 10
)

// errFound ends a look.
var errFound = errors.New("found")

// DeadLetters lists up to limit dead letters, of each group its oldest ten: SQS
// shows a FIFO queue no deeper. Their receipts are message ids, which hold
// until the letter is replayed or dropped. Two processes that look at the same
// moment may each see less.
func (q *Queue) DeadLetters(ctx context.Context, limit int) ([]control.Delivery, error) {
	var dead []control.Delivery
	err := q.look(ctx, func(m types.Message) (bool, error) {
		if len(dead) == limit {
			return false, errFound
		}
		d := delivery(m)
		d.Receipt = aws.ToString(m.MessageId)
		dead = append(dead, d)
		return false, nil
	})
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return dead, nil
}

// Replay sends a dead letter again, to the end of its group, and removes it
// then: where the removal fails, another Replay within 5 minutes sends nothing
// twice. (StartMessageMoveTask moves all of them, and LocalStack has none.)
func (q *Queue) Replay(ctx context.Context, receipt string) error {
	if err := q.unearth(ctx, receipt, true); err != nil {
		return fmt.Errorf("replay dead letter %s: %w", receipt, err)
	}
	return nil
}

// Drop removes a dead letter. One that is not there is control.ErrNotFound.
func (q *Queue) Drop(ctx context.Context, receipt string) error {
	if err := q.unearth(ctx, receipt, false); err != nil {
		return fmt.Errorf("drop dead letter %s: %w", receipt, err)
	}
	return nil
}

func (q *Queue) unearth(ctx context.Context, receipt string, send bool) error {
	found := false
	err := q.look(ctx, func(m types.Message) (bool, error) {
		if aws.ToString(m.MessageId) != receipt {
			return false, nil
		}
		if send {
			again := delivery(m).QueueMessage
			again.DedupID = "replay-" + receipt // not the old one: that may be younger than 5 minutes
			if err := q.Send(ctx, again); err != nil {
				return false, err
			}
		}
		found = true
		return true, errFound
	})
	if err == nil && !found {
		err = control.ErrNotFound
	}
	return err
}

// look shows the dead letters to see, which says whether one is done with, and
// answers errFound where it has seen enough. All others are put back.
func (q *Queue) look(ctx context.Context, see func(types.Message) (done bool, err error)) (err error) {
	q.graveyard.Lock()
	defer q.graveyard.Unlock()
	url, err := q.dead(ctx)
	if err != nil {
		return err
	}
	var held []types.Message
	defer func() { err = errors.Join(err, q.putBack(context.WithoutCancel(ctx), url, held)) }()
	for {
		hidden := hiddenSeconds
		list, err := q.receive(ctx, url, deadBatch, 0, &hidden)
		if err != nil || len(list) == 0 {
			return err
		}
		held = append(held, list...)
		for _, m := range list {
			done, err := see(m)
			if done {
				_, removeErr := q.api.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle})
				if removeErr != nil {
					return removeErr
				}
				held = without(held, m)
			}
			if errors.Is(err, errFound) {
				return nil
			}
			if err != nil {
				return err
			}
		}
	}
}

func without(list []types.Message, m types.Message) []types.Message {
	var rest []types.Message
	for _, other := range list {
		if aws.ToString(other.MessageId) != aws.ToString(m.MessageId) {
			rest = append(rest, other)
		}
	}
	return rest
}

// putBack makes letters visible again at once.
func (q *Queue) putBack(ctx context.Context, url string, held []types.Message) error {
	var problems []error
	for _, m := range held {
		_, err := q.api.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle})
		if err != nil && !over(err) {
			problems = append(problems, fmt.Errorf("put a dead letter back: %w", err))
		}
	}
	return errors.Join(problems...)
}

// dead answers the URL of the dead letter queue, which the queue itself names.
func (q *Queue) dead(ctx context.Context) (string, error) {
	if q.deadURL != "" {
		return q.deadURL, nil
	}
	attributes, err := q.attributes(ctx)
	if err != nil {
		return "", err
	}
	var policy struct {
		Target string `json:"deadLetterTargetArn"`
	}
	arn := []string{}
	if err := json.Unmarshal([]byte(attributes["RedrivePolicy"]), &policy); err == nil {
		arn = strings.Split(policy.Target, ":") // arn:aws:sqs:region:account:name
	}
	if len(arn) != 6 {
		return "", errors.New("the queue has no dead letter queue")
	}
	out, err := q.api.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &arn[5], QueueOwnerAWSAccountId: &arn[4]})
	if err != nil {
		return "", fmt.Errorf("find the dead letter queue %s: %w", arn[5], err)
	}
	q.deadURL = aws.ToString(out.QueueUrl)
	return q.deadURL, nil
}
