package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/manifest"
	"github.com/roomcast/roomcast/internal/media"
)

const (
	// clocklessAfter is how many segments after RecordFrom the recording begins
	// whatever a worker's clock says: they are a second long at least, and a lease
	// is not renewed for 15 s at most.
	clocklessAfter = 16
	// openingReads is how many segments are searched for a key frame: there are
	// several only where key frames are farther apart than segments are long.
	openingReads = 16
	// aside is how far times of one moment may be apart in different tracks.
	aside = 2 * time.Millisecond
)

// errNoKeyFrame: none was found where a recording might begin.
var errNoKeyFrame = errors.New("no key frame after go live")

// opening finds where a post's recording begins: at the first key frame, or
// sound where there are no pictures, from LiveFrom on. Of the segment that has
// it within, the end is cut off, the same by every process that reads the
// recording; one of them keeps it.
type opening struct {
	*Service
	post broadcast.VideoPost
	keep bool
	// anywhere lets the recording begin with any whole segment: there is no key
	// frame where one might begin.
	anywhere bool
	begun    bool
	reads    int
}

// begin answers what the recording has of x while it has not begun; false =
// nothing.
func (o *opening) begin(ctx context.Context, x manifest.IndexSegment) (manifest.IndexSegment, bool, error) {
	live, head := o.post.LiveFrom.Truncate(time.Millisecond), x.Tracks[0] // segments are dated so
	switch after := !x.StartedAt.Before(live) || x.Number >= o.post.RecordFrom+clocklessAfter; {
	case after && (o.anywhere || x.Independent && together(x)):
		return x, true, nil
	case after:
		live = x.StartedAt
	case o.anywhere || !x.StartedAt.Add(head.Duration.Duration(head.Timescale)).After(live):
		return x, false, nil
	}
	if o.reads == openingReads {
		return x, false, errNoKeyFrame
	}
	o.reads++
	from := head.PTS + ceilTicks(live.Sub(x.StartedAt), head.Timescale)
	first, body, err := o.cut(ctx, x, head, from)
	if err != nil || body == nil {
		return x, false, err
	}
	cut := x
	cut.Opening, cut.Independent, cut.Tracks = true, true, []manifest.IndexTrack{first}
	cut.StartedAt = x.StartedAt.Add((first.PTS - head.PTS).Duration(head.Timescale)).Round(time.Millisecond)
	if err := o.save(ctx, cut, first, body); err != nil {
		return x, false, err
	}
	for _, t := range x.Tracks[1:] {
		from, off := first.PTS.Rescale(first.Timescale, t.Timescale), media.Ticks(0)
		if t.Kind == first.Kind {
			off = media.TicksOf(aside, t.Timescale)
		}
		part, body, err := o.cut(ctx, x, t, from-off)
		switch {
		case err != nil:
			return x, false, err
		case body == nil || t.Kind == first.Kind && part.PTS > from+off:
			continue // it has nothing, or is cut otherwise
		case t.Kind == first.Kind:
			part.PTS, part.Duration = first.PTS, first.Duration
		}
		if err := o.save(ctx, cut, part, body); err != nil {
			return x, false, err
		}
		cut.Tracks = append(cut.Tracks, part)
	}
	return cut, true, nil
}

// together reports whether nothing of a segment comes before its pictures. Sound
// does where they are reordered: what arrives with a key frame is heard before
// it is shown.
func together(x manifest.IndexSegment) bool {
	head := x.Tracks[0]
	for _, t := range x.Tracks {
		if t.PTS.Duration(t.Timescale) < head.PTS.Duration(head.Timescale)-aside {
			return false
		}
	}
	return true
}

// cut answers what a track has from the first key frame at from on; no body =
// nothing, or its object is not whole.
func (o *opening) cut(ctx context.Context, x manifest.IndexSegment, t manifest.IndexTrack, from media.Ticks) (manifest.IndexTrack, [][]byte, error) {
	_, name := x.Object(t.Name)
	segment, _, err := o.Objects.Get(ctx, liveFolder(o.post.PlayID)+name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return t, nil, fmt.Errorf("read %s: %w", name, err)
	}
	var body [][]byte
	var first media.Ticks
	if err == nil {
		body, first, err = o.CutFront(segment, from, t.Kind == media.Video)
	}
	if err != nil {
		o.Log.WarnContext(ctx, "a segment is broken: the recording begins after it", "post", o.post.ID, "object", name, "err", err)
		return t, nil, nil
	}
	end := t.PTS + t.Duration
	if first >= end {
		return t, nil, nil
	}
	t.PTS, t.Duration, t.SizeBytes = first, end-first, 0
	for _, b := range body {
		t.SizeBytes += int64(len(b))
	}
	return t, body, nil
}

// save writes a track of the opening, once: its bytes are the same each time.
func (o *opening) save(ctx context.Context, x manifest.IndexSegment, t manifest.IndexTrack, body [][]byte) error {
	if !o.keep {
		return nil
	}
	_, name := x.Object(t.Name)
	opt := PutOptions{ContentType: t.Kind.String() + "/mp4", CacheControl: manifest.Immutable, IfNoneMatch: true}
	_, err := o.Objects.Put(ctx, liveFolder(o.post.PlayID)+name, body, opt)
	if err != nil && !errors.Is(err, ErrConflict) { // it is there
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// ceilTicks is a time of no less than zero in ticks, rounded up.
func ceilTicks(d time.Duration, scale uint32) media.Ticks {
	n := media.TicksOf(d, scale)
	if n.Duration(scale) < d {
		n++
	}
	return n
}
