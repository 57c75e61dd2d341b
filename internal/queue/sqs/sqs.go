// Package sqs is the queue of state events on an SQS FIFO queue and its dead
// letter queue (infra/queues.yaml). Deployed, functions/stateconsumer is fed
// by Lambda itself; Receive is for `roomcast up --backend aws`.
package sqs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/roomcast/roomcast/internal/awsretry"
	"github.com/roomcast/roomcast/internal/control"
)

const (
	maxAttempts = 6
	// defaultAttemptTimeout is many times what SQS needs.
	defaultAttemptTimeout = 5 * time.Second
	// sendConns bounds the connections of Send: a burst of events must not hold
	// up acknowledgements, whose deliveries would come again.
	sendConns = 8
	// maxWait is SQS's for one long poll.
	maxWait = 20 * time.Second
)

// Options of New and Open.
type Options struct {
	// AWS has region, credentials and, for LocalStack, BaseEndpoint. Its
	// HTTPClient and retryer are not used.
	AWS aws.Config
	// URL is the queue's. Required.
	URL string
	// Now is required: receipts that this process gave back are over by it.
	Now func() time.Time
	// AttemptTimeout is for one HTTP request, besides its long poll; 0 = 5 s.
	// A request is tried 6 times, as long as the caller's context lasts.
	AttemptTimeout time.Duration
}

// Queue is a control.Queue. Safe for concurrent use. An error that is not one
// of control's words is an outage; a Send may be repeated after one, its
// DedupID tells.
//
// What SQS does not know, this process remembers: a receipt that was given to
// Ack or Return is over here at once, for other processes when the delivery is.
type Queue struct {
	api  *sqs.Client
	url  string
	opt  Options
	poll *awshttp.BuildableClient // waits as long as a long poll
	send *awshttp.BuildableClient

	mu   sync.Mutex
	over map[string]time.Time // receipts, and when SQS knows it by itself

	graveyard sync.Mutex // one look at the dead letters at a time
	deadURL   string     // found at the first look
}

var _ control.Queue = (*Queue)(nil)

// Open is New followed by Check.
func Open(ctx context.Context, opt Options) (*Queue, error) {
	q, err := New(opt)
	if err != nil {
		return nil, err
	}
	if err := q.Check(ctx); err != nil {
		return nil, err
	}
	return q, nil
}

// New makes a client of the queue without a word to AWS: for functions, whose
// first answer must not wait.
func New(opt Options) (*Queue, error) {
	switch {
	case opt.URL == "":
		return nil, errors.New("SQS: no queue is named")
	case opt.AWS.Region == "":
		return nil, fmt.Errorf("SQS queue %s: no AWS region is set", opt.URL)
	case opt.AWS.Credentials == nil:
		return nil, fmt.Errorf("SQS queue %s: there are no AWS credentials", opt.URL)
	case opt.Now == nil:
		return nil, errors.New("SQS: there is no clock")
	}
	if opt.AttemptTimeout == 0 {
		opt.AttemptTimeout = defaultAttemptTimeout
	}
	client := awshttp.NewBuildableClient()
	short := client.WithTimeout(opt.AttemptTimeout)
	return &Queue{
		url: opt.URL, opt: opt, over: map[string]time.Time{},
		poll: client.WithTimeout(opt.AttemptTimeout + maxWait),
		send: short.WithTransportOptions(func(t *http.Transport) { t.MaxConnsPerHost = sendConns }),
		api: sqs.NewFromConfig(opt.AWS, func(o *sqs.Options) {
			o.HTTPClient = short
			// Every call may be repeated: Send has its DedupID, Receive its attempt id.
			o.Retryer = awsretry.New(awsretry.Options{Attempts: maxAttempts})
		}),
	}, nil
}

// Check says in one line what is wrong with queue, region or credentials.
func (q *Queue) Check(ctx context.Context) error {
	where := "SQS queue " + q.url
	attributes, err := q.attributes(ctx)
	var missing *types.QueueDoesNotExist
	var api smithy.APIError
	switch {
	case errors.As(err, &missing):
		return fmt.Errorf("%s does not exist in region %s of this AWS account", where, q.opt.AWS.Region)
	case errors.As(err, &api):
		return fmt.Errorf("%s: AWS refuses: %s: %s", where, api.ErrorCode(), api.ErrorMessage())
	case err != nil:
		var op *smithy.OperationError
		if errors.As(err, &op) {
			err = op.Err
		}
		return fmt.Errorf("%s does not answer: %w", where, err)
	case attributes["FifoQueue"] != "true":
		return fmt.Errorf("%s is no FIFO queue", where)
	case attributes["RedrivePolicy"] == "":
		return fmt.Errorf("%s has no dead letter queue", where)
	}
	return nil
}

func (q *Queue) attributes(ctx context.Context) (map[string]string, error) {
	out, err := q.api.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &q.url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}

// finish remembers that a receipt is over, until SQS knows it by itself. It
// reports false where it is remembered already.
func (q *Queue) finish(receipt string, until time.Duration) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.opt.Now()
	for r, end := range q.over {
		if now.After(end) {
			delete(q.over, r)
		}
	}
	if _, known := q.over[receipt]; known {
		return false
	}
	q.over[receipt] = now.Add(until)
	return true
}

// resume forgets that a receipt is over: its call failed.
func (q *Queue) resume(receipt string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.over, receipt)
}
