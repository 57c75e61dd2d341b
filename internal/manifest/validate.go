package manifest

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/media"
)

// Bounds of what is believed of a stored record. They are far above what is
// ever written and low enough that no sum overflows.
const (
	maxBodyBytes = 4 << 20
	maxSegments  = 10_000
	maxTracks    = 16
	maxTicks     = media.Ticks(1) << 52
	maxSpan      = 366 * 24 * time.Hour
	maxNumber    = uint64(1) << 53
	maxSizeBytes = int64(1) << 40
)

// validate holds every invariant that the rendering and the next Append rely
// on. What Append makes passes it, and what is read back must.
func (p Presentation) validate() error {
	switch {
	case p.Epoch > maxNumber || p.Counter > maxNumber || p.First < 1 || p.First > maxNumber || p.Indexed > maxNumber:
		return errors.New("a number is out of range")
	case p.TargetDuration < time.Second || p.TargetDuration > time.Minute || p.TargetDuration%time.Second != 0:
		return fmt.Errorf("target duration %v", p.TargetDuration)
	case p.Window < 0 || p.Window > 24*time.Hour:
		return fmt.Errorf("window %v", p.Window)
	case len(p.Segments) == 0 || len(p.Segments) > maxSegments:
		return fmt.Errorf("%d segments", len(p.Segments))
	case len(p.Periods) == 0 || len(p.Periods) > len(p.Segments):
		return fmt.Errorf("%d periods for %d segments", len(p.Periods), len(p.Segments))
	case !sane(p.AvailabilityStart) || !sane(p.Published) || p.AvailabilityStart.Nanosecond()%int(time.Millisecond) != 0:
		return errors.New("a time is out of range")
	case p.Indexed%IndexSize != 0 || p.Indexed > p.Last() || p.First > p.Indexed+1:
		return fmt.Errorf("index up to %d with segments %d to %d", p.Indexed, p.First, p.Last())
	case p.Periods[0].First > p.First || len(p.Renditions) > maxTracks:
		return errors.New("the first segment has no period")
	}
	if len(p.TimeURL) > 2000 {
		return errors.New("time URL too long")
	}
	if _, err := url.Parse(p.TimeURL); err != nil {
		return errors.New("time URL is none")
	}
	if err := p.validateRenditions(); err != nil {
		return err
	}
	if err := p.validatePeriods(); err != nil {
		return err
	}
	for i, s := range p.Segments {
		if err := p.period(p.number(i)).validateSpans(s); err != nil {
			return fmt.Errorf("segment %d: %w", p.number(i), err)
		}
	}
	return nil
}

func sane(t time.Time) bool { return t.Year() >= 1970 && t.Year() < 9000 && t.Location() == time.UTC }

func (p Presentation) validateRenditions() error {
	names := map[string]media.Kind{}
	for _, r := range p.Renditions {
		if err := r.validate(); err != nil {
			return err
		}
		if _, twice := names[r.Name]; twice {
			return fmt.Errorf("rendition %s twice", r.Name)
		}
		names[r.Name] = r.Kind
	}
	for _, d := range p.Periods {
		for _, t := range d.Tracks {
			if names[t.Name] != t.Kind {
				return fmt.Errorf("period %d has a track %s that is no rendition", d.Ordinal, t.Name)
			}
		}
	}
	return nil
}

func (r Rendition) validate() error {
	if r.Name == "" || len(r.Name) > 32 || strings.Trim(r.Name, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return fmt.Errorf("rendition name %q", r.Name)
	}
	if len(r.Codecs) > 64 || strings.ContainsFunc(r.Codecs, func(c rune) bool {
		return c != '.' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	}) {
		return fmt.Errorf("codecs %q", r.Codecs)
	}
	const most = 1 << 20
	if r.Kind != media.Video && r.Kind != media.Audio || r.BandwidthBPS < 0 || r.BandwidthBPS > 1<<50 ||
		min(r.WidthPixels, r.HeightPixels, r.SampleRateHz, r.Channels) < 0 ||
		max(r.WidthPixels, r.HeightPixels, r.SampleRateHz, r.Channels) > most {
		return fmt.Errorf("rendition %s is out of range", r.Name)
	}
	return nil
}

func (p Presentation) validatePeriods() error {
	for i, d := range p.Periods {
		if d.Epoch > maxNumber || d.Run < 0 || d.Ordinal > maxNumber || len(d.Tracks) == 0 || len(d.Tracks) > maxTracks ||
			d.Start < 0 || d.Start > 100*maxSpan || d.Start%time.Millisecond != 0 || d.First > p.Last() || d.First < 1 {
			return fmt.Errorf("period %d is out of range", d.Ordinal)
		}
		for j, t := range d.Tracks {
			if err := t.validate(); err != nil {
				return err
			}
			if j > 0 && (t.Kind < d.Tracks[j-1].Kind || t.Kind == d.Tracks[j-1].Kind && (t.Timescale != d.Tracks[j-1].Timescale || t.Origin != d.Tracks[j-1].Origin)) {
				return fmt.Errorf("period %d: track %s is not cut as %s", d.Ordinal, t.Name, d.Tracks[j-1].Name)
			}
			if t.Timescale < 1000 || t.Timescale > 10_000_000 || t.Origin < 0 || t.Origin > maxTicks || d.track(t.Name) != j {
				return fmt.Errorf("period %d: track %s is out of range", d.Ordinal, t.Name)
			}
		}
		if i == 0 {
			continue
		}
		if b := p.Periods[i-1]; d.Ordinal != b.Ordinal+1 || d.First <= b.First || d.First <= p.First || d.Start < b.Start {
			return fmt.Errorf("period %d does not follow %d", d.Ordinal, b.Ordinal)
		}
	}
	return nil
}

func (d Period) validateSpans(s Segment) error {
	if len(s.Spans) != len(d.Tracks) {
		return fmt.Errorf("%d spans for %d tracks", len(s.Spans), len(d.Tracks))
	}
	for i, span := range s.Spans {
		t := d.Tracks[i]
		if span.PTS < 0 || span.PTS > maxTicks || span.Duration <= 0 || span.Duration > 3600*media.Ticks(t.Timescale) ||
			span.SizeBytes < 0 || span.SizeBytes > maxSizeBytes ||
			int64(span.PTS-t.Origin)/int64(t.Timescale) > int64(maxSpan/time.Second) || span.PTS < t.Origin {
			return fmt.Errorf("%s is out of range", t.Name)
		}
		if i > 0 && t.Kind == d.Tracks[i-1].Kind && (span.PTS != s.Spans[i-1].PTS || span.Duration != s.Spans[i-1].Duration) {
			return fmt.Errorf("%s is not cut as %s", t.Name, d.Tracks[i-1].Name)
		}
	}
	return nil
}
