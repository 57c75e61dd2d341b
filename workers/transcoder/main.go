// Command transcoder does one SOURCE or TRANSCODE job and exits. `transcoder
// healthcheck` says whether everything that it needs is there.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/roomcast/roomcast/internal/cmaf"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ffmpeg"
	"github.com/roomcast/roomcast/internal/ids"
	"github.com/roomcast/roomcast/internal/objects/s3"
	"github.com/roomcast/roomcast/internal/store/dynamo"
	"github.com/roomcast/roomcast/internal/telemetry"
	"github.com/roomcast/roomcast/workers/transcoder/job"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "transcoder: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	tool := ffmpeg.New(ctx)
	if missing := tool.Missing(); len(missing) > 0 {
		return fmt.Errorf("ffmpeg is not whole: %s", strings.Join(missing, ", "))
	}
	if len(os.Args) == 2 && os.Args[1] == "healthcheck" {
		return nil
	}
	c, err := config.LoadTranscoder(config.OSEnv)
	if err != nil {
		return fmt.Errorf("wrong settings:\n%w", err)
	}
	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	store, err2 := dynamo.New(dynamo.Options{AWS: cfg, Table: c.Table, Now: time.Now})
	bucket, err3 := s3.New(s3.Options{AWS: cfg, Bucket: c.MediaBucket})
	if err := errors.Join(err, err2, err3); err != nil {
		return err
	}
	log := telemetry.Logger(c.LogLevel)
	ctx = telemetry.With(ctx, slog.String(telemetry.Job, c.JobID))
	return control.New(control.Options{
		Store: store, Objects: bucket, IDs: ids.New(time.Now), Now: time.Now, Log: log, CutFront: cmaf.CutFront,
		Transcoder: job.New(job.Options{Tool: tool, Objects: bucket, Scratch: c.Scratch, Keep: true, Parallel: 1, Log: log.With(telemetry.Job, c.JobID)}),
	}).RunJob(ctx, c.JobID)
}
