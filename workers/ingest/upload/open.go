package upload

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/manifest"
	"github.com/roomcast/roomcast/internal/media"
	"github.com/roomcast/roomcast/workers/ingest/segment"
)

// Output publishes one ingest session. Not safe for concurrent use. After an
// error it publishes nothing more: every later call answers that error.
type Output struct {
	bucket bucket
	epoch  uint64
	now    func() time.Time
	window time.Duration
	hidden bool   // Options.RecordOnly
	time   string // Options.TimeURL

	live   manifest.Presentation // as last written; without segments = nothing is published
	record []byte                // the bytes of v.m3u8 behind live
	etags  map[string]string     // of the manifests, as last written or read
	shown  bool                  // what Open found had manifests for players
	master string                // what master.m3u8 says, but for its version

	init *segment.Init // the current run's; nil before the first
	done bool          // the session's first segment is out
	err  error
}

// Resumed is what Open found. The zero value: nothing was published.
type Resumed struct {
	// TargetDuration is the presentation's: the segmenter must keep it.
	TargetDuration time.Duration
	// LastSegment is the newest published number; 0 = none.
	LastSegment uint64
	// Videos are the names of every video rendition that was ever published,
	// the best first.
	Videos []string
	// Silence is silence in the form of the presentation's sound; nil where it
	// never had any.
	Silence *media.Config
}

// Open reads what is published under live/<playID> and, where there is
// something, makes it the epoch's own: v.m3u8 is rewritten conditionally, so
// that a worker of an older epoch that wakes up cannot write any more. The
// other manifests are Resume's. ErrEnded, ErrFenced (a newer epoch was here),
// control.ErrNoSpace, or an outage.
func Open(ctx context.Context, objects control.Objects, playID string, epoch uint64, opt Options) (*Output, Resumed, error) {
	opt, err := opt.withDefaults()
	if err != nil {
		return nil, Resumed{}, err
	}
	if playID == "" || strings.ContainsAny(playID, "/\\.") {
		return nil, Resumed{}, fmt.Errorf("open the output: play id %q is no folder name", playID)
	}
	o := &Output{
		bucket: bucket{objects: objects, prefix: "live/" + playID + "/", opt: opt},
		epoch:  epoch, now: opt.Now, window: opt.Window, hidden: opt.RecordOnly, time: opt.TimeURL, etags: map[string]string{},
	}
	if err := o.resume(ctx); err != nil {
		return nil, Resumed{}, fmt.Errorf("open the output of epoch %d: %w", epoch, err)
	}
	resumed := Resumed{TargetDuration: o.live.TargetDuration, LastSegment: o.live.Last()}
	for _, r := range o.live.Renditions {
		if r.Kind == media.Video {
			resumed.Videos = append(resumed.Videos, r.Name)
		} else if c, ok := media.SilentConfig(r.SampleRateHz, r.Channels); ok {
			resumed.Silence = &c
		}
	}
	return o, resumed, nil
}

func (o *Output) resume(ctx context.Context) error {
	body, etag, err := o.bucket.get(ctx, manifest.RecordName)
	if errors.Is(err, control.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	p, err := o.read(body)
	if err != nil {
		return err
	}
	o.adopt(p, body, etag)
	shown := !p.Hidden
	for range maxTakeovers {
		next := o.live.Version(o.epoch, o.now())
		next.TimeURL, next.Hidden = o.time, o.hidden
		if err = o.writeRecord(ctx, next); !errors.Is(err, errTakenOver) {
			break
		}
	}
	if err != nil {
		return err
	}
	o.shown = shown
	return nil
}

// Resume completes what an older session left: the manifests that it did not
// come to write any more, or, of a session whose media are only recorded, those
// that nobody may open now. It is called once, before Init, and may take its
// time while the first segment is collected: a viewer is not kept by it.
func (o *Output) Resume(ctx context.Context) error {
	return o.step(func() error {
		switch {
		case o.record == nil:
			return nil
		case o.hidden && o.shown:
			return o.hide(ctx)
		}
		return o.complete(ctx)
	})
}

// complete reads the manifests that follow from the record, for their ETags, and
// writes those that are not what the record demands (see writeDerived).
func (o *Output) complete(ctx context.Context) error {
	files := o.live.Derived()
	found := make([][]byte, len(files))
	etags := make([]string, len(files))
	if err := o.each(len(files), func(i int) (err error) {
		found[i], etags[i], err = o.bucket.get(ctx, files[i].Name)
		if errors.Is(err, control.ErrNotFound) {
			return nil
		}
		return err
	}); err != nil {
		return err
	}
	for i, f := range files {
		o.etags[f.Name] = etags[i]
	}
	if err := o.stillOurs(ctx); err != nil {
		return err
	}
	return o.writeOthers(ctx)
}

// hide removes the manifests that an earlier session made.
func (o *Output) hide(ctx context.Context) error {
	was := o.live
	was.Hidden = false
	for _, f := range was.Derived() {
		if err := o.bucket.remove(ctx, f.Name); err != nil {
			return err
		}
	}
	return nil
}

// read answers a record that may be gone on with: an older epoch's, or this
// one's own.
func (o *Output) read(body []byte) (manifest.Presentation, error) {
	p, err := manifest.ParseRecord(body)
	switch {
	case err != nil:
		return p, err
	case p.Epoch > o.epoch:
		return p, fmt.Errorf("epoch %d is here: %w", p.Epoch, ErrFenced)
	case p.Ended:
		return p, ErrEnded
	}
	return p, nil
}

// adopt takes what is published as the state to go on from.
func (o *Output) adopt(p manifest.Presentation, body []byte, etag string) {
	o.live, o.record, o.etags[manifest.RecordName] = p, body, etag
}
