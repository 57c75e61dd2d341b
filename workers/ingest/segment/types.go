// Package segment cuts access units into segments at key frames (docs/cmaf.md).
package segment

import (
	"time"

	"github.com/roomcast/roomcast/internal/media"
)

// Run names an unbroken piece of packaging inside an ingest session. Its
// objects live under s<epoch>-<index>/.
type Run struct {
	Epoch uint64
	Index int
}

// Init opens a run; it comes before the run's first Segment. Tracks holds
// video before audio and never changes within a run.
type Init struct {
	Run    Run
	Tracks []TrackInit
	// TargetDuration is EXT-X-TARGETDURATION as the segmenter decided or was
	// told (1 s to 10 s, whole seconds); constant for a playlist.
	TargetDuration time.Duration
}

// TrackInit is one track's initialization segment.
type TrackInit struct {
	// Name is the rendition: "v" or "a"; a live ladder has more.
	Name   string
	Config media.Config
	// BandwidthBPS is the most that an encoder of ours makes of it; 0 = a
	// publisher's.
	BandwidthBPS int64
	// Body is ftyp + moov, complete.
	Body []byte
}

// Segment is one media segment of every track of its run. It has no number:
// the media sequence number is given where the playlist is known (upload).
type Segment struct {
	Run Run
	// Start is the wall clock of the earliest presentation time of all tracks.
	// Where a track begins later, its EXT-X-PROGRAM-DATE-TIME is later by that.
	// It never falls; a run that takes out the drift of a publisher's fast clock
	// may begin up to that drift before the run before it ended.
	Start time.Time
	// Independent is false only after a forced cut (cmaf.md, trap 9).
	Independent bool
	// Until is the presentation time of the picture that the run's next segment
	// begins with, in video ticks; 0 = the run's last, or no pictures.
	Until media.Ticks
	// Pictures is how many of those told to Options.Picture, oldest first, are
	// in it.
	Pictures int
	// Tracks holds one entry per track of the run's Init, in its order.
	Tracks []TrackSegment
}

// TrackSegment is one track's part of a Segment.
type TrackSegment struct {
	Name string
	// EarliestPTS and Duration are in ticks of the track's timescale; MPD S@t
	// and S@d. Where the next segment is shown before the samples of this one
	// have ended (reordered pictures), Duration reaches up to there, and a segment
	// that does not begin with a key frame follows the one before.
	EarliestPTS, Duration media.Ticks
	// BaseDTS is the tfdt of the (first) fragment.
	BaseDTS media.Ticks
	// Gap marks a track without media in this segment (EXT-X-GAP); Body is empty.
	Gap bool
	// Body is styp + moof + mdat as pieces to be written one after the other;
	// SizeBytes is their sum. The pieces are immutable.
	Body      [][]byte
	SizeBytes int64
}
