package upload

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/manifest"
	"github.com/roomcast/roomcast/internal/media"
	"github.com/roomcast/roomcast/workers/ingest/segment"
)

// Ack says that a segment is published: its objects and every manifest that
// names it can be read.
type Ack struct {
	// LastSegment is its number, from 1.
	LastSegment uint64
	// First is true for the session's first: all that PUBLISHED promises is
	// readable from here on.
	First bool
}

// LastSegment is the newest number that v.m3u8 names; 0 = none.
func (o *Output) LastSegment() uint64 { return o.live.Last() }

// Init writes the init segments of a run. It comes before the run's first Segment.
func (o *Output) Init(ctx context.Context, in segment.Init) error {
	return o.step(func() error {
		if err := o.checkInit(in); err != nil {
			return err
		}
		if err := o.each(len(in.Tracks), func(i int) error {
			t := in.Tracks[i]
			return o.writeOnce(ctx, manifest.InitName(in.Run.Epoch, in.Run.Index, t.Name), t.Config.Kind, control.Durable, [][]byte{t.Body})
		}); err != nil {
			return err
		}
		o.init = &in
		return nil
	})
}

func (o *Output) checkInit(in segment.Init) error {
	switch {
	case in.Run.Epoch != o.epoch || o.init != nil && in.Run.Index <= o.init.Run.Index:
		return fmt.Errorf("run %d of epoch %d is out of order", in.Run.Index, in.Run.Epoch)
	case len(in.Tracks) == 0:
		return errors.New("a run without tracks")
	}
	return o.checkTarget(in)
}

func (o *Output) checkTarget(in segment.Init) error {
	if o.live.TargetDuration != 0 && o.live.TargetDuration != in.TargetDuration {
		return fmt.Errorf("target duration %v where %v is published", in.TargetDuration, o.live.TargetDuration)
	}
	return nil
}

// Segment publishes the next segment: its objects, then v.m3u8, the other
// playlists, master.m3u8 where it is new, manifest.mpd, and every tenth time
// an index object.
func (o *Output) Segment(ctx context.Context, s segment.Segment) (Ack, error) {
	var ack Ack
	err := o.step(func() error {
		if o.init == nil || s.Run != o.init.Run || len(s.Tracks) != len(o.init.Tracks) {
			return fmt.Errorf("a segment of run %d of epoch %d without its init", s.Run.Index, s.Run.Epoch)
		}
		if err := o.publish(ctx, s); err != nil {
			return err
		}
		if err := o.writeOthers(ctx); err != nil {
			return err
		}
		ack = Ack{LastSegment: o.live.Last(), First: !o.done}
		o.done = true
		return o.index(ctx)
	})
	if err != nil {
		return Ack{}, err
	}
	return ack, nil
}

// publish writes the objects and the record. When an older session's write
// turns up in between, the segment gets the number after that one's.
func (o *Output) publish(ctx context.Context, s segment.Segment) (err error) {
	add := o.addition(s)
	for range maxTakeovers {
		p := o.live
		if len(p.Segments) == 0 {
			p.TargetDuration, p.Window = o.init.TargetDuration, o.window
		}
		p.TimeURL, p.Hidden = o.time, o.hidden
		if p, err = p.Version(o.epoch, o.now()).Append(add); err != nil {
			return err
		}
		if err = o.writeTracks(ctx, s, p.Last()); err != nil {
			return err
		}
		if err = o.writeRecord(ctx, p); !errors.Is(err, errTakenOver) {
			return err
		}
		if err := o.checkTarget(*o.init); err != nil {
			return err
		}
	}
	return err
}

// addition leaves out the tracks without media in this segment: a change of
// them begins a new Period, in which they are EXT-X-GAP.
func (o *Output) addition(s segment.Segment) manifest.Addition {
	add := manifest.Addition{Epoch: s.Run.Epoch, Run: s.Run.Index, Start: s.Start, Dependent: !s.Independent}
	for i, t := range s.Tracks {
		if t.Gap {
			continue
		}
		c := o.init.Tracks[i].Config
		add.Tracks = append(add.Tracks, manifest.Track{Timescale: c.Timescale, Rendition: manifest.Rendition{
			Name: t.Name, Kind: c.Kind, Codecs: c.Codecs, WidthPixels: c.WidthPixels, HeightPixels: c.HeightPixels,
			SampleRateHz: c.SampleRateHz, Channels: c.Channels, BandwidthBPS: o.init.Tracks[i].BandwidthBPS,
		}})
		add.Spans = append(add.Spans, manifest.Span{PTS: t.EarliestPTS, Duration: t.Duration, SizeBytes: t.SizeBytes})
	}
	return add
}

func (o *Output) writeTracks(ctx context.Context, s segment.Segment, n uint64) error {
	return o.each(len(s.Tracks), func(i int) error {
		t := s.Tracks[i]
		if t.Gap {
			return nil
		}
		return o.writeOnce(ctx, manifest.SegmentName(s.Run.Epoch, s.Run.Index, t.Name, n), o.init.Tracks[i].Config.Kind, control.Fleeting, t.Body)
	})
}

// index writes the index objects that are due. Their bytes follow from what
// is published, so one that is there already is as good. They are durable, and
// with them the segments that they name (docs/adr/0016).
func (o *Output) index(ctx context.Context) error {
	for o.live.IndexDue() {
		name, body, next := o.live.NextIndex()
		_, err := o.bucket.put(ctx, name, [][]byte{body}, control.PutOptions{ContentType: "application/json", CacheControl: manifest.Immutable})
		var there *differs
		if err != nil && (!errors.As(err, &there) || there.etag == "") {
			return err
		}
		o.live = next // the next version of the record says so
	}
	return nil
}

// writeOnce writes an object that never changes. One that is there with other
// bytes stays, and the session ends.
func (o *Output) writeOnce(ctx context.Context, name string, k media.Kind, d control.Durability, body [][]byte) error {
	_, err := o.bucket.put(ctx, name, body, control.PutOptions{ContentType: k.String() + "/mp4", CacheControl: manifest.Immutable, Durability: d})
	return err
}

// each writes a segment's tracks at the same time and waits for all.
func (o *Output) each(n int, write func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = write(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// step keeps the first error: what was not written must not be built upon.
func (o *Output) step(do func() error) error {
	if o.err != nil {
		return o.err
	}
	if err := do(); err != nil {
		o.err = fmt.Errorf("upload: %w", err)
	}
	return o.err
}
