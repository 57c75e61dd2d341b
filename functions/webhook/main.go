// Command webhook is the Lambda that calls customers' endpoints.
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
	"github.com/roomcast/roomcast/internal/httpapi"
	"github.com/roomcast/roomcast/internal/ids"
	"github.com/roomcast/roomcast/internal/queue/sqs"
	"github.com/roomcast/roomcast/internal/store/dynamo"
	"github.com/roomcast/roomcast/internal/telemetry"
	"github.com/roomcast/roomcast/internal/webhook"
)

func main() {
	h, err := wire(context.Background())
	if err != nil {
		fmt.Fprintf(os.Stderr, "webhook cannot start:\n%v\n", err)
		os.Exit(1)
	}
	lambda.Start(h.handle)
}

// wire connects the parts without a word to AWS: a cold start waits for none.
func wire(ctx context.Context) (*handler, error) {
	settings, err := config.LoadWebhook(config.OSEnv)
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
	deliveries, err := sqs.NewWaker(sqs.Options{AWS: cfg, URL: settings.DeliveriesURL, Now: time.Now})
	if err != nil {
		return nil, err
	}
	log := telemetry.Logger(slog.LevelInfo)
	service := control.New(control.Options{
		Store: store, Feed: store, Webhooks: store, Deliveries: deliveries, IDs: ids.New(time.Now), Now: time.Now, Log: log,
		URLs: control.URLs{HTTP: settings.PublicURL, RTMP: settings.RTMPURL},
	})
	return &handler{service: service, log: log, sender: webhook.New(webhook.Options{Body: httpapi.EventBody(service), Now: time.Now})}, nil
}
