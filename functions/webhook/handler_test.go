package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/lambdatest"
	"github.com/roomcast/roomcast/internal/localstacktest"
	"github.com/roomcast/roomcast/internal/store/dynamo"
)

type noted struct {
	did string
	err error
}

func (n *noted) Deliver(_ context.Context, _ control.Sender, c control.Cursor) error {
	n.did += c.EndpointID + " " + c.Group
	return n.err
}

func TestAWakeUpIsDeliveredAndOnlyAnOutageBringsItBack(t *testing.T) {
	const did = "whe_01jz0000000000000000000000 room_01jz0000000000000000000000"
	event := string(lambdatest.Event(t, "webhook"))
	for name, c := range map[string]struct {
		event string
		err   error
		want  string
		did   string
	}{
		"a wake-up":        {event, nil, `{"batchItemFailures":[]}`, did},
		"an outage":        {event, errors.New("out"), `{"batchItemFailures":[{"itemIdentifier":"059f36b4-87a3-44ab-83d2-661975830a7d"}]}`, did},
		"another's":        {strings.ReplaceAll(event, "EndpointID", "Other"), nil, `{"batchItemFailures":[]}`, ""},
		"no JSON":          {`{"Records":[{"body":"{"}]}`, nil, `{"batchItemFailures":[]}`, ""},
		"null":             {`{"Records":[{"body":"null"}]}`, nil, `{"batchItemFailures":[]}`, ""},
		"an empty message": {`{"Records":[{}]}`, nil, `{"batchItemFailures":[]}`, ""},
		"no event at all":  {`{}`, nil, `{"batchItemFailures":[]}`, ""},
	} {
		n := &noted{err: c.err}
		h := &handler{service: n, log: slog.New(slog.DiscardHandler)}
		out, err := lambda.NewHandler(h.handle).Invoke(t.Context(), []byte(c.event))
		if err != nil || string(out) != c.want || n.did != c.did {
			t.Errorf("%s: %s, %v, did %q", name, out, err, n.did)
		}
	}
}

func deployed(t *testing.T) (*dynamo.Store, map[string]string) {
	t.Helper()
	account := localstacktest.New(t)
	data, queues := account.Deploy(t, "data"), account.Deploy(t, "queues")
	store, err := dynamo.New(dynamo.Options{Table: data["TableName"], Now: time.Now, AWS: aws.Config{
		Region: localstacktest.Region, BaseEndpoint: aws.String(localstacktest.Endpoint),
		Credentials: credentials.NewStaticCredentialsProvider(account.AccessKey, account.SecretKey, ""),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return store, map[string]string{
		"AWS_REGION": localstacktest.Region, "AWS_ENDPOINT_URL": localstacktest.Endpoint, "AWS_MAX_ATTEMPTS": "1",
		"AWS_ACCESS_KEY_ID": account.AccessKey, "AWS_SECRET_ACCESS_KEY": account.SecretKey, "ROOMCAST_TABLE": data["TableName"],
		"ROOMCAST_DELIVERIES_URL": queues["DeliveriesUrl"], "ROOMCAST_PUBLIC_URL": "https://live.example.com", "ROOMCAST_RTMP_URL": "rtmp://ingest.example.com",
	}
}

// A deployed function calls no private address: that is a failure like others,
// after which the group is put off.
func TestTheBuiltBootstrapDelivers(t *testing.T) {
	store, env := deployed(t)
	const whe, room = "whe_01jz0000000000000000000000", "room_01jz0000000000000000000000"
	secret := control.EndpointSecret{Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	notice := control.Notice{ID: "evt_1", AppID: "app_1", Aggregate: room, Sequence: 1, Type: control.TypeTest, At: time.Now()}
	err := store.Commit(t.Context(), control.Changes{
		ID: "tx", Notices: []control.Notice{notice},
		Endpoints: []control.Endpoint{{ID: whe, AppID: "app_1", URL: "https://127.0.0.1:1/", Secrets: []control.EndpointSecret{secret}}},
	})
	if err == nil {
		err = store.Wake(t.Context(), []control.Cursor{{EndpointID: whe, Group: room, Aggregate: room, Next: 1, Last: 1, DueAt: time.Now()}})
	}
	if err != nil {
		t.Fatal(err)
	}
	p := lambdatest.Cold(t, "webhook", env)
	for range 2 { // SQS delivers twice: the second one finds nothing due
		if err := p.Invoke(lambdatest.Event(t, "webhook"), nil); err != nil {
			t.Fatal(err)
		}
	}
	due, err := store.DueCursors(t.Context(), whe, time.Now().Add(time.Hour), 10)
	if err != nil || len(due) != 1 || due[0].Attempts != 1 || due[0].Next != 1 || due[0].Claim != "" {
		t.Errorf("%+v, %v", due, err)
	}
}
