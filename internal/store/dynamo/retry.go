package dynamo

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	smithytime "github.com/aws/smithy-go/time"
)

const (
	maxAttempts = 8
	minBackoff  = 25 * time.Millisecond
	maxBackoff  = time.Second
)

// newRetryer adds to the SDK's standard rules (throttling, 5xx, timeouts, cut
// connections; exponential, with jitter) what is safe here because every write
// finds its own effect: an answer that broke off while it was read
// (aws-sdk-go-v2 issue 2737), and transactions that met another one. There is
// no quota of retries besides: the attempts are bounded.
func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) { return backoff(attempt), nil })
		o.RateLimiter = ratelimit.None
		o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(retryable))
	})
}

func retryable(err error) aws.Ternary {
	var conflict *types.TransactionConflictException
	var canceled *types.TransactionCanceledException
	var broken *smithy.DeserializationError
	var network net.Error
	switch {
	case errors.As(err, &conflict):
		return aws.TrueTernary
	case errors.As(err, &canceled):
		return aws.BoolTernary(transient(canceled))
	case errors.As(err, &broken), errors.As(err, &network), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// transient reports whether a transaction was cancelled for nothing but
// reasons that pass.
func transient(canceled *types.TransactionCanceledException) bool {
	passing := false
	for _, r := range canceled.CancellationReasons {
		switch code := aws.ToString(r.Code); code {
		case "", "None":
		case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded", "InternalServerError":
			passing = true
		default:
			return false
		}
	}
	return passing
}

// pause waits before what AWS left over is asked for again.
func pause(ctx context.Context, attempt int) error {
	return smithytime.SleepWithContext(ctx, backoff(attempt))
}

// backoff answers a random time below a limit that doubles with each attempt;
// the first is 1. It begins lower than the SDK's: a transaction that met
// another one is through after milliseconds.
func backoff(attempt int) time.Duration {
	return rand.N(min(minBackoff<<min(max(attempt, 1), 10), maxBackoff)) // #nosec G404 -- jitter
}
