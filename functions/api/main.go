// Command api is the HTTP API as a Lambda behind an API Gateway HTTP API.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ids"
	"github.com/roomcast/roomcast/internal/objects/s3"
	"github.com/roomcast/roomcast/internal/queue/sqs"
	"github.com/roomcast/roomcast/internal/store/dynamo"
)

func main() {
	h, err := wire(context.Background())
	if err != nil {
		fmt.Fprintf(os.Stderr, "api cannot start:\n%v\n", err)
		os.Exit(1)
	}
	lambda.Start(h)
}

// wire connects the parts without a word to AWS: a cold start waits for none.
func wire(ctx context.Context) (handler, error) {
	settings, err := config.LoadAPI(config.OSEnv)
	if err != nil {
		return nil, err
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	store, err := dynamo.New(dynamo.Options{AWS: cfg, Table: settings.Table, Now: time.Now})
	if err != nil {
		return nil, err
	}
	objects, err := s3.New(s3.Options{AWS: cfg, Bucket: settings.MediaBucket})
	if err != nil {
		return nil, err
	}
	queue, err := sqs.New(sqs.Options{AWS: cfg, URL: settings.StateEventsURL, Now: time.Now})
	if err != nil {
		return nil, err
	}
	deliveries, err := sqs.NewWaker(sqs.Options{AWS: cfg, URL: settings.DeliveriesURL, Now: time.Now})
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	source := ids.New(time.Now)
	return newHandler(settings, control.New(control.Options{
		Store: store, Objects: objects, DeadEvents: queue, Idempotency: store, Feed: store, Webhooks: store, Deliveries: deliveries,
		IDs: source, Now: time.Now, Log: log,
		URLs: control.URLs{HTTP: settings.PublicURL, RTMP: settings.RTMPURL},
	}), store, source, time.Now, log)
}
