// Command archiver is the Lambda that does the jobs that shows leave behind, and
// starts transcoders for those that take long.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/roomcast/roomcast/internal/cdn"
	"github.com/roomcast/roomcast/internal/cmaf"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ids"
	"github.com/roomcast/roomcast/internal/objects/s3"
	"github.com/roomcast/roomcast/internal/store/dynamo"
	"github.com/roomcast/roomcast/internal/tasks"
	"github.com/roomcast/roomcast/internal/telemetry"
)

func main() {
	h, err := wire(context.Background())
	if err != nil {
		fmt.Fprintf(os.Stderr, "archiver cannot start:\n%v\n", err)
		os.Exit(1)
	}
	lambda.Start(h.handle)
}

// wire connects the parts without a word to AWS: a cold start waits for none.
func wire(ctx context.Context) (*handler, error) {
	settings, err := config.LoadArchiver(config.OSEnv)
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
	launcher := tasks.New(tasks.Options{
		API: ecs.NewFromConfig(cfg), Cluster: settings.Cluster, Task: settings.Task,
		Subnets: settings.Subnets, SecurityGroups: settings.SecurityGroups, PublicIP: settings.PublicIP,
	})
	copies := cdn.New(cdn.Options{API: cloudfront.NewFromConfig(cfg), SSM: ssm.NewFromConfig(cfg), Parameter: settings.DistributionParameter})
	log := telemetry.Logger(slog.LevelInfo)
	return &handler{log: log, service: control.New(control.Options{
		Store: store, Objects: objects, Launcher: launcher, CDN: copies, CutFront: cmaf.CutFront, IDs: ids.New(time.Now), Now: time.Now, Log: log,
	})}, nil
}
