package s3_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/objects/s3"
)

// fault spoils one attempt of an operation. next sends it.
type fault func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error)

// inject lets the first n attempts of the operation meet f. sent is called
// with every request that goes out.
func inject(cfg aws.Config, operation string, n int64, f fault, sent func(*smithyhttp.Request)) aws.Config {
	var met atomic.Int64
	cfg.APIOptions = append(cfg.APIOptions, func(stack *middleware.Stack) error {
		if stack.ID() != operation {
			return nil
		}
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("Fault",
			func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
				if r, ok := in.Request.(*smithyhttp.Request); ok && sent != nil {
					sent(r)
				}
				if met.Add(1) > n {
					return next.HandleDeserialize(ctx, in)
				}
				return f(ctx, in, next)
			}), middleware.After)
	})
	return cfg
}

// answers is a fault that S3 answers instead of doing the work.
func answers(status int, code string) fault {
	return func(context.Context, middleware.DeserializeInput, middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		return middleware.DeserializeOutput{RawResponse: &smithyhttp.Response{Response: &http.Response{
			StatusCode: status, Header: http.Header{"Content-Type": {"application/xml"}},
			Body: io.NopCloser(strings.NewReader("<Error><Code>" + code + "</Code><Message>injected</Message></Error>")),
		}}}, middleware.Metadata{}, nil
	}
}

// lost is a request that is done and whose connection is cut before the answer.
func lost(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	out, m, err := next.HandleDeserialize(ctx, in)
	if r, ok := out.RawResponse.(*smithyhttp.Response); ok {
		_ = r.Body.Close()
	}
	return middleware.DeserializeOutput{}, m, errors.Join(err, &awshttp.ResponseTimeoutError{TimeoutDur: time.Second})
}

// torn is an answer that breaks off in its body.
func torn(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	out, m, err := next.HandleDeserialize(ctx, in)
	if r, ok := out.RawResponse.(*smithyhttp.Response); ok {
		r.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, 5), brokenReader{}))
	}
	return out, m, err
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

var passing = map[string]fault{
	"throttled": answers(503, "SlowDown"), "5xx": answers(500, "InternalError"), "lost": lost,
	"two writers met": answers(409, "ConditionalRequestConflict"),
}

func put(b *s3.Bucket, key string, body []byte, opt control.PutOptions) (string, error) {
	return b.Put(context.Background(), key, [][]byte{body[:1], body[1:]}, opt)
}

func TestAPutWhoseAnswerWasLostSucceeds(t *testing.T) {
	opt := deployed(t)
	plain := open(t, opt)
	for name, f := range passing {
		t.Run(name, func(t *testing.T) {
			faulty := opt
			faulty.AWS = inject(opt.AWS, "PutObject", 2, f, nil)
			made, err := put(open(t, faulty), name, []byte("one"), control.PutOptions{IfNoneMatch: true})
			if err != nil {
				t.Fatal(err)
			}
			faulty.AWS = inject(opt.AWS, "PutObject", 2, f, nil)
			changed, err := put(open(t, faulty), name, []byte("two"), control.PutOptions{IfMatch: made})
			if err != nil {
				t.Fatal(err)
			}
			body, info, err := plain.Get(t.Context(), name)
			if err != nil || string(body) != "two" || info.ETag != changed {
				t.Fatalf("%q, %+v, %v; put answered %s", body, info, err, changed)
			}
		})
	}
}

// The same bytes of somebody else are somebody else's.
func TestAnAnswerThatIsLostDoesNotMakeAnotherWritersObjectOurs(t *testing.T) {
	opt := deployed(t)
	plain := open(t, opt)
	faulty := opt
	faulty.AWS = inject(opt.AWS, "PutObject", 1, func(context.Context, middleware.DeserializeInput, middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		_, err := put(plain, "k", []byte("same"), control.PutOptions{IfNoneMatch: true})
		return middleware.DeserializeOutput{}, middleware.Metadata{}, errors.Join(err, &awshttp.ResponseTimeoutError{})
	}, nil)
	if _, err := put(open(t, faulty), "k", []byte("same"), control.PutOptions{IfNoneMatch: true}); !errors.Is(err, control.ErrConflict) {
		t.Fatalf("%v, want a conflict", err)
	}
}

func TestAnObjectThatBreaksOffIsReadAgain(t *testing.T) {
	opt := deployed(t)
	big := make([]byte, 100_000)
	_, _ = rand.Read(big)
	if _, err := put(open(t, opt), "k", big, control.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	faulty := opt
	faulty.AWS = inject(opt.AWS, "GetObject", 3, torn, nil)
	body, _, err := open(t, faulty).Get(t.Context(), "k")
	if err != nil || !bytes.Equal(body, big) {
		t.Fatalf("%d bytes, %v", len(body), err)
	}
	faulty.AWS = inject(opt.AWS, "GetObject", 100, torn, nil)
	if _, _, err := open(t, faulty).Get(t.Context(), "k"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("%v, want that it broke off", err)
	}
}

func TestAnOutageIsNoWordOfControl(t *testing.T) {
	opt := deployed(t)
	opt.AWS = inject(opt.AWS, "PutObject", 100, answers(503, "SlowDown"), nil)
	_, err := put(open(t, opt), "k", []byte("xx"), control.PutOptions{IfNoneMatch: true})
	for _, word := range []error{control.ErrConflict, control.ErrNotFound, control.ErrNoSpace} {
		if err == nil || errors.Is(err, word) {
			t.Errorf("%v is %v", err, word)
		}
	}
}

func TestABodyIsNotSignedAndHasNoChecksum(t *testing.T) {
	opt := deployed(t)
	opt.AWS = inject(opt.AWS, "PutObject", 0, nil, func(r *smithyhttp.Request) {
		if h := r.Header.Get("X-Amz-Content-Sha256"); h != "UNSIGNED-PAYLOAD" {
			t.Errorf("the body's hash is %q", h)
		}
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Amz-Checksum") || name == "X-Amz-Trailer" {
				t.Errorf("header %s", name)
			}
		}
	})
	if _, err := put(open(t, opt), "k", []byte("xx"), control.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsWrongAtTheStartIsOneClearLine(t *testing.T) {
	opt := deployed(t)
	for name, c := range map[string]struct {
		change func(*s3.Options)
		says   string
	}{
		"missing bucket": {func(o *s3.Options) { o.Bucket += "x" }, "does not exist"},
		"wrong region":   {func(o *s3.Options) { o.AWS.Region = "eu-west-1" }, "lies in region us-east-1, and AWS_REGION is eu-west-1"},
		"wrong credentials": {func(o *s3.Options) {
			o.AWS = inject(o.AWS, "HeadBucket", 9, answers(403, "SignatureDoesNotMatch"), nil)
		}, "refuses these credentials"},
		"nobody listens": {func(o *s3.Options) { o.AWS.BaseEndpoint = aws.String("http://127.0.0.1:1") }, "does not answer"},
		"no region":      {func(o *s3.Options) { o.AWS.Region = "" }, "no AWS region"},
		"no credentials": {func(o *s3.Options) { o.AWS.Credentials = nil }, "no AWS credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := opt
			c.change(&bad)
			_, err := s3.Open(t.Context(), bad)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%v, want %q in one line", err, c.says)
			}
		})
	}
}
