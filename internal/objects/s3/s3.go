// Package s3 keeps objects in one S3 bucket (infra/data.yaml). The ETag is
// S3's own: the MD5 of the content, as the bucket is encrypted by SSE-S3 and
// only what is streamed is uploaded in parts.
package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/roomcast/roomcast/internal/awsretry"
	"github.com/roomcast/roomcast/internal/control"
)

// defaultAttemptTimeout lets a segment of some megabytes through a slow line.
const defaultAttemptTimeout = 10 * time.Second

// Options of New and Open.
type Options struct {
	// AWS has region, credentials and, for LocalStack, BaseEndpoint; with one,
	// buckets are addressed by path. Its HTTPClient and retryer are not used.
	AWS aws.Config
	// Bucket is the bucket's name. Required.
	Bucket string
	// AttemptTimeout is for one HTTP request with its body; 0 = 10 s. A request
	// is tried 4 times, as long as the caller's context lasts.
	AttemptTimeout time.Duration
}

// Bucket is a control.Objects. Safe for concurrent use. An error that is not
// one of control's words is an outage.
type Bucket struct {
	api    *s3.Client
	name   string
	region string
	stream *awshttp.BuildableClient // for bodies of any size
}

var _ control.Objects = (*Bucket)(nil)

// Open is New followed by Check.
func Open(ctx context.Context, opt Options) (*Bucket, error) {
	b, err := New(opt)
	if err != nil {
		return nil, err
	}
	if err := b.Check(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

// New makes a client of the bucket without a word to AWS: for functions, whose
// first answer must not wait.
func New(opt Options) (*Bucket, error) {
	switch {
	case opt.Bucket == "":
		return nil, errors.New("S3: no bucket is named")
	case opt.AWS.Region == "":
		return nil, fmt.Errorf("S3 bucket %s: no AWS region is set", opt.Bucket)
	case opt.AWS.Credentials == nil:
		return nil, fmt.Errorf("S3 bucket %s: there are no AWS credentials", opt.Bucket)
	}
	if opt.AttemptTimeout == 0 {
		opt.AttemptTimeout = defaultAttemptTimeout
	}
	client := awshttp.NewBuildableClient().WithTimeout(opt.AttemptTimeout)
	return &Bucket{
		name: opt.Bucket, region: opt.AWS.Region,
		stream: awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = headerTimeout }),
		api: s3.NewFromConfig(opt.AWS, func(o *s3.Options) {
			o.HTTPClient = client
			o.Retryer = awsretry.New(awsretry.Options{Attempts: maxAttempts, Own: retryable})
			o.UsePathStyle = opt.AWS.BaseEndpoint != nil
			// A checksum or a hash of the body would be computed for every
			// segment; TLS guards it already. The default checksum signs the
			// body whatever the swap below says.
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
			o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
		}),
	}, nil
}

// Check says in one line what is wrong with bucket, region or credentials.
func (b *Bucket) Check(ctx context.Context) error {
	out, err := b.api.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.name})
	where := "S3 bucket " + b.name
	var answer *awshttp.ResponseError
	switch {
	case err == nil:
		if at := aws.ToString(out.BucketRegion); at != "" && at != b.region {
			return fmt.Errorf("%s lies in region %s, and AWS_REGION is %s", where, at, b.region)
		}
		return nil
	case !errors.As(err, &answer):
		return fmt.Errorf("%s does not answer: %w", where, cause(err))
	case answer.HTTPStatusCode() == http.StatusNotFound:
		return fmt.Errorf("%s does not exist in region %s of this AWS account", where, b.region)
	case answer.HTTPStatusCode() == http.StatusMovedPermanently:
		return fmt.Errorf("%s lies in region %s, and AWS_REGION is %s", where, answer.HTTPResponse().Header.Get("X-Amz-Bucket-Region"), b.region)
	case answer.HTTPStatusCode() == http.StatusForbidden, answer.HTTPStatusCode() == http.StatusBadRequest:
		// A HEAD answer has no words.
		return fmt.Errorf("%s: AWS refuses these credentials (%d)", where, answer.HTTPStatusCode())
	}
	return fmt.Errorf("%s does not answer: %w", where, cause(err))
}

// cause leaves the SDK's outer words out of a line that a person reads.
func cause(err error) error {
	var op *smithy.OperationError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
