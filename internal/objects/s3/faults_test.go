package s3_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/roomcast/roomcast/internal/awsretry/awsfault"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/objects/s3"
)

// answers is a fault that S3 answers instead of doing the work.
func answers(status int, code string) awsfault.Fault {
	return awsfault.Answer(status, "application/xml", "<Error><Code>"+code+"</Code><Message>injected</Message></Error>")
}

var passing = map[string]awsfault.Fault{
	"throttled": answers(503, "SlowDown"), "5xx": answers(500, "InternalError"), "lost": awsfault.Lost,
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
			faulty.AWS = awsfault.Inject(opt.AWS, "PutObject", 2, f)
			made, err := put(open(t, faulty), name, []byte("one"), control.PutOptions{IfNoneMatch: true})
			if err != nil {
				t.Fatal(err)
			}
			faulty.AWS = awsfault.Inject(opt.AWS, "PutObject", 2, f)
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
	faulty.AWS = awsfault.Inject(opt.AWS, "PutObject", 1, func(context.Context, middleware.DeserializeInput, middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		_, err := put(plain, "k", []byte("same"), control.PutOptions{IfNoneMatch: true})
		return middleware.DeserializeOutput{}, middleware.Metadata{}, errors.Join(err, &awshttp.ResponseTimeoutError{})
	})
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
	faulty.AWS = awsfault.Inject(opt.AWS, "GetObject", 3, awsfault.Torn)
	body, _, err := open(t, faulty).Get(t.Context(), "k")
	if err != nil || !bytes.Equal(body, big) {
		t.Fatalf("%d bytes, %v", len(body), err)
	}
	faulty.AWS = awsfault.Inject(opt.AWS, "GetObject", 100, awsfault.Torn)
	if _, _, err := open(t, faulty).Get(t.Context(), "k"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("%v, want that it broke off", err)
	}
}

func TestAnOutageIsNoWordOfControl(t *testing.T) {
	opt := deployed(t)
	opt.AWS = awsfault.Inject(opt.AWS, "PutObject", 100, answers(503, "SlowDown"))
	_, err := put(open(t, opt), "k", []byte("xx"), control.PutOptions{IfNoneMatch: true})
	for _, word := range []error{control.ErrConflict, control.ErrNotFound, control.ErrNoSpace} {
		if err == nil || errors.Is(err, word) {
			t.Errorf("%v is %v", err, word)
		}
	}
}

func TestABodyIsNotSignedAndHasNoChecksum(t *testing.T) {
	opt := deployed(t)
	opt.AWS = awsfault.Watch(opt.AWS, "PutObject", func(r *smithyhttp.Request) {
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
			o.AWS = awsfault.Inject(o.AWS, "HeadBucket", 9, answers(403, "SignatureDoesNotMatch"))
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
