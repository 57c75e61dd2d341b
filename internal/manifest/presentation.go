// Package manifest is the state of a live presentation and its texts: HLS
// playlists (RFC 8216), the MPD (ISO/IEC 23009-1) and index objects. Pure: no
// clock, no I/O. The record line of v.m3u8 holds the whole state; every text
// is derived from it (docs/adr/0009).
package manifest

import (
	"fmt"
	"slices"
	"time"

	"github.com/roomcast/roomcast/internal/media"
)

// RecordName is the playlist that carries the record. It is written first and
// always, also when nothing but audio is published: one name, one fence.
const RecordName = "v.m3u8"

// Names of the other manifests, relative to the play id's folder.
const (
	MasterName = "master.m3u8"
	MPDName    = "manifest.mpd"
)

// MinSegments is how many segments the window holds at least once there are
// that many: an index object covers IndexSize of them and is written when its
// last one is published, so none leaves before.
const MinSegments = 15

// Presentation is everything that is published of one play id and still in
// its window. Its methods never change it: they answer a new value, so that a
// write that fails leaves the old state whole. Not safe to change concurrently.
type Presentation struct {
	// Epoch and Counter name this version; no two versions are alike.
	Epoch   uint64 `json:"epoch"`
	Counter uint64 `json:"counter"`
	// TargetDuration is EXT-X-TARGETDURATION: whole seconds, never changes.
	TargetDuration time.Duration `json:"targetNs"`
	// Window is how much media the playlists keep at least; timeShiftBufferDepth.
	Window time.Duration `json:"windowNs"`
	// AvailabilityStart is MPD@availabilityStartTime: whole milliseconds UTC,
	// never changes; Published is MPD@publishTime and grows.
	AvailabilityStart time.Time `json:"ast"`
	Published         time.Time `json:"published"`
	// TimeURL answers the time as xs:dateTime (UTCTiming); "" = none.
	TimeURL string `json:"timeUrl,omitempty"`
	// Renditions has every rendition ever published under this play id, with
	// its latest description; video before audio.
	Renditions []Rendition `json:"renditions"`
	// Periods has those with segments in the window, oldest first.
	Periods []Period `json:"periods"`
	// First is the number of Segments[0]: EXT-X-MEDIA-SEQUENCE. Numbers start at 1.
	First    uint64    `json:"first"`
	Segments []Segment `json:"segments"`
	// Indexed is the number of the last segment that an index object covers.
	Indexed uint64 `json:"indexed"`
	// Hidden is a recording without live outputs: there is no manifest but the
	// record, and that names all of its segments as EXT-X-GAP.
	Hidden bool `json:"hidden,omitempty"`
	// Ended is EXT-X-ENDLIST and a static MPD.
	Ended bool `json:"ended,omitempty"`
}

// Rendition is what a master playlist says of one playlist.
type Rendition struct {
	// Name is "v" for the best video, "a" for audio, or a further video
	// rendition's; the playlist is <name>.m3u8.
	Name string `json:"name"`
	// Kind is 1 for video, 2 for audio in the record.
	Kind   media.Kind `json:"kind"`
	Codecs string     `json:"codecs"`
	// BandwidthBPS is bit/s.
	BandwidthBPS int64 `json:"bps"`
	WidthPixels  int   `json:"w,omitempty"`
	HeightPixels int   `json:"h,omitempty"`
	SampleRateHz int   `json:"rate,omitempty"`
	Channels     int   `json:"ch,omitempty"`
}

// Period is a stretch with the same tracks and init segments and without a
// break in time: a DASH Period and the segments between two
// EXT-X-DISCONTINUITY. A rendition that is not among its Tracks is EXT-X-GAP.
type Period struct {
	// Ordinal counts from 0: Period@id and the discontinuity sequence number.
	Ordinal uint64 `json:"ordinal"`
	// Epoch and Run name the folder of its objects, s<epoch>-<run>.
	Epoch uint64 `json:"epoch"`
	Run   int    `json:"run"`
	// First is the number of its first segment, in the window or not.
	First uint64 `json:"first"`
	// Start is Period@start: whole milliseconds after AvailabilityStart.
	Start  time.Duration `json:"startNs"`
	Tracks []Track       `json:"tracks"`
}

// Track is a rendition within a Period.
type Track struct {
	Rendition
	Timescale uint32 `json:"scale"`
	// Origin is presentationTimeOffset: the period's start in this timescale,
	// the same instant for every track.
	Origin media.Ticks `json:"origin"`
}

// Segment is one number of the window.
type Segment struct {
	// Dependent is true after a forced cut: it does not begin with a key frame.
	Dependent bool `json:"dep,omitempty"`
	// Spans has one entry per track of its period, in order.
	Spans []Span `json:"spans"`
}

// Span is one track's part of a Segment: S@t and S@d in ticks, bytes.
type Span struct {
	PTS       media.Ticks `json:"t"`
	Duration  media.Ticks `json:"d"`
	SizeBytes int64       `json:"b"`
}

// Last is the number of the newest segment; 0 = none.
func (p Presentation) Last() uint64 {
	if len(p.Segments) == 0 {
		return 0
	}
	return p.First + uint64(len(p.Segments)) - 1
}

// number is the number of Segments[i].
func (p Presentation) number(i int) uint64 { return p.First + uint64(i) } //nolint:gosec // an index is no less than 0

// period answers the Period that segment n of the window belongs to.
func (p Presentation) period(n uint64) Period {
	for _, d := range slices.Backward(p.Periods) {
		if d.First <= n {
			return d
		}
	}
	return Period{}
}

// Folder is the folder of a run's objects, relative to the play id's.
func Folder(epoch uint64, run int) string { return fmt.Sprintf("s%d-%d", epoch, run) }

// InitName is the key of an init segment, relative to the play id's folder.
func InitName(epoch uint64, run int, track string) string {
	return Folder(epoch, run) + "/" + track + "-init.mp4"
}

// SegmentName is the key of a media segment, relative to the play id's folder.
func SegmentName(epoch uint64, run int, track string, n uint64) string {
	return fmt.Sprintf("%s/%s/%d%s", Folder(epoch, run), track, n, ending(false))
}

// ending is what follows the number in a media segment's name.
func ending(opening bool) string {
	if opening {
		return "-live.m4s"
	}
	return ".m4s"
}

func (d Period) track(name string) int {
	return slices.IndexFunc(d.Tracks, func(t Track) bool { return t.Name == name })
}

// offset is where a span begins, counted from AvailabilityStart.
func (d Period) offset(track int, s Span) time.Duration {
	t := d.Tracks[track]
	return d.Start + duration(s.PTS-t.Origin, t.Timescale)
}

// end is where the last of a segment's tracks ends, from AvailabilityStart.
func (d Period) end(s Segment) time.Duration {
	var end time.Duration
	for i, span := range s.Spans {
		end = max(end, d.offset(i, span)+duration(span.Duration, d.Tracks[i].Timescale))
	}
	return end
}

// End is where the media end, counted from AvailabilityStart.
func (p Presentation) End() time.Duration {
	if len(p.Segments) == 0 {
		return 0
	}
	return p.period(p.Last()).end(p.Segments[len(p.Segments)-1])
}

// duration turns ticks into time, rounded down to a nanosecond; in two steps,
// so that days of 90 000 ticks a second do not overflow.
func duration(t media.Ticks, scale uint32) time.Duration {
	s := int64(scale)
	return time.Duration(int64(t)/s)*time.Second + time.Duration(int64(t)%s*int64(time.Second)/s)
}
