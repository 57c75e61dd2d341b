package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	api "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/lambdatest"
	"github.com/roomcast/roomcast/internal/localstacktest"
	"github.com/roomcast/roomcast/internal/store/dynamo"
)

type noted struct {
	what []string
	err  error
}

func (n *noted) PlaceNoticesOf(_ context.Context, refs []control.NoticeRef) error {
	n.what = append(n.what, fmt.Sprint("place ", refs))
	return n.err
}

func (n *noted) WakeJobs(_ context.Context, ids []string) error {
	n.what = append(n.what, fmt.Sprint("wake ", ids))
	return n.err
}

const (
	place = "place [{room_01jz0000000000000000000000 2}]"
	wake  = "wake [job_01jz0000000000000000000000]"
)

func TestNewNoticesArePlacedAndNewJobsWoken(t *testing.T) {
	event := string(lambdatest.Event(t, "outbox"))
	for name, c := range map[string]struct {
		event string
		err   error
		want  string
	}{
		"a notice and a job": {event, nil, place + wake},
		"an outage":          {event, errors.New("out"), place},
		"a job is put off":   {strings.Replace(event, "INSERT", "MODIFY", 2), nil, ""},
		"something else":     {strings.NewReplacer("JOB#", "ROOM#", "NOTICE#", "KEY#").Replace(event), nil, ""},
		"a foreign sequence": {strings.ReplaceAll(event, "00000000000000000002", "x"), nil, wake},
		"an empty batch":     {`{"Records":[]}`, nil, ""},
		"a foreign record":   {`{"Records":[{"eventName":"INSERT","dynamodb":{"Keys":{"pk":{"N":"1"}}}}]}`, nil, ""},
		"one without keys":   {`{"Records":[{"eventName":"INSERT","dynamodb":{}}]}`, nil, ""},
		"no event at all":    {`{}`, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			n := &noted{err: c.err}
			h := &handler{service: n, log: slog.New(slog.DiscardHandler)}
			out, err := lambda.NewHandler(h.handle).Invoke(t.Context(), []byte(c.event))
			if (err == nil) != (c.err == nil) || err == nil && string(out) != `{"batchItemFailures":[]}` || strings.Join(n.what, "") != c.want {
				t.Errorf("%s, %v, did %q, want %q", out, err, n.what, c.want)
			}
		})
	}
}

// The notice of the event is the second of its room: the stream may show it
// before the first one.
func TestTheBuiltBootstrapPlacesInOrderAndWakes(t *testing.T) {
	account := localstacktest.New(t)
	data, queues := account.Deploy(t, "data"), account.Deploy(t, "queues")
	cfg := aws.Config{
		Region: localstacktest.Region, BaseEndpoint: aws.String(localstacktest.Endpoint),
		Credentials: credentials.NewStaticCredentialsProvider(account.AccessKey, account.SecretKey, ""),
	}
	store, err := dynamo.New(dynamo.Options{AWS: cfg, Table: data["TableName"], Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	const room = "room_01jz0000000000000000000000"
	err = store.Commit(t.Context(), control.Changes{
		ID: "tx", Endpoints: []control.Endpoint{{ID: "whe_1", AppID: "app_1"}},
		Notices: []control.Notice{
			{ID: "evt_1", AppID: "app_1", Aggregate: room, Sequence: 1, At: time.Now()},
			{ID: "evt_2", AppID: "app_1", Aggregate: room, Sequence: 2, At: time.Now()},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := lambdatest.Cold(t, "outbox", map[string]string{
		"AWS_REGION": localstacktest.Region, "AWS_ENDPOINT_URL": localstacktest.Endpoint,
		"AWS_ACCESS_KEY_ID": account.AccessKey, "AWS_SECRET_ACCESS_KEY": account.SecretKey,
		"ROOMCAST_TABLE": data["TableName"], "ROOMCAST_DELIVERIES_URL": queues["DeliveriesUrl"], "ROOMCAST_JOBS_URL": queues["JobsUrl"],
	})
	for range 2 { // Lambda may hand a batch over twice
		if err := p.Invoke(lambdatest.Event(t, "outbox"), nil); err != nil {
			t.Fatal(err)
		}
	}
	feed, err := store.Feed(t.Context(), control.FeedFilter{AppID: "app_1"}, 0, 10)
	if err != nil || len(feed) != 2 || feed[0].ID != "evt_1" || feed[1].ID != "evt_2" {
		t.Errorf("the feed is %+v (%v)", feed, err)
	}
	due, err := store.DueCursors(t.Context(), "whe_1", time.Now(), 10)
	if err != nil || len(due) != 1 || due[0].Next != 1 || due[0].Last != 2 {
		t.Errorf("due is %+v (%v)", due, err)
	}
	for url, want := range map[string]control.WakeUp{
		queues["DeliveriesUrl"]: {EndpointID: "whe_1", Group: room}, queues["JobsUrl"]: {JobID: "job_01jz0000000000000000000000"},
	} {
		got, err := api.NewFromConfig(cfg).ReceiveMessage(t.Context(), &api.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 10})
		var up control.WakeUp
		if err == nil && len(got.Messages) > 0 {
			err = json.Unmarshal([]byte(aws.ToString(got.Messages[0].Body)), &up)
		}
		if err != nil || up != want {
			t.Errorf("woken for %+v, want %+v (%v)", up, want, err)
		}
	}
}
