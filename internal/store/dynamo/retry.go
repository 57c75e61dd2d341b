package dynamo

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithytime "github.com/aws/smithy-go/time"

	"github.com/roomcast/roomcast/internal/awsretry"
)

const (
	maxAttempts = 8
	minBackoff  = 25 * time.Millisecond
)

// retryable is what may be tried again here besides, because every write finds
// its own effect: transactions that met another one.
func retryable(err error) aws.Ternary {
	var conflict *types.TransactionConflictException
	var canceled *types.TransactionCanceledException
	switch {
	case errors.As(err, &conflict):
		return aws.TrueTernary
	case errors.As(err, &canceled):
		return aws.BoolTernary(transient(canceled))
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
	return rand.N(min(minBackoff<<min(max(attempt, 1), 10), awsretry.MaxBackoff)) // #nosec G404 -- jitter
}
