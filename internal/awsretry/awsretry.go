// Package awsretry says which failed calls of AWS are made again.
package awsretry

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
)

// MaxBackoff is the longest pause before another attempt.
const MaxBackoff = time.Second

// Options of New.
type Options struct {
	// Attempts bounds how often a call is made, the first time counted. There is
	// no quota of retries besides.
	Attempts int
	// Own decides before the rules of New; nil = never.
	Own func(error) aws.Ternary
	// Backoff is the pause after the attempt of a number, of which the first is
	// 1; nil = the SDK's, at most MaxBackoff.
	Backoff func(attempt int) time.Duration
}

// New adds to the SDK's standard rules (throttling, 5xx, timeouts, cut
// connections) an answer that broke off while it was read (aws-sdk-go-v2 issue
// 2737). It is for calls that may be repeated whatever became of them.
func New(opt Options) aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = opt.Attempts
		o.MaxBackoff = MaxBackoff
		o.RateLimiter = ratelimit.None
		if opt.Backoff != nil {
			o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) { return opt.Backoff(attempt), nil })
		}
		if opt.Own != nil {
			o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(opt.Own))
		}
		o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(brokeOff))
	})
}

func brokeOff(err error) aws.Ternary {
	var broken *smithy.DeserializationError
	var network net.Error
	if errors.As(err, &broken) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}
