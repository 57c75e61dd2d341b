package sqs_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/roomcast/roomcast/internal/awsretry/awsfault"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/queue/sqs"
)

// answers is a fault that AWS itself answers instead of doing the work.
func answers(status int, code string) awsfault.Fault {
	return awsfault.Answer(status, "application/x-amz-json-1.0", `{"__type":"com.amazonaws.sqs#`+code+`","message":"injected"}`)
}

var everyFault = map[string]awsfault.Fault{
	"throttled": answers(400, "RequestThrottled"), "5xx": answers(503, "ServiceUnavailable"), "lost": awsfault.Lost, "torn": awsfault.Torn,
}

func TestFaultsAreTriedAgainAndNothingIsDoubledOrLost(t *testing.T) {
	opt, _ := deployed(t)
	plain := open(t, opt)
	ctx := t.Context()
	for name, f := range everyFault {
		t.Run("send "+name, func(t *testing.T) {
			faulty := opt
			faulty.AWS = awsfault.Inject(opt.AWS, "SendMessage", 2, f)
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
			faulty.AWS = awsfault.Inject(opt.AWS, "DeleteMessage", 2, f)
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
	faulty.AWS = awsfault.Inject(opt.AWS, "DeleteMessage", 6, answers(503, "ServiceUnavailable")) // every attempt of one call
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
