package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/roomcast/roomcast/client"
	"github.com/roomcast/roomcast/internal/localstacktest"
	"github.com/roomcast/roomcast/internal/mediatest"
	"github.com/roomcast/roomcast/internal/rtmpout"
	"github.com/roomcast/roomcast/internal/store/dynamo"
)

const (
	// patience is for processes on a busy machine, callFor for one API call.
	patience = 90 * time.Second
	callFor  = 5 * time.Second
)

type room struct {
	ID       string                             `json:"id"`
	State    string                             `json:"videoRoomState"`
	Playback *struct{ HLSURL, DASHURL *string } `json:"playback"`
}

// site is a worker process and its lines to AWS.
type site struct {
	*process
	*lines
	busy atomic.Bool // a fault of the process is under way
	down atomic.Bool // it does not answer now
	sick [len(services)]atomic.Bool
}

// world is an installation on LocalStack under fire. One seed chooses the
// faults; when they hit is the machine's own.
type world struct {
	t          *testing.T
	seed       uint64
	begun      time.Time
	sites      []*site
	publishers []*publisher
	tags       []rtmpout.Tag
	tap        *tap
	api        *client.Client // without an address
	store      *dynamo.Store  // past the proxies
	table      string
	dynamodb   *dynamodb.Client
	sqs        *sqs.Client
	dead       string        // the queue of dead letters
	calm       chan struct{} // closed when the faults stop
	faults     sync.WaitGroup

	mu    sync.Mutex
	story []string
	urls  map[string]map[string]bool // of each room
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{t: t, seed: seed, begun: time.Now(), calm: make(chan struct{}), urls: map[string]map[string]bool{}}
	t.Cleanup(func() {
		if t.Failed() {
			w.mu.Lock()
			defer w.mu.Unlock()
			t.Logf("seed %d, its story (again: go test ./internal/e2e/chaos -run TestProcesses -seed=%d):\n%s", seed, seed, strings.Join(w.story, "\n"))
		}
	})
	account := localstacktest.New(t)
	data, queues := account.Deploy(t, "data"), account.Deploy(t, "queues")
	w.tap = newTap(t, localstacktest.Endpoint, data["MediaBucket"])
	aws4566 := strings.TrimPrefix(localstacktest.Endpoint, "http://")
	for _, name := range []string{"worker a", "worker b"} {
		l := newLines(t, map[string]string{"DYNAMODB": aws4566, "SQS": aws4566, "S3": w.tap.address()})
		s := &site{lines: l, process: newProcess(t, name, append([]string{
			"ROOMCAST_BACKEND=aws", "AWS_ENDPOINT_URL=" + localstacktest.Endpoint, "AWS_REGION=" + localstacktest.Region,
			"AWS_ACCESS_KEY_ID=" + account.AccessKey, "AWS_SECRET_ACCESS_KEY=" + account.SecretKey, "AWS_EC2_METADATA_DISABLED=true",
			"ROOMCAST_TABLE=" + data["TableName"], "ROOMCAST_MEDIA_BUCKET=" + data["MediaBucket"],
			"ROOMCAST_STATE_EVENTS_URL=" + queues["StateEventsUrl"], "ROOMCAST_PUBLIC_URL=http://viewers.example",
			"PATH=", // without ffmpeg: recordings stay as they were streamed
		}, l.env()...)...)}
		if _, err := s.start(); err != nil {
			t.Fatal(err, tail(s.out.String(), 5000))
		}
		w.sites = append(w.sites, s)
	}
	var err error
	if w.api, err = w.sites[0].api(); err != nil {
		t.Fatal(err)
	}
	cfg := aws.Config{
		Region: localstacktest.Region, BaseEndpoint: aws.String(localstacktest.Endpoint),
		Credentials: credentials.NewStaticCredentialsProvider(account.AccessKey, account.SecretKey, ""),
	}
	w.table, w.dynamodb = data["TableName"], dynamodb.NewFromConfig(cfg)
	w.dead, w.sqs = queues["StateEventsDeadUrl"], sqs.NewFromConfig(cfg)
	if w.store, err = dynamo.Open(t.Context(), dynamo.Options{AWS: cfg, Table: w.table, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	w.tags = source(t)
	return w
}

// source is what every publisher sends, over and over.
func source(t *testing.T) (tags []rtmpout.Tag) {
	t.Helper()
	f, err := os.Open(mediatest.Generate(t, mediatest.Spec{BFrames: 2, Duration: 20 * time.Second, VideoKbps: 100}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for tag, err := range rtmpout.ReadFLV(f) {
		if err != nil {
			t.Fatal(err)
		}
		tags = append(tags, tag)
	}
	return tags
}

// tell adds a line to the story.
func (w *world) tell(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.story = append(w.story, fmt.Sprintf("%8.3fs  "+format, append([]any{time.Since(w.begun).Seconds()}, args...)...))
}

// call asks a process that answers now.
func (w *world) call(ctx context.Context, rng *rand.Rand, method, path string, in, out any) error {
	s := w.sites[rng.IntN(len(w.sites))]
	if s.down.Load() {
		s = w.sites[0]
		if s.down.Load() {
			s = w.sites[len(w.sites)-1]
		}
	}
	c := *w.api
	c.URL = "http://" + s.http
	ctx, cancel := context.WithTimeout(ctx, callFor)
	defer cancel()
	err := c.Do(ctx, method, path, in, out)
	var p *client.Error
	if errors.As(err, &p) && p.Status == 500 {
		w.tell("%s answers %v to %s %s", s.name, err, method, path)
	}
	return err
}

// seen notes where a live room plays.
func (w *world) seen(r room) {
	if r.Playback == nil || r.Playback.HLSURL == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.urls[r.ID] == nil {
		w.urls[r.ID] = map[string]bool{}
	}
	w.urls[r.ID][*r.Playback.HLSURL] = true
}

// later undoes a fault after d, or as soon as the faults stop.
func (w *world) later(d time.Duration, undo func()) {
	w.faults.Go(func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-w.calm:
		}
		undo()
	})
}

// again starts a process over whole lines: one that cannot reach AWS refuses
// to start.
func (w *world) again(s *site) {
	for _, service := range services {
		if err := s.heal(service); err != nil {
			w.t.Errorf("heal %s of %s: %v", service, s.name, err)
		}
	}
	took, err := s.start()
	if err != nil {
		w.t.Error(err)
	}
	w.tell("%s runs again, ready after %s", s.name, took.Round(time.Millisecond))
	s.down.Store(false)
	s.busy.Store(false)
}
