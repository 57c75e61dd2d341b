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

func (n *noted) RunWoken(_ context.Context, id string) error {
	n.did += id
	return n.err
}

func TestAWakeUpRunsItsJobAndOnlyAnOutageBringsItBack(t *testing.T) {
	const did = "job_01jz0000000000000000000000"
	event := string(lambdatest.Event(t, "archiver"))
	for name, c := range map[string]struct {
		event string
		err   error
		want  string
		did   string
	}{
		"a wake-up":        {event, nil, `{"batchItemFailures":[]}`, did},
		"an outage":        {event, errors.New("out"), `{"batchItemFailures":[{"itemIdentifier":"2e1424d4-f796-459a-8184-9c92662be6da"}]}`, did},
		"another's":        {strings.ReplaceAll(event, "JobID", "Other"), nil, `{"batchItemFailures":[]}`, ""},
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
	data := account.Deploy(t, "data")
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
		"ROOMCAST_MEDIA_BUCKET": data["MediaBucket"], "ROOMCAST_CLUSTER": "cluster", "ROOMCAST_TRANSCODER_TASK": "transcoder:1",
		"ROOMCAST_TRANSCODER_SUBNETS": "subnet-1", "ROOMCAST_TRANSCODER_SECURITY_GROUPS": "sg-1", "ROOMCAST_TRANSCODER_PUBLIC_IP": "ENABLED",
		"ROOMCAST_DISTRIBUTION_PARAMETER": "/stack/distribution",
	}
}

// LocalStack's free edition has no ECS: a launch fails, and is put off.
func TestTheBuiltBootstrapDoesJobsAndLaunchesTranscoders(t *testing.T) {
	store, env := deployed(t)
	p := lambdatest.Cold(t, "archiver", env)
	const id = "job_01jz0000000000000000000000"
	for _, kind := range []control.JobKind{control.JobClose, control.JobSource} {
		job := control.Job{ID: id, Kind: kind, PlayID: "play_1", PostID: "post_1", DueAt: time.Now()}
		if err := store.Commit(t.Context(), control.Changes{ID: string(kind), Jobs: []control.Job{job}}); err != nil {
			t.Fatal(err)
		}
		for range 2 { // SQS delivers twice
			if err := p.Invoke(lambdatest.Event(t, "archiver"), nil); err != nil {
				t.Fatal(err)
			}
		}
		got, err := store.Job(t.Context(), id)
		if kind == control.JobClose && !errors.Is(err, control.ErrNotFound) {
			t.Errorf("the playlists are not closed: %+v, %v", got, err)
		}
		if kind == control.JobSource && (err != nil || got.Launches != 1 || got.Attempts != 0 || !got.DueAt.After(job.DueAt)) {
			t.Errorf("the launch: %+v, %v", got, err)
		}
	}
}
