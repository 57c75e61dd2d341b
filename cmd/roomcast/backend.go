package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"path/filepath"
	"time"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/manifest"
	"github.com/roomcast/roomcast/internal/objects/disk"
	"github.com/roomcast/roomcast/internal/objects/s3"
	"github.com/roomcast/roomcast/internal/queue/local"
	"github.com/roomcast/roomcast/internal/queue/sqs"
	"github.com/roomcast/roomcast/internal/store/dynamo"
	"github.com/roomcast/roomcast/internal/store/sqlite"
	"github.com/roomcast/roomcast/workers/transcoder/job"
)

// checkWithin is how long AWS has at the start to answer whether everything is
// there.
const checkWithin = 20 * time.Second

// records are where everything but media is kept.
type records interface {
	control.Store
	control.Leases
	control.PlayIDs
	Ping(ctx context.Context) error
}

// media are where segments, manifests and recordings are kept.
type media interface {
	control.Objects
	job.Objects
	Handler() http.Handler
}

// backend is what keeps state, events and media.
type backend struct {
	records records
	queue   control.Queue
	media   media
	// shared says that other processes work on it as well.
	shared bool
	// changed is closed when something may have become due; nil = that is not
	// told.
	changed func() <-chan struct{}
	close   func() error
}

func openBackend(ctx context.Context, s config.Up, log *slog.Logger) (*backend, error) {
	switch s.Backend {
	case config.BackendAWS:
		return openAWS(ctx, s.AWS)
	case config.BackendLocal:
	}
	return openLocal(ctx, s.Data, log)
}

func openLocal(ctx context.Context, dir string, log *slog.Logger) (*backend, error) {
	db, err := sqlite.Open(filepath.Join(dir, "roomcast.db"), sqlite.Options{Now: time.Now, Log: log})
	if err != nil {
		return nil, err
	}
	queue, err := local.New(ctx, db.SQL(), local.Options{Now: time.Now})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the queue of state events: %w", err), db.Close())
	}
	objects, err := disk.Open(filepath.Join(dir, "media"))
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	closeAll := func() error { return errors.Join(objects.Close(), db.Close()) }
	if err := repair(ctx, objects, log); err != nil {
		return nil, errors.Join(err, closeAll())
	}
	return &backend{records: db, queue: queue, media: objects, changed: db.Changed, close: closeAll}, nil
}

// repair brings what was on air when the machine went down back to what of it
// is on the disk (docs/adr/0016).
func repair(ctx context.Context, objects *disk.Disk, log *slog.Logger) error {
	if !objects.Restarted() {
		return nil
	}
	records, err := objects.Glob("live/*/" + manifest.RecordName)
	if err != nil {
		return fmt.Errorf("look for shows that were on air: %w", err)
	}
	for _, key := range records {
		id := broadcast.PlayID(path.Base(path.Dir(key)))
		lost, err := control.RepairShow(ctx, objects, id, time.Now())
		if err != nil {
			log.Error("a show cannot be repaired after the machine's restart", "play", id, "err", err) // the others can
		} else if lost > 0 {
			log.Warn("segments were not on the disk yet when the machine went down", "play", id, "segments", lost)
		}
	}
	return nil
}

// openAWS says all that is wrong with the installation at once, one a line.
func openAWS(ctx context.Context, s config.AWS) (*backend, error) {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	cfg, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("settings of AWS: %w", err)
	}
	if cfg.Region == "" {
		return nil, errors.New("no AWS region is set: set AWS_REGION")
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return nil, errors.New("there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
	}
	store, err := dynamo.Open(ctx, dynamo.Options{AWS: cfg, Table: s.Table, Now: time.Now})
	queue, err2 := sqs.Open(ctx, sqs.Options{AWS: cfg, URL: s.StateEventsURL, Now: time.Now})
	objects, err3 := s3.Open(ctx, s3.Options{AWS: cfg, Bucket: s.MediaBucket})
	if err := errors.Join(err, err2, err3); err != nil {
		return nil, err
	}
	return &backend{records: store, queue: queue, media: objects, shared: true, close: func() error { return nil }}, nil
}
