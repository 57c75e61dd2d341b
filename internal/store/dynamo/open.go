// Package dynamo keeps the records of an AWS installation in one DynamoDB
// table (infra/data.yaml; docs/adr/0010-dynamodb-one-table.md). It is
// control.Store, control.Leases and the way to customers. Lists and what the sweeper asks for come
// from indexes that AWS brings up to date a moment after a write: they may
// miss what was written in the last second, but every record in them is read
// again consistently, so that none is shown as it was or where it is not.
package dynamo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/roomcast/roomcast/internal/awsretry"
	"github.com/roomcast/roomcast/internal/control"
)

// defaultAttemptTimeout is many times what DynamoDB needs, and short enough to
// try again within a publisher's patience.
const defaultAttemptTimeout = 3 * time.Second

// Options of New and Open.
type Options struct {
	// AWS has region, credentials and, for LocalStack, BaseEndpoint. Its
	// HTTPClient and retryer are not used.
	AWS aws.Config
	// Table is the table's name. Required.
	Table string
	// Now is required. Only RefusedUntil of a lease and the expiry of commit
	// marks are judged by it.
	Now func() time.Time
	// AttemptTimeout is for one HTTP request; 0 = 3 s. A request is tried
	// again while the caller's context lasts, at most 8 times.
	AttemptTimeout time.Duration
}

// Store is a table. Safe for concurrent use. An error that is neither
// control.ErrNotFound nor control.ErrConflict is an outage: nobody knows
// whether the write happened, and the same Changes may be committed again.
type Store struct {
	api    *dynamodb.Client
	table  *string
	region string
	now    func() time.Time
	pause  func(ctx context.Context, attempt int) error
}

var (
	_ control.Store   = (*Store)(nil)
	_ control.Leases  = (*Store)(nil)
	_ control.PlayIDs = (*Store)(nil)
)

// Open is New followed by Check.
func Open(ctx context.Context, opt Options) (*Store, error) {
	s, err := New(opt)
	if err != nil {
		return nil, err
	}
	if err := s.Check(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// New makes a client of the table without a word to AWS: for functions, whose
// first answer must not wait.
func New(opt Options) (*Store, error) {
	switch {
	case opt.Table == "":
		return nil, errors.New("DynamoDB: no table is named")
	case opt.AWS.Region == "":
		return nil, fmt.Errorf("DynamoDB table %s: no AWS region is set", opt.Table)
	case opt.AWS.Credentials == nil:
		return nil, fmt.Errorf("DynamoDB table %s: there are no AWS credentials", opt.Table)
	case opt.Now == nil:
		return nil, errors.New("DynamoDB: there is no clock")
	}
	if opt.AttemptTimeout == 0 {
		opt.AttemptTimeout = defaultAttemptTimeout
	}
	client := awshttp.NewBuildableClient().WithTimeout(opt.AttemptTimeout)
	return &Store{
		api: dynamodb.NewFromConfig(opt.AWS, func(o *dynamodb.Options) {
			o.HTTPClient = client
			o.Retryer = awsretry.New(awsretry.Options{Attempts: maxAttempts, Own: retryable, Backoff: backoff})
		}),
		table:  aws.String(opt.Table),
		region: opt.AWS.Region,
		now:    opt.Now,
		pause:  pause,
	}, nil
}

// Ping reports whether the table answers.
func (s *Store) Ping(ctx context.Context) error {
	// There is no such item: that it is not found is an answer.
	if _, err := s.get(ctx, single("PING", "-")); err != nil && !errors.Is(err, control.ErrNotFound) {
		return fmt.Errorf("DynamoDB table %s: %w", *s.table, err)
	}
	return nil
}
