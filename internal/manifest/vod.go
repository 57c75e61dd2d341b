package manifest

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Recording makes the static playlists and the static MPD of a recording over
// its live segments, added one after the other: about 150 bytes are kept of
// each. Interruptions take no time in it: every Period begins where the one
// before ends, so that its duration is that of the media. Not safe for
// concurrent use.
type Recording struct {
	base       string
	renditions []Rendition // with the peak bit rate
	periods    []vodPeriod
	segments   []vodSegment
	spans      []Span // of all segments, one after the other
}

// vodPeriod is a stretch of one run with the same tracks and without a hole in
// its numbers. An Opening is one by itself, as its name fits no other's
// template.
type vodPeriod struct {
	Period
	live    uint64 // its discontinuity sequence number in the live playlists
	first   int    // index of its first segment
	opening bool
	// seamless: media time goes on from the period before, which is the opening.
	seamless bool
}

type vodSegment struct {
	number    uint64
	startedAt int64 // Unix time in milliseconds
	span      int   // index of its first span
	dependent bool
}

// NewRecording begins one whose segments lie under base, relative to the
// folder of its own files, with a slash at the end: "../../live/<playId>/".
func NewRecording(base string) *Recording { return &Recording{base: base} }

// Len is the number of segments.
func (r *Recording) Len() int { return len(r.segments) }

// Duration is that of the media, in whole milliseconds rounded up.
func (r *Recording) Duration() time.Duration {
	if len(r.segments) == 0 {
		return 0
	}
	return ceilMS(r.end())
}

// Add appends a segment; numbers rise. What is missing between two of them is
// left out.
func (r *Recording) Add(s IndexSegment) error {
	if err := s.validate(); err != nil {
		return fmt.Errorf("add segment %d: %w", s.Number, err)
	}
	n := len(r.segments)
	if n > 0 && s.Number <= r.segments[n-1].number {
		return fmt.Errorf("add segment %d after %d", s.Number, r.segments[n-1].number)
	}
	if n == 0 || !r.continues(s) {
		if err := r.open(s); err != nil {
			return fmt.Errorf("add segment %d: %w", s.Number, err)
		}
	}
	r.segments = append(r.segments, vodSegment{
		number: s.Number, startedAt: s.StartedAt.UnixMilli(), span: len(r.spans), dependent: !s.Independent,
	})
	for _, t := range s.Tracks {
		span := Span{PTS: t.PTS, Duration: t.Duration, SizeBytes: t.SizeBytes}
		r.spans = append(r.spans, span)
		r.describe(t.rendition(), span, t.Timescale)
	}
	return nil
}

func (r *Recording) continues(s IndexSegment) bool {
	d := r.periods[len(r.periods)-1]
	return r.follows(s) && !d.opening && !s.Opening &&
		slices.EqualFunc(d.Tracks, s.Tracks, func(x Track, y IndexTrack) bool {
			return x.Name == y.Name && x.Timescale == y.Timescale && x.Origin <= y.PTS
		})
}

// follows reports whether s is the live segment after the last one.
func (r *Recording) follows(s IndexSegment) bool {
	d, last := r.periods[len(r.periods)-1], r.segments[len(r.segments)-1]
	return s.Number == last.number+1 && s.Period == d.live && s.Run == Folder(d.Epoch, d.Run)
}

// open begins a Period where the one before ends.
func (r *Recording) open(s IndexSegment) error {
	epoch, run, err := s.folder()
	if err != nil {
		return err
	}
	d := vodPeriod{live: s.Period, first: len(r.segments), opening: s.Opening}
	d.Ordinal, d.Epoch, d.Run, d.First = uint64(len(r.periods)), epoch, run, s.Number
	if d.first > 0 {
		d.Start = ceilMS(r.end())
		d.seamless = r.periods[len(r.periods)-1].opening && r.follows(s)
	}
	earliest := s.Tracks[0]
	for _, t := range s.Tracks {
		if duration(t.PTS, t.Timescale) < duration(earliest.PTS, earliest.Timescale) {
			earliest = t
		}
	}
	for _, t := range s.Tracks {
		d.Tracks = append(d.Tracks, Track{
			Rendition: t.rendition(), Timescale: t.Timescale, Origin: rescale(earliest.PTS, earliest.Timescale, t.Timescale),
		})
	}
	r.periods = append(r.periods, d)
	return nil
}

// describe keeps a rendition's largest picture and its peak bit rate (RFC
// 8216, 4.3.4.2: BANDWIDTH, for which segments of less than half the target
// duration do not count by themselves); video stays in front.
func (r *Recording) describe(t Rendition, s Span, scale uint32) {
	t.BandwidthBPS = s.SizeBytes * 8 * int64(scale) / max(int64(s.Duration), int64(scale))
	i := slices.IndexFunc(r.renditions, func(o Rendition) bool { return o.Name == t.Name })
	if i < 0 {
		r.renditions = append(r.renditions, t)
		slices.SortStableFunc(r.renditions, func(x, y Rendition) int { return int(x.Kind) - int(y.Kind) })
		return
	}
	o := &r.renditions[i]
	o.BandwidthBPS = max(o.BandwidthBPS, t.BandwidthBPS)
	if t.WidthPixels*t.HeightPixels > o.WidthPixels*o.HeightPixels {
		o.WidthPixels, o.HeightPixels, o.Codecs = t.WidthPixels, t.HeightPixels, t.Codecs
	}
}

// end is where the last period's media end. Segments follow one another, so
// that the last one is enough.
func (r *Recording) end() time.Duration {
	d := r.periods[len(r.periods)-1]
	return d.end(Segment{Spans: r.of(len(r.segments)-1, d)})
}

// of answers the spans of segment i, which lies in d.
func (r *Recording) of(i int, d vodPeriod) []Span {
	s := r.segments[i].span
	return r.spans[s : s+len(d.Tracks)]
}

// Files renders everything in the order in which it should be written. A
// recording without segments has none: an error.
func (r *Recording) Files() ([]File, error) {
	if len(r.segments) == 0 {
		return nil, errors.New("a recording without segments")
	}
	var files []File
	for _, t := range r.renditions {
		files = append(files, File{PlaylistName(t.Name), PlaylistType, r.playlist(t.Name)})
	}
	p := Presentation{Renditions: r.renditions}
	return append(files, File{MPDName, MPDType, r.mpd()}, File{MasterName, PlaylistType, p.Master()}), nil
}

// each calls f for every segment in order.
func (r *Recording) each(f func(i int, d vodPeriod)) {
	for n, d := range r.periods {
		until := len(r.segments)
		if n+1 < len(r.periods) {
			until = r.periods[n+1].first
		}
		for i := d.first; i < until; i++ {
			f(i, d)
		}
	}
}

// longest is the longest segment of any track.
func (r *Recording) longest() (longest time.Duration) {
	r.each(func(i int, d vodPeriod) {
		for j, s := range r.of(i, d) {
			longest = max(longest, duration(s.Duration, d.Tracks[j].Timescale))
		}
	})
	return longest
}
