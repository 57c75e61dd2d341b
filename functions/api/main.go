// Command api is the HTTP API as a Lambda behind an API Gateway HTTP API.
package main

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ids"
	"github.com/roomcast/roomcast/internal/queue/sqs"
	"github.com/roomcast/roomcast/internal/store/dynamo"
	"github.com/roomcast/roomcast/internal/telemetry"
)

func main() {
	h, err := wire()
	if err != nil {
		fmt.Fprintf(os.Stderr, "api cannot start:\n%v\n", err)
		os.Exit(1)
	}
	lambda.Start(h)
}

// ofLambda is what Lambda gives every function by its environment: region,
// credentials and, on LocalStack, the endpoint. The SDK's default looks in
// files and at SSO and STS besides, with a megabyte of code that a function
// never runs.
func ofLambda() (aws.Config, error) {
	env, err := awsconfig.NewEnvConfig()
	if err != nil {
		return aws.Config{}, fmt.Errorf("environment of AWS: %w", err)
	}
	cfg := aws.Config{Region: env.Region, Credentials: credentials.StaticCredentialsProvider{Value: env.Credentials}}
	if env.BaseEndpoint != "" {
		cfg.BaseEndpoint = aws.String(env.BaseEndpoint)
	}
	return cfg, nil
}

// wire connects the parts without a word to AWS: a cold start waits for none.
func wire() (handler, error) {
	settings, err := config.LoadAPI(config.OSEnv)
	if err != nil {
		return nil, err
	}
	cfg, err := ofLambda()
	if err != nil {
		return nil, err
	}
	store, err := dynamo.New(dynamo.Options{AWS: cfg, Table: settings.Table, Now: time.Now})
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
	log := telemetry.Logger(slog.LevelInfo)
	source := ids.New(time.Now)
	return newHandler(settings, control.New(control.Options{
		Store: store, DeadEvents: queue, Idempotency: store, Feed: store, Webhooks: store, Deliveries: deliveries,
		IDs: source, Now: time.Now, Log: log,
		URLs: control.URLs{HTTP: settings.PublicURL, RTMP: settings.RTMPURL},
	}), store, source, time.Now, log)
}
