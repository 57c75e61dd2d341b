// Command stateconsumer is the Lambda that applies state events from the SQS
// FIFO queue to keys and rooms.
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
	"github.com/roomcast/roomcast/internal/store/dynamo"
	"github.com/roomcast/roomcast/internal/telemetry"
)

func main() {
	h, err := wire(context.Background())
	if err != nil {
		fmt.Fprintf(os.Stderr, "stateconsumer cannot start:\n%v\n", err)
		os.Exit(1)
	}
	lambda.Start(h.handle)
}

// wire connects the parts without a word to AWS: a cold start waits for none.
func wire(ctx context.Context) (*handler, error) {
	settings, err := config.LoadStateConsumer(config.OSEnv)
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
	log := telemetry.Logger(slog.LevelInfo)
	return &handler{log: log, service: control.New(control.Options{
		Store: store, IDs: ids.New(time.Now), Now: time.Now, Log: log,
	})}, nil
}
