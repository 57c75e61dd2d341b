package transcode

import (
	"errors"
	"fmt"
	"slices"

	"github.com/roomcast/roomcast/internal/cmaf"
	"github.com/roomcast/roomcast/internal/media"
	"github.com/roomcast/roomcast/workers/ingest/segment"
)

// rounding is how far a picture's time may be off by its way through FLV,
// which counts milliseconds.
const rounding = media.VideoTimescale / 1000

// errWait: the child has not made all of it yet.
var errWait = errors.New("not ready")

// configs answers the renditions' configurations; errWait before all are known.
func (c *child) configs() ([]media.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]media.Config, len(c.outs))
	for i, o := range c.outs {
		switch {
		case o.config == nil && c.broken != nil:
			return nil, c.broken
		case o.config == nil:
			return nil, errWait
		}
		list[i] = *o.config
	}
	return list, nil
}

// take cuts the pictures of a source segment out of every rendition: the same
// ones in each, up to the source's next key frame. first is when the segment's
// first picture is shown. errWait, or why this child is of no use any more.
func (c *child) take(s segment.Segment, first media.Ticks) ([]segment.TrackSegment, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts, end := make([]int, len(c.outs)), media.Ticks(0)
	for i := range c.outs {
		n, until, err := c.outs[i].count(s, c.gone)
		if err != nil && c.broken != nil {
			err = c.broken
		}
		if err != nil {
			return nil, err
		}
		if i > 0 && (n != counts[0] || until != end) {
			return nil, fmt.Errorf("rendition %d has %d pictures up to %d, another %d up to %d", i, n, until, counts[0], end)
		}
		counts[i], end = n, until
	}
	start, opening := c.next, c.outs[0].frames[0]
	if start == 0 {
		start = opening.at
	}
	switch off := opening.at - first; {
	case s.Independent && !opening.key:
		return nil, errors.New("a segment does not begin with a key frame")
	case s.Independent && (off > rounding || off < -rounding):
		return nil, fmt.Errorf("a segment begins %d ticks beside the source's", off)
	case s.Independent && c.next == 0:
		start = first
	}
	c.next = end
	tracks := make([]segment.TrackSegment, len(c.outs))
	for i := range c.outs {
		o := &c.outs[i]
		tracks[i] = pack(o.frames[:counts[i]], start, end)
		o.frames = slices.Clone(o.frames[counts[i]:])
	}
	return tracks, nil
}

// count answers how many of the pictures belong to the source segment s, and
// where that ends. gone says that there will be no more.
func (o *output) count(s segment.Segment, gone bool) (n int, end media.Ticks, err error) {
	n = len(o.frames)
	if s.Until > 0 {
		n = slices.IndexFunc(o.frames, func(f frame) bool { return f.at >= s.Until-rounding/2 })
	}
	switch {
	case n > 0 && n < len(o.frames):
		if end = o.frames[n].at; end-s.Until <= rounding {
			end = s.Until
		}
		return n, end, nil
	case !gone:
		return 0, 0, errWait
	case len(o.frames) == 0 || n == 0:
		return 0, 0, errors.New("a segment has no picture")
	}
	n = len(o.frames)
	last := o.frames[n-1].at
	end = last + 1
	if t := s.Tracks[0]; t.EarliestPTS+t.Duration > end {
		end = t.EarliestPTS + t.Duration
	}
	return n, end, nil
}

// pack makes a media segment of pictures shown from start to end.
func pack(frames []frame, start, end media.Ticks) segment.TrackSegment {
	out := segment.TrackSegment{EarliestPTS: start, BaseDTS: start, Duration: end - start}
	samples, body := make([]cmaf.Sample, len(frames)), make([][]byte, 1, len(frames)+1)
	at := start
	for i, f := range frames {
		next := end
		if i+1 < len(frames) {
			next = max(frames[i+1].at, at+1)
		}
		next = max(min(next, end), at)
		samples[i] = cmaf.Sample{
			DurationTicks: uint32(next - at), SizeBytes: uint32(len(f.data)), Sync: f.key, //nolint:gosec // a few seconds, a few megabytes
		}
		body = append(body, f.data)
		out.SizeBytes += int64(len(f.data))
		at = next
	}
	body[0] = cmaf.Header(uint32(start/rounding), start, samples) //nolint:gosec // rises within a run; it may wrap
	out.SizeBytes += int64(len(body[0]))
	out.Body = body
	return out
}
