package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/lambdatest"
	"github.com/roomcast/roomcast/internal/localstacktest"
)

type jobs struct {
	runs int
	err  error
}

func (j *jobs) RunJobs(context.Context, ...control.JobKind) error { j.runs++; return j.err }

func TestANewJobIsDoneAndNothingElseWakesAnybody(t *testing.T) {
	event := string(lambdatest.Event(t, "outbox"))
	for name, c := range map[string]struct {
		event string
		err   error
		runs  int
	}{
		"a new job":        {event, nil, 1},
		"a failing job":    {event, errors.New("out"), 1},
		"a job is put off": {strings.Replace(event, "INSERT", "MODIFY", 1), nil, 0},
		"something else":   {strings.ReplaceAll(event, "JOB#", "NOTICE#"), nil, 0},
		"an empty batch":   {`{"Records":[]}`, nil, 0},
		"a foreign record": {`{"Records":[{"eventName":"INSERT","dynamodb":{"Keys":{"pk":{"N":"1"}}}}]}`, nil, 0},
		"one without keys": {`{"Records":[{"eventName":"INSERT","dynamodb":{}}]}`, nil, 0},
		"no event at all":  {`{}`, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			j := &jobs{err: c.err}
			h := &handler{jobs: j, log: slog.New(slog.DiscardHandler)}
			out, err := lambda.NewHandler(h.handle).Invoke(t.Context(), []byte(c.event))
			if err != nil || string(out) != `{"batchItemFailures":[]}` || j.runs != c.runs {
				t.Errorf("%s, %v, %d runs, want %d", out, err, j.runs, c.runs)
			}
		})
	}
}

func TestTheBuiltBootstrapReadsTheStream(t *testing.T) {
	account := localstacktest.New(t)
	out := account.Deploy(t, "data")
	p := lambdatest.Start(t, lambdatest.Build(t, "outbox"), map[string]string{
		"AWS_REGION": localstacktest.Region, "AWS_ENDPOINT_URL": localstacktest.Endpoint,
		"AWS_ACCESS_KEY_ID": account.AccessKey, "AWS_SECRET_ACCESS_KEY": account.SecretKey,
		"ROOMCAST_TABLE": out["TableName"], "ROOMCAST_MEDIA_BUCKET": out["MediaBucket"],
	})
	if err := p.Invoke(lambdatest.Event(t, "outbox"), nil); err != nil {
		t.Error(err)
	}
}
