package sqs

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/roomcast/roomcast/internal/control"
)

const (
	maxAttempts = 6
	maxBackoff  = time.Second
)

// newRetryer adds to the SDK's standard rules (throttling, 5xx, timeouts, cut
// connections) an answer that broke off while it was read (aws-sdk-go-v2 issue
// 2737). Every call may be repeated: Send has its DedupID, Receive its attempt
// id. Attempts are bounded, so there is no quota besides.
func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = maxBackoff
		o.RateLimiter = ratelimit.None
		o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(retryable))
	})
}

func retryable(err error) aws.Ternary {
	var broken *smithy.DeserializationError
	var network net.Error
	if errors.As(err, &broken) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// over reports whether SQS says that a receipt does not hold any more, in one
// of its ways to say it.
func over(err error) bool {
	var invalid *types.ReceiptHandleIsInvalid
	var notInFlight *types.MessageNotInflight
	var api smithy.APIError
	if errors.As(err, &invalid) || errors.As(err, &notInFlight) {
		return true
	}
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case "InvalidParameterValue", "InvalidParameterValueException", "ReceiptHandleIsInvalid":
		return true
	}
	return false
}

// conflict says an error of Ack or Return in the words of control.
func conflict(err error) error {
	if over(err) {
		return errors.Join(control.ErrConflict, err)
	}
	return err
}
