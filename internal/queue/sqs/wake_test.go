package sqs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/roomcast/roomcast/internal/awsretry/awsfault"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/queue/sqs"
)

// refusing answers 200 and that SQS took none of the entries.
func refusing(senderFault bool) awsfault.Fault {
	return func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		var failed []string
		for i := range 10 {
			failed = append(failed, fmt.Sprintf(`{"Id":"%d","Code":"InternalError","SenderFault":%t}`, i, senderFault))
		}
		return middleware.DeserializeOutput{RawResponse: &smithyhttp.Response{Response: &http.Response{
			StatusCode: 200, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
			Body: io.NopCloser(strings.NewReader(`{"Successful":[],"Failed":[` + strings.Join(failed, ",") + `]}`)),
		}}}, middleware.Metadata{}, ctx.Err()
	}
}

func TestWakeUpsArriveEachAtLeastOnce(t *testing.T) {
	opt, out := deployed(t)
	opt.URL = out["DeliveriesUrl"]
	var ups []control.WakeUp
	for i := range 23 { // three calls of SQS
		ups = append(ups, control.WakeUp{EndpointID: fmt.Sprint("whe_", i%3), Group: fmt.Sprint("room_", i)})
	}
	later := control.WakeUp{JobID: "job_1", After: 14 * time.Minute}
	for name, f := range map[string]awsfault.Fault{"nothing": nil, "throttled": answers(400, "RequestThrottled"), "an outage": answers(503, "ServiceUnavailable"), "a lost answer": awsfault.Lost, "not taken": refusing(false)} {
		hurt := opt
		if f != nil {
			hurt.AWS = awsfault.Inject(opt.AWS, "SendMessageBatch", 1, f)
		}
		w, err := sqs.NewWaker(hurt)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Wake(t.Context(), append(ups, later)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		seen := map[control.WakeUp]bool{}
		client := api.NewFromConfig(opt.AWS)
		for range 100 {
			got, err := client.ReceiveMessage(t.Context(), &api.ReceiveMessageInput{QueueUrl: &opt.URL, MaxNumberOfMessages: 10, WaitTimeSeconds: 1})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range got.Messages {
				var up control.WakeUp
				if err := json.Unmarshal([]byte(aws.ToString(m.Body)), &up); err != nil {
					t.Errorf("%s: %s: %v", name, aws.ToString(m.Body), err)
				}
				seen[up] = true
				if _, err := client.DeleteMessage(t.Context(), &api.DeleteMessageInput{QueueUrl: &opt.URL, ReceiptHandle: m.ReceiptHandle}); err != nil {
					t.Fatal(err)
				}
			}
			if len(got.Messages) == 0 {
				break
			}
		}
		for _, up := range ups {
			if !seen[up] {
				t.Errorf("%s: %+v is missing", name, up)
			}
		}
		if len(seen) != len(ups) {
			t.Errorf("%s: %d wake-ups arrived of %d that are due", name, len(seen), len(ups))
		}
	}
}

func TestWakeUpsThatAreNotTakenAreAnError(t *testing.T) {
	opt, out := deployed(t)
	opt.URL = out["JobsUrl"]
	var calls atomic.Int64
	count := func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
		calls.Add(1)
		return refusing(false)(ctx, in, next)
	}
	for name, f := range map[string]awsfault.Fault{"refused": answers(403, "AccessDenied"), "a fault of ours": refusing(true), "not taken for long": count} {
		hurt := opt
		hurt.AWS = awsfault.Inject(opt.AWS, "SendMessageBatch", 100, f)
		w, err := sqs.NewWaker(hurt)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Wake(t.Context(), []control.WakeUp{{JobID: "a"}, {JobID: "b"}}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if calls.Load() != 4 {
		t.Errorf("sent %d times", calls.Load())
	}
}
