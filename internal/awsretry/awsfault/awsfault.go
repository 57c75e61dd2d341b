// Package awsfault spoils calls of AWS, next to the wire, for tests.
package awsfault

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Fault spoils one attempt of an operation. next sends it.
type Fault func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error)

// Inject lets the first n attempts of the operation, such as "PutObject", meet
// f.
func Inject(cfg aws.Config, operation string, n int64, f Fault) aws.Config {
	var met atomic.Int64
	return every(cfg, operation, func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		if met.Add(1) > n {
			return next.HandleDeserialize(ctx, in)
		}
		return f(ctx, in, next)
	})
}

// Watch calls sent with every request of the operation that goes out.
func Watch(cfg aws.Config, operation string, sent func(*smithyhttp.Request)) aws.Config {
	return every(cfg, operation, func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		if r, ok := in.Request.(*smithyhttp.Request); ok {
			sent(r)
		}
		return next.HandleDeserialize(ctx, in)
	})
}

func every(cfg aws.Config, operation string, f Fault) aws.Config {
	cfg.APIOptions = append(cfg.APIOptions, func(stack *middleware.Stack) error {
		if stack.ID() != operation {
			return nil
		}
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("Fault", f), middleware.After)
	})
	return cfg
}

// Answer is a fault that the service answers instead of doing the work.
func Answer(status int, contentType, body string) Fault {
	return func(context.Context, middleware.DeserializeInput, middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		return middleware.DeserializeOutput{RawResponse: &smithyhttp.Response{Response: &http.Response{
			StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body)),
		}}}, middleware.Metadata{}, nil
	}
}

// Lost is a request that is done and whose connection is cut before the answer.
func Lost(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	out, m, err := next.HandleDeserialize(ctx, in)
	if r, ok := out.RawResponse.(*smithyhttp.Response); ok {
		_ = r.Body.Close()
	}
	return middleware.DeserializeOutput{}, m, errors.Join(err, &awshttp.ResponseTimeoutError{TimeoutDur: time.Second})
}

// Torn is a request that is done and whose answer breaks off in its body
// (aws-sdk-go-v2 issue 2737).
func Torn(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	out, m, err := next.HandleDeserialize(ctx, in)
	if r, ok := out.RawResponse.(*smithyhttp.Response); ok {
		r.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, 5), broken{}))
	}
	return out, m, err
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
