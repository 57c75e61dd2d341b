// Command ingest is the ECS worker: RTMP in, segments to S3, RTMP and HTTP-FLV
// out, leases in DynamoDB, events to SQS. `ingest healthcheck` asks one that
// runs on this machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/ffmpeg"
	"github.com/roomcast/roomcast/internal/fleet"
	"github.com/roomcast/roomcast/internal/ids"
	"github.com/roomcast/roomcast/internal/objects/s3"
	"github.com/roomcast/roomcast/internal/queue/sqs"
	"github.com/roomcast/roomcast/internal/store/dynamo"
	"github.com/roomcast/roomcast/internal/telemetry"
	"github.com/roomcast/roomcast/workers/ingest/worker"
)

func main() { worker.Main(serve) }

// serve connects the parts without a word to AWS, and serves until ctx ends or
// the worker has drained.
func serve(ctx context.Context) error {
	c, err := config.LoadIngest(config.OSEnv)
	if err != nil {
		return fmt.Errorf("wrong settings:\n%w", err)
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	ip, err := c.Address, error(nil)
	if ip == "" {
		ip, err = fleet.Address(ctx, c.Metadata)
	}
	store, err2 := dynamo.New(dynamo.Options{AWS: cfg, Table: c.Table, Now: time.Now})
	queue, err3 := sqs.New(sqs.Options{AWS: cfg, URL: c.StateEventsURL, Now: time.Now})
	bucket, err4 := s3.New(s3.Options{AWS: cfg, Bucket: c.MediaBucket})
	if err := errors.Join(err, err2, err3, err4); err != nil {
		return err
	}
	return worker.Run(ctx, c, ip, worker.Options{
		Leases: store, PlayIDs: store, Events: queue, Objects: bucket,
		IDs: ids.New(time.Now), Now: time.Now, Log: telemetry.Logger(c.LogLevel), Capacity: c.Capacity,
	}.WithLadders(store, ffmpeg.New(ctx)), fleet.New(fleet.Options{
		AWS: cfg, Parameter: c.FleetParameter, IP: ip, Agent: c.Agent, Targets: []fleet.Target{
			{Group: c.RTMPTargets, Port: config.Port(c.RTMP)}, {Group: c.WebTargets, Port: config.Port(c.Web)},
		},
	}))
}
