// Package packaging judges what the packager and its uploads make of every
// kind of source, on a simulated clock: bytes of every access unit, one offset,
// every version of every manifest, strictly decoded frames, real players.
package packaging

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/manifest"
	"github.com/roomcast/roomcast/internal/mediatest/check"
	"github.com/roomcast/roomcast/internal/objects/disk"
	"github.com/roomcast/roomcast/internal/rtmpout"
	"github.com/roomcast/roomcast/workers/ingest/packager"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
	"github.com/roomcast/roomcast/workers/ingest/segment"
	"github.com/roomcast/roomcast/workers/ingest/upload"
)

const (
	playID = "p1"
	prefix = "live/" + playID + "/"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// step is one message and when it arrives, counted from begin.
type step struct {
	at  time.Duration
	tag rtmpout.Tag
}

// defect is a bug that is planted between two stages; the zero value is none.
type defect struct {
	init    func(*segment.Init)           // between packager and upload
	segment func(*segment.Segment)        // the same
	objects func(key, body string) string // what a manifest says
	late    string                        // this object is written after the manifests that name it
}

// product is everything that a show wrote.
type product struct {
	log    []check.Write
	serve  http.Handler
	warned map[string]bool
}

// publish takes sessions through packager and upload, one after the other, each
// under its own epoch, and closes the show.
func publish(t *testing.T, sessions [][]step, d defect) *product {
	t.Helper()
	store, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() }) // the test is over
	return publishTo(t, store, store.Handler(), sessions, d)
}

func publishTo(t *testing.T, store control.Objects, serve http.Handler, sessions [][]step, d defect) *product {
	t.Helper()
	recorder := check.NewRecorder(store)
	p := &product{serve: serve, warned: map[string]bool{}}
	now := begin
	clock := func() time.Time { return now }
	for i, steps := range sessions {
		out, resumed, err := upload.Open(t.Context(), &spoiled{Objects: recorder, defect: d, held: map[string]func() error{}, meant: map[string][]byte{}}, playID, uint64(i+1), upload.Options{
			Now: clock, Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		})
		if err != nil {
			t.Fatal(err)
		}
		pack := packager.New(packager.Options{Now: clock, Segment: segment.Options{
			Epoch: uint64(i + 1), SegmentDuration: 2 * time.Second, TargetDuration: resumed.TargetDuration, Silence: resumed.Silence,
			Sink: &sink{ctx: t.Context(), out: out, defect: d, warned: p.warned},
		}})
		for n, s := range steps {
			now = begin.Add(s.at)
			m := rtmpin.Message{Type: rtmpin.MessageType(s.tag.Type), TimestampMS: s.tag.TimestampMS, Payload: s.tag.Payload}
			if err := pack.Message(m); err != nil {
				t.Fatalf("session %d, message %d at %s: %v", i+1, n, s.at, err)
			}
		}
		if err := pack.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := closeShow(t.Context(), recorder, now.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	p.log = recorder.Log()
	return p
}

// closeShow does what the job of an ended show does.
func closeShow(ctx context.Context, objects control.Objects, at time.Time) error {
	record, _, err := objects.Get(ctx, prefix+manifest.RecordName)
	if err != nil {
		return fmt.Errorf("read the record: %w", err)
	}
	files, err := manifest.Close(record, at)
	if err != nil {
		return err
	}
	for _, f := range files {
		_, info, err := objects.Get(ctx, prefix+f.Name)
		if err != nil {
			return err
		}
		if _, err := objects.Put(ctx, prefix+f.Name, [][]byte{f.Body}, control.PutOptions{
			ContentType: f.ContentType, CacheControl: manifest.CacheControl, IfMatch: info.ETag,
		}); err != nil {
			return err
		}
	}
	return nil
}

// sink uploads at once, with the defect in between.
type sink struct {
	ctx    context.Context //nolint:containedctx // the test's
	out    *upload.Output
	defect defect
	warned map[string]bool
}

func (s *sink) Init(in segment.Init) error {
	if s.defect.init != nil {
		s.defect.init(&in)
	}
	return s.out.Init(s.ctx, in)
}

func (s *sink) Segment(seg segment.Segment) error {
	if s.defect.segment != nil {
		s.defect.segment(&seg)
	}
	_, err := s.out.Segment(s.ctx, seg)
	return err
}

func (s *sink) Warn(w segment.Warning) { s.warned[w.Code] = true }

// spoiled is a storage with the defect in front. Who wrote something reads it
// without the defect: it is its bug, and it does not notice.
type spoiled struct {
	control.Objects
	defect defect
	held   map[string]func() error
	meant  map[string][]byte // what was to be written
}

func (s *spoiled) Get(ctx context.Context, key string) ([]byte, control.ObjectInfo, error) {
	body, info, err := s.Objects.Get(ctx, key)
	if meant := s.meant[key]; err == nil && meant != nil {
		body = meant
	}
	return body, info, err
}

func (s *spoiled) Put(ctx context.Context, key string, body [][]byte, opt control.PutOptions) (string, error) {
	name := key[len(prefix):]
	if s.defect.late != "" && name == s.defect.late {
		ctx = context.WithoutCancel(ctx)
		s.held[name] = func() error { _, err := s.Objects.Put(ctx, key, body, opt); return err }
		return "late", nil
	}
	if opt.CacheControl == manifest.CacheControl && s.defect.objects != nil {
		var all []byte
		for _, b := range body {
			all = append(all, b...)
		}
		s.meant[key] = all
		body = [][]byte{[]byte(s.defect.objects(name, string(all)))}
	}
	etag, err := s.Objects.Put(ctx, key, body, opt)
	if name == "manifest.mpd" {
		for _, put := range s.held {
			if err := put(); err != nil {
				return "", err
			}
		}
		clear(s.held)
	}
	return etag, err
}
