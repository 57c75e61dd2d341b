package s3

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/roomcast/roomcast/internal/control"
)

const (
	maxAttempts = 4
	maxBackoff  = time.Second
)

// newRetryer adds to the SDK's standard rules (throttling, 5xx, timeouts, cut
// connections) what is safe here: every write is idempotent, or finds its own
// effect. Attempts are bounded, so there is no quota besides.
func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = maxAttempts
		o.MaxBackoff = maxBackoff
		o.RateLimiter = ratelimit.None
		o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(retryable))
	})
}

func retryable(err error) aws.Ternary {
	var api smithy.APIError
	var broken *smithy.DeserializationError
	var network net.Error
	switch {
	// Two conditional writes met: neither is decided (S3, PutObject, 409).
	case errors.As(err, &api) && (api.ErrorCode() == "ConditionalRequestConflict" || api.ErrorCode() == "OperationAborted"):
		return aws.TrueTernary
	case errors.As(err, &api) && api.ErrorCode() == "SlowDown":
		return aws.TrueTernary
	case errors.As(err, &broken), errors.As(err, &network), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// counted counts in n how often a call is sent: a failed call does not tell.
func counted(n *int) func(*s3.Options) {
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("CountAttempts",
				func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
					*n++
					return next.HandleFinalize(ctx, in)
				}), "Retry", middleware.After)
		})
	}
}

// mapError says an answer of S3 in the words of control.
func mapError(err error) error {
	var answer *awshttp.ResponseError
	var api smithy.APIError
	if !errors.As(err, &answer) {
		return err
	}
	code := ""
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}
	switch status := answer.HTTPStatusCode(); {
	case status == 404 && code != "NoSuchBucket":
		return &mapped{control.ErrNotFound, err}
	case status == 412:
		return &mapped{control.ErrConflict, err}
	}
	return err
}

// mapped is one of control's words, and what S3 said.
type mapped struct{ word, err error }

func (m *mapped) Error() string   { return m.word.Error() + ": " + m.err.Error() }
func (m *mapped) Unwrap() []error { return []error{m.word, m.err} }
