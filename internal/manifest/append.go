package manifest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/roomcast/roomcast/internal/media"
)

// Addition is one more segment. Tracks has only those with media in it.
type Addition struct {
	Epoch uint64
	Run   int
	// Start is the wall clock of the earliest presentation time. Only the
	// first of a Period counts: within one, time is media time.
	Start     time.Time
	Dependent bool
	// Tracks need no Origin, and no BandwidthBPS where nobody decided it: Append
	// works them out. Video comes before audio; the tracks of a kind have the
	// same timescale and the same times.
	Tracks []Track
	Spans  []Span
}

// Append answers the presentation with one more segment and what has left the
// window taken out. The first segment sets AvailabilityStart; TargetDuration
// and Window must be set before it.
func (p Presentation) Append(a Addition) (Presentation, error) {
	if len(a.Tracks) == 0 || len(a.Tracks) != len(a.Spans) {
		return p, errors.New("append a segment: no track has media")
	}
	p.Segments = slices.Clone(p.Segments)
	p.Periods = slices.Clone(p.Periods)
	p.Renditions = slices.Clone(p.Renditions)
	if len(p.Segments) == 0 {
		p.First = max(p.First, 1)
		p.AvailabilityStart = a.Start.UTC().Truncate(time.Millisecond)
	}
	if len(p.Periods) == 0 || !p.Periods[len(p.Periods)-1].continues(a) {
		p.open(a)
	}
	p.Segments = append(p.Segments, Segment{Dependent: a.Dependent, Spans: slices.Clone(a.Spans)})
	p.slide()
	if err := p.validate(); err != nil {
		return p, fmt.Errorf("append segment %d: %w", p.Last(), err)
	}
	return p, nil
}

func (d Period) continues(a Addition) bool {
	return d.Epoch == a.Epoch && d.Run == a.Run && slices.EqualFunc(d.Tracks, a.Tracks,
		func(x, y Track) bool { return x.Name == y.Name })
}

// open begins a Period at the wall clock, but never before the end of the one
// before (docs/cmaf.md, trap 10).
func (p *Presentation) open(a Addition) {
	d := Period{Epoch: a.Epoch, Run: a.Run, First: max(p.Last()+1, p.First), Tracks: slices.Clone(a.Tracks)}
	d.Start = ceilMS(max(a.Start.Sub(p.AvailabilityStart).Truncate(time.Millisecond), p.End()))
	if n := len(p.Periods); n > 0 {
		d.Ordinal = p.Periods[n-1].Ordinal + 1
	}
	first := 0
	for i := range d.Tracks {
		if duration(a.Spans[i].PTS, d.Tracks[i].Timescale) < duration(a.Spans[first].PTS, d.Tracks[first].Timescale) {
			first = i
		}
	}
	for i := range d.Tracks {
		t := &d.Tracks[i]
		t.Origin = rescale(a.Spans[first].PTS, d.Tracks[first].Timescale, t.Timescale)
		if t.BandwidthBPS == 0 {
			t.BandwidthBPS = bandwidth(a.Spans[i], t.Timescale)
		}
		p.describe(t.Rendition)
	}
	p.Periods = append(p.Periods, d)
}

// describe puts a rendition's latest description in; video stays in front.
func (p *Presentation) describe(r Rendition) {
	i := slices.IndexFunc(p.Renditions, func(o Rendition) bool { return o.Name == r.Name })
	if i >= 0 {
		p.Renditions[i] = r
		return
	}
	p.Renditions = append(p.Renditions, r)
	slices.SortStableFunc(p.Renditions, func(x, y Rendition) int { return int(x.Kind) - int(y.Kind) })
}

// window is how much media the playlists keep at least: a player that stays
// ladderHoldBack target durations behind needs one more.
func (p Presentation) window() time.Duration {
	return max(p.Window, (ladderHoldBack+1)*p.TargetDuration)
}

// slide takes segments out of the front while what stays is long enough and
// an index object covers what goes, then the periods that are left without any.
func (p *Presentation) slide() {
	keep := p.window()
	var total time.Duration
	for i := range p.Segments {
		total += p.length(i)
	}
	for len(p.Segments) > MinSegments && total-p.length(0) >= keep && p.First <= p.Indexed {
		total -= p.length(0)
		p.Segments = p.Segments[1:]
		p.First++
	}
	for len(p.Periods) > 1 && p.Periods[1].First <= p.First {
		p.Periods = p.Periods[1:]
	}
}

// Trim answers the presentation without the segments after last, which is one
// of the window's; their numbers may be given again.
func (p Presentation) Trim(last uint64) Presentation {
	p.Segments = p.Segments[:last+1-p.First]
	p.Periods = slices.DeleteFunc(slices.Clone(p.Periods), func(d Period) bool { return d.First > last })
	return p
}

// length is the duration of the first track of segment i of the window.
func (p Presentation) length(i int) time.Duration {
	d := p.period(p.number(i))
	return duration(p.Segments[i].Spans[0].Duration, d.Tracks[0].Timescale)
}

// bandwidth is the bit rate of a period's first segment with a quarter of
// headroom, rounded up to 10 kbit/s; it stays for the period.
func bandwidth(s Span, scale uint32) int64 {
	if s.Duration <= 0 {
		return 10_000
	}
	bps := s.SizeBytes * 10 * int64(scale) / int64(s.Duration)
	return bps/10_000*10_000 + 10_000
}

// rescale rounds down, so that no track's first sample lies before the period.
func rescale(t media.Ticks, from, to uint32) media.Ticks {
	f, o := int64(from), int64(to)
	return media.Ticks(int64(t)/f*o + int64(t)%f*o/f)
}

func ceilMS(d time.Duration) time.Duration {
	return (d + time.Millisecond - 1).Truncate(time.Millisecond)
}
