// Package packager joins the stages between a publisher's messages and its
// segments: demux, timeline, segment.
package packager

import (
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/media"
	"github.com/roomcast/roomcast/workers/ingest/demux"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
	"github.com/roomcast/roomcast/workers/ingest/segment"
	"github.com/roomcast/roomcast/workers/ingest/timeline"
)

// Options configure a Packager.
type Options struct {
	Segment segment.Options
	// Now is the wall clock; it dates the segments by the arrival of messages.
	Now func() time.Time
}

// Packager turns one publisher's messages into segments. All calls are made on
// the connection's goroutine; the sink is called from within them.
type Packager struct {
	now      func() time.Time
	sink     segment.Sink
	demux    demux.Demuxer
	timeline timeline.Timeline
	clock    timeline.Clock
	segments *segment.Segmenter
	broken   int
	overlaps int64 // audio units that lay where other audio was
	warnings warnings
	keyAt    time.Time
}

// New makes a Packager. Options.Segment.Sink and Options.Now must be set.
func New(o Options) *Packager {
	p := &Packager{now: o.Now}
	p.warnings.sink = o.Segment.Sink
	o.Segment.Sink = &p.warnings
	p.sink = &p.warnings
	p.segments = segment.New(o.Segment)
	return p
}

// Message takes one message and its payload's ownership. Data messages are
// ignored. An error ends the publisher; it is the sink's, or wraps
// demux.ErrUnsupported, demux.ErrMalformed or segment.ErrTooLarge, whose text
// may be shown to the publisher.
func (p *Packager) Message(m rtmpin.Message) error {
	switch m.Type {
	case rtmpin.TypeVideo:
		event, err := p.demux.Video(m.Payload)
		if err != nil {
			return fmt.Errorf("read video message: %w", err)
		}
		return p.video(m.TimestampMS, event)
	case rtmpin.TypeAudio:
		event, err := p.demux.Audio(m.Payload)
		if err != nil {
			return fmt.Errorf("read audio message: %w", err)
		}
		return p.audio(m.TimestampMS, event)
	case rtmpin.TypeData:
	}
	return nil
}

// Flush finishes the open segment: the publisher has left. The Packager may be
// used on; what follows is a new run.
func (p *Packager) Flush() error { return p.segments.Flush() }

// Health is what the owner of the key is shown. Call it where Message is called.
func (p *Packager) Health() Health {
	h := Health{Health: p.segments.Health(), KeyAt: p.keyAt, Drift: p.clock.Drift(), Warnings: p.warnings.list()}
	h.Dropped += int64(p.broken) + p.overlaps
	return h
}

// Health adds what the stages before know.
type Health struct {
	// Health.Dropped counts broken and overlapping units as well.
	segment.Health
	// KeyAt is when the latest key frame came; zero before the first.
	KeyAt time.Time
	// Drift is how much longer than its own clock says the publisher has taken
	// (timeline.Clock).
	Drift time.Duration
	// Warnings are the sentences for ingest.warnings.
	Warnings []string
}

func (p *Packager) video(timestampMS uint32, event demux.Event) error {
	if err := p.config(event.Config); err != nil {
		return err
	}
	if event.Broken {
		p.warnBroken()
	}
	if event.Data == nil {
		return nil
	}
	dts, cts, verdict := p.timeline.Video(timestampMS, event.CTSMillis)
	if err := p.arrived(verdict); err != nil {
		return err
	}
	if event.Key {
		p.keyAt = p.now()
	}
	return p.segments.Unit(media.AccessUnit{Kind: media.Video, DTS: dts, CTS: cts, Key: event.Key, Data: event.Data})
}

func (p *Packager) audio(timestampMS uint32, event demux.Event) error {
	if event.Config != nil {
		p.timeline.SetAudioRate(event.Config.Timescale)
	}
	if err := p.config(event.Config); err != nil {
		return err
	}
	if event.Data == nil {
		return nil
	}
	dts, verdict := p.timeline.Audio(timestampMS)
	if err := p.arrived(verdict); err != nil {
		return err
	}
	if verdict == timeline.Drop {
		p.overlaps++
		return nil
	}
	return p.segments.Unit(media.AccessUnit{Kind: media.Audio, DTS: dts, Key: true, Data: event.Data})
}

func (p *Packager) config(c *media.Config) error {
	if c == nil {
		return nil
	}
	return p.segments.Config(*c)
}

// arrived ties the unit just placed to the wall clock.
func (p *Packager) arrived(verdict timeline.Verdict) error {
	now, ms := p.now(), p.timeline.NowMS()
	changed := false
	if verdict == timeline.Jump {
		if err := p.segments.Break(); err != nil {
			return err
		}
		p.clock.Set(ms, now)
		changed = true
	} else {
		changed = p.clock.Observe(ms, now)
	}
	if changed {
		p.segments.Anchor(p.clock.Anchor())
	}
	return nil
}

// warnBroken says so at the 1st, 10th, 100th … unit.
func (p *Packager) warnBroken() {
	p.broken++
	n := p.broken
	for n%10 == 0 {
		n /= 10
	}
	if n == 1 {
		p.sink.Warn(segment.Warning{Code: segment.WarnBrokenUnits, Text: fmt.Sprintf("%d broken video access units were dropped", p.broken)})
	}
}
