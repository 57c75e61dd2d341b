package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/mediatest/check"
	"github.com/roomcast/roomcast/internal/objects/disk"
	"github.com/roomcast/roomcast/internal/rtmpout"
	"github.com/roomcast/roomcast/workers/ingest/hub"
	"github.com/roomcast/roomcast/workers/ingest/packager"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
	"github.com/roomcast/roomcast/workers/ingest/segment"
	"github.com/roomcast/roomcast/workers/ingest/upload"
)

// job is this program as one that is measured: it runs on the server's core.
// What is unpaced tells its CPU on standard output when it is done.
type job struct {
	kind    string
	address string // of ingest, or of the sink
	source  string // an FLV file
	dir     string
	minutes int // of media
	profile string
}

func (j job) run(ctx context.Context) error {
	if j.kind == jobIngest {
		return serveIngest(ctx, j.address)
	}
	tags, err := readTags(j.source)
	if err != nil {
		return err
	}
	var work func() error
	switch j.kind {
	case jobCopy:
		work = func() error { return copyAndWrite(j.dir, tags, j.minutes) }
	case jobPackage:
		work = func() error {
			store, err := disk.Open(j.dir)
			if err != nil {
				return err
			}
			return errors.Join(publish(ctx, store, tags, j.minutes), store.Close())
		}
	case jobUpload:
		work, err = uploads(ctx, j, tags)
	case jobPut:
		work, err = plainPuts(ctx, j, tags)
	default:
		err = fmt.Errorf("no job %q", j.kind)
	}
	if err != nil {
		return err
	}
	if j.profile != "" {
		f, err := os.Create(j.profile)
		if err != nil {
			return err
		}
		defer func() { pprof.StopCPUProfile(); _ = f.Close() }() // a torn profile is no profile
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
	}
	before := ownCPU()
	if err := work(); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode((ownCPU() - before).Seconds())
}

const (
	jobIngest  = "ingest"
	jobCopy    = "copy"
	jobPackage = "package"
	jobUpload  = "upload"
	jobPut     = "put"
)

func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// serveIngest takes every publisher and hands its messages to the hub, where
// nobody watches: what nginx-rtmp does of `live on` alone.
func serveIngest(ctx context.Context, address string) error {
	log := slog.New(slog.DiscardHandler)
	h := hub.New(hub.Options{Worker: "w", Directory: nowhere{}, Now: time.Now, Sleep: sleep, Log: log})
	defer h.Close()
	s, err := rtmpin.New(rtmpin.Options{Logger: log, Now: time.Now, MaxEarlyPerAddress: 1000}, everybody{h})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	return s.Serve(ctx, ln)
}

type nowhere struct{}

func (nowhere) Find(context.Context, string) (hub.Place, error) { return hub.Place{}, hub.ErrNotFound }

type everybody struct{ hub *hub.Hub }

func (e everybody) Publish(_ context.Context, r rtmpin.PublishRequest, _ rtmpin.Conn) (rtmpin.Publisher, error) {
	return publisher{e.hub.Publish(r.StreamKey, nil)}, nil
}

type publisher struct{ feed *hub.Feed }

func (p publisher) Message(m rtmpin.Message) error { p.feed.Message(m); return nil }
func (p publisher) End(rtmpin.EndCause, error)     { p.feed.End() }

