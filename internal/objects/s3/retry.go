package s3

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/roomcast/roomcast/internal/control"
)

const maxAttempts = 4

// retryable is what may be tried again here besides: every write is idempotent,
// or finds its own effect.
func retryable(err error) aws.Ternary {
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		// Two conditional writes met: neither is decided (S3, PutObject, 409).
		case "ConditionalRequestConflict", "OperationAborted", "SlowDown":
			return aws.TrueTernary
		}
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
