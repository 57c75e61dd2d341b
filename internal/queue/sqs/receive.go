package sqs

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/roomcast/roomcast/internal/control"
)

// gather is how long a first message waits for others: its visibility timeout
// runs already.
const gather = 200 * time.Millisecond

// Receive waits for a first message and takes at once what there is besides,
// up to limit. Messages come one by one: SQS fills a batch with followers of
// the same group, which would count as received though their turn has not come.
func (q *Queue) Receive(ctx context.Context, limit int, wait time.Duration) ([]control.Delivery, error) {
	var got []control.Delivery
	end := q.opt.Now().Add(wait)
	for len(got) < max(limit, 1) {
		now := q.opt.Now()
		left := end.Sub(now)
		switch {
		case len(got) == 1:
			end, left = now.Add(gather), 0
		case len(got) > 1 && left <= 0:
			return got, nil
		case len(got) > 1:
			left = 0
		}
		list, err := q.receive(ctx, q.url, 1, left, nil)
		switch {
		case err != nil && len(got) > 0:
			return got, nil // they are on their way already
		case err != nil && ctx.Err() != nil:
			return nil, fmt.Errorf("receive: %w", ctx.Err())
		case err != nil:
			return nil, fmt.Errorf("receive: %w", err)
		case len(list) == 0 && (len(got) > 0 || left <= maxWait):
			return got, nil
		}
		for _, m := range list {
			got = append(got, delivery(m))
		}
	}
	return got, nil
}

// receive is one long poll. Its attempt id makes SQS answer a repetition with
// the same messages, where the first answer was lost.
func (q *Queue) receive(ctx context.Context, url string, limit int32, wait time.Duration, hidden *int32) ([]types.Message, error) {
	wait = min(max(wait, 0), maxWait)
	in := &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: limit,
		WaitTimeSeconds:             int32((wait + time.Second - 1) / time.Second),
		ReceiveRequestAttemptId:     aws.String(rand.Text()),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	}
	if hidden != nil {
		in.VisibilityTimeout = *hidden
	}
	out, err := q.api.ReceiveMessage(ctx, in, func(o *sqs.Options) { o.HTTPClient = q.poll })
	if err != nil {
		return nil, err
	}
	return out.Messages, nil
}

func delivery(m types.Message) control.Delivery {
	attempts, err := strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
	if err != nil {
		attempts = 1 // SQS always says it
	}
	return control.Delivery{
		QueueMessage: control.QueueMessage{
			Group: m.Attributes["MessageGroupId"], DedupID: m.Attributes["MessageDeduplicationId"],
			Body: []byte(aws.ToString(m.Body)),
		},
		Receipt: aws.ToString(m.ReceiptHandle), Attempts: attempts,
	}
}