// messages are the source's over and over, as they come from the network.
func messages(tags []rtmpout.Tag, minutes int, each func(rtmpin.Message) error) error {
	round := tags[len(tags)-1].TimestampMS + 20
	for at := uint32(0); at < uint32(minutes)*60_000; at += round { //nolint:gosec // a few
		for _, g := range tags {
			if err := each(rtmpin.Message{Type: rtmpin.MessageType(g.Type), TimestampMS: at + g.TimestampMS, Payload: g.Payload}); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyAndWrite is the least that a packager can do: every payload copied once,
// and written once for each track and 2 s.
func copyAndWrite(dir string, tags []rtmpout.Tag, minutes int) error {
	var open [2]bytes.Buffer
	n := 0
	flush := func() error {
		for i := range open {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-%d.m4s", i, n)), open[i].Bytes(), 0o600); err != nil {
				return err
			}
			open[i].Reset()
		}
		n++
		return nil
	}
	next := uint32(2000)
	err := messages(tags, minutes, func(m rtmpin.Message) error {
		if m.TimestampMS >= next {
			next += 2000
			if err := flush(); err != nil {
				return err
			}
		}
		track := 0
		if m.Type == rtmpin.TypeAudio {
			track = 1
		}
		_, _ = open[track].Write(m.Payload) // never fails
		return nil
	})
	return errors.Join(err, flush())
}

// publish is the whole way from a message to the objects of HLS and DASH.
func publish(ctx context.Context, objects control.Objects, tags []rtmpout.Tag, minutes int) error {
	now := time.Now()
	out, _, err := upload.Open(ctx, objects, "bench", 1, upload.Options{Now: func() time.Time { return now }, Sleep: sleep})
	if err != nil {
		return err
	}
	return cut(tags, minutes, &now, direct{ctx, out})
}

// cut packages; now goes with the media.
func cut(tags []rtmpout.Tag, minutes int, now *time.Time, sink segment.Sink) error {
	begin := *now
	p := packager.New(packager.Options{Now: func() time.Time { return *now }, Segment: segment.Options{Epoch: 1, Sink: sink}})
	if err := messages(tags, minutes, func(m rtmpin.Message) error {
		*now = begin.Add(time.Duration(m.TimestampMS) * time.Millisecond)
		return p.Message(m)
	}); err != nil {
		return err
	}
	return p.Flush()
}

type direct struct {
	ctx context.Context //nolint:containedctx // the job's
	out *upload.Output
}

func (d direct) Init(i segment.Init) error { return d.out.Init(d.ctx, i) }
func (d direct) Segment(s segment.Segment) error {
	_, err := d.out.Segment(d.ctx, s)
	return err
}
func (direct) Warn(segment.Warning) {}

// kept is a sink that keeps everything.
type kept struct {
	init     []segment.Init
	segments []segment.Segment
}

func (k *kept) Init(i segment.Init) error       { k.init = append(k.init, i); return nil }
func (k *kept) Segment(s segment.Segment) error { k.segments = append(k.segments, s); return nil }
func (*kept) Warn(segment.Warning)              {}

// uploads packages first; what is measured is upload and the S3 client.
func uploads(ctx context.Context, j job, tags []rtmpout.Tag) (func() error, error) {
	var all kept
	now := time.Now()
	if err := cut(tags, j.minutes, &now, &all); err != nil {
		return nil, err
	}
	bucket, err := s3At(j.address)
	if err != nil {
		return nil, err
	}
	return func() error {
		out, _, err := upload.Open(ctx, bucket, "bench", 1, upload.Options{Now: func() time.Time { return now }, Sleep: sleep})
		if err != nil {
			return err
		}
		d := direct{ctx, out}
		for _, in := range all.init {
			if err := d.Init(in); err != nil {
				return err
			}
		}
		for _, s := range all.segments {
			if err := d.Segment(s); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// plainPuts writes the same objects with net/http alone.
func plainPuts(ctx context.Context, j job, tags []rtmpout.Tag) (func() error, error) {
	store, err := disk.Open(j.dir)
	if err != nil {
		return nil, err
	}
	recorder := check.NewRecorder(store)
	if err := errors.Join(publish(ctx, recorder, tags, j.minutes), store.Close()); err != nil {
		return nil, err
	}
	log := recorder.Log()
	return func() error {
		for _, w := range log {
			req, err := http.NewRequestWithContext(ctx, http.MethodPut, j.address+"/plain/"+w.Key, bytes.NewReader(w.Body))
			if err != nil {
				return err
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			_, _ = io.Copy(io.Discard, resp.Body) // the connection goes on
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("put %s: %s", w.Key, resp.Status)
			}
		}
		return nil
	}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func readTags(file string) ([]rtmpout.Tag, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var tags []rtmpout.Tag
	for tag, err := range rtmpout.ReadFLV(bytes.NewReader(b)) {
		if err != nil {
			return nil, err
		}
		tags = append(tags, tag)
	}
	return tags, nil
}
