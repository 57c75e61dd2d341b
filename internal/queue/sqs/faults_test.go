package sqs_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/queue/sqs"
)

// fault spoils one attempt of an operation. next sends it.
type fault func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error)

// inject lets the first n attempts of the operation meet f.
func inject(cfg aws.Config, operation string, n int64, f fault) aws.Config {
	var met atomic.Int64
	cfg.APIOptions = append(cfg.APIOptions, func(stack *middleware.Stack) error {
		if stack.ID() != operation {
			return nil
		}
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("Fault",
			func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
				if met.Add(1) > n {
					return next.HandleDeserialize(ctx, in)
				}
				return f(ctx, in, next)
			}), middleware.After)
	})
	return cfg
}

// answers is a fault that AWS itself answers instead of doing the work.
func answers(status int, code string) fault {
	return func(context.Context, middleware.DeserializeInput, middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		return middleware.DeserializeOutput{RawResponse: &smithyhttp.Response{Response: &http.Response{
			StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
			Body: io.NopCloser(strings.NewReader(`{"__type":"com.amazonaws.sqs#` + code + `","message":"injected"}`)),
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

// torn is a request that is done and whose answer breaks off in its body
// (aws-sdk-go-v2 issue 2737).
func torn(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	out, m, err := next.HandleDeserialize(ctx, in)
	if r, ok := out.RawResponse.(*smithyhttp.Response); ok {
		r.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, 5), brokenReader{}))
	}
	return out, m, err
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

var everyFault = map[string]fault{
	"throttled": answers(400, "RequestThrottled"), "5xx": answers(503, "ServiceUnavailable"), "lost": lost, "torn": torn,
}

func TestFaultsAreTriedAgainAndNothingIsDoubledOrLost(t *testing.T) {
	opt, _ := deployed(t)
	plain := open(t, opt)
	ctx := t.Context()
	for name, f := range everyFault {
		t.Run("send "+name, func(t *testing.T) {
			faulty := opt
			faulty.AWS = inject(opt.AWS, "SendMessage", 2, f)
			if err := open(t, faulty).Send(ctx, control.QueueMessage{Group: name, DedupID: "d", Body: []byte("once")}); err != nil {
				t.Fatal(err)
			}
			for i := range 2 {
				got, err := plain.Receive(ctx, 1, time.Second)
				if err != nil || len(got) != 1-i {
					t.Fatalf("receive %d: %v, %v", i, got, err)
				}
				if i == 0 {
					if err := plain.Ack(ctx, got[0]); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
		t.Run("acknowledge "+name, func(t *testing.T) {
			faulty := opt
			faulty.AWS = inject(opt.AWS, "DeleteMessage", 2, f)
			q := open(t, faulty)
			if err := q.Send(ctx, control.QueueMessage{Group: "ack " + name, DedupID: "d", Body: []byte("x")}); err == nil {
				t.Fatal("a group with a space was accepted") // SQS's own alphabet
			}
			if err := q.Send(ctx, control.QueueMessage{Group: "ack-" + name, DedupID: "d", Body: []byte("x")}); err != nil {
				t.Fatal(err)
			}
			got, err := q.Receive(ctx, 1, 5*time.Second)
			if err != nil || len(got) != 1 {
				t.Fatal(got, err)
			}
			if err := q.Ack(ctx, got[0]); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAnOutageIsNoConflictAndTheReceiptStaysGood(t *testing.T) {
	opt, _ := deployed(t)
	faulty := opt
	faulty.AWS = inject(opt.AWS, "DeleteMessage", 6, answers(503, "ServiceUnavailable")) // every attempt of one call
	q := open(t, faulty)
	ctx := t.Context()
	if err := q.Send(ctx, control.QueueMessage{Group: "g", DedupID: "d", Body: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	got, err := q.Receive(ctx, 1, 5*time.Second)
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	if err := q.Ack(ctx, got[0]); err == nil || errors.Is(err, control.ErrConflict) {
		t.Fatalf("%v, want an outage", err)
	}
	if err := q.Ack(ctx, got[0]); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsWrongAtTheStartIsOneClearLine(t *testing.T) {
	opt, out := deployed(t)
	for name, c := range map[string]struct {
		change func(*sqs.Options)
		says   string
	}{
		"missing queue":  {func(o *sqs.Options) { o.URL += "x" }, "does not exist"},
		"nobody listens": {func(o *sqs.Options) { o.AWS.BaseEndpoint = aws.String("http://127.0.0.1:1") }, "does not answer"},
		"no region":      {func(o *sqs.Options) { o.AWS.Region = "" }, "no AWS region"},
		"no credentials": {func(o *sqs.Options) { o.AWS.Credentials = nil }, "no AWS credentials"},
		"dead letters":   {func(o *sqs.Options) { o.URL = out["StateEventsDeadUrl"] }, "has no dead letter queue"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := opt
			c.change(&bad)
			_, err := sqs.Open(t.Context(), bad)
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%v, want %q in one line", err, c.says)
			}
			var op *smithy.OperationError
			if errors.As(err, &op) {
				t.Errorf("the SDK's own words: %v", err)
			}
		})
	}
}
