package manifest

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/media"
)

// IndexSize is how many segments one index object covers.
const IndexSize = 10

// IndexName is the key of the index object that covers segment n, relative to
// the play id's folder: index/1.json covers 1 to 10, index/11.json 11 to 20.
func IndexName(n uint64) string {
	return fmt.Sprintf("index/%d.json", (n-1)/IndexSize*IndexSize+1)
}

// Index is an index object: what a recording must know of segments that have
// left the playlists, without opening or listing anything.
type Index struct {
	Version  int            `json:"version"`
	First    uint64         `json:"first"`
	Segments []IndexSegment `json:"segments"`
}

// IndexSegment is one segment of an Index.
type IndexSegment struct {
	Number uint64 `json:"number"`
	// Run is the folder, s<epoch>-<run>; Period the discontinuity sequence number.
	Run    string `json:"run"`
	Period uint64 `json:"period"`
	// StartedAt is EXT-X-PROGRAM-DATE-TIME of the first track.
	StartedAt   time.Time    `json:"startedAt"`
	Independent bool         `json:"independent"`
	Tracks      []IndexTrack `json:"tracks"`
	// Opening is set on a recording's first segment where it is the end of a live
	// one: its objects have names of their own, and no index object has it.
	Opening bool `json:"-"`
}

// IndexTrack is one track of an IndexSegment; times are in ticks.
type IndexTrack struct {
	Name string `json:"name"`
	// Kind is 0 in objects of an early form: the codecs tell it.
	Kind         media.Kind  `json:"kind,omitempty"`
	Codecs       string      `json:"codecs"`
	WidthPixels  int         `json:"w,omitempty"`
	HeightPixels int         `json:"h,omitempty"`
	SampleRateHz int         `json:"rate,omitempty"`
	Channels     int         `json:"ch,omitempty"`
	Timescale    uint32      `json:"timescale"`
	PTS          media.Ticks `json:"pts"`
	Duration     media.Ticks `json:"duration"`
	SizeBytes    int64       `json:"sizeBytes"`
}

// IndexDue says whether the next index object can be written: all of its
// segments are published.
func (p Presentation) IndexDue() bool {
	return len(p.Segments) > 0 && p.Last() >= p.Indexed+IndexSize && p.Indexed+1 >= p.First
}

// NextIndex is the index object after Indexed, and the presentation with it
// marked as written. Call it only when IndexDue. The same segments give the
// same bytes, whoever writes them.
func (p Presentation) NextIndex() (name string, body []byte, next Presentation) {
	x := Index{Version: 1, First: p.Indexed + 1}
	for n := x.First; n < x.First+IndexSize; n++ {
		x.Segments = append(x.Segments, p.IndexOf(n))
	}
	body, err := json.Marshal(x)
	if err != nil {
		panic("manifest: encode an index: " + err.Error()) //nolint:forbidigo // a field that JSON cannot hold would be this program's bug
	}
	next = p
	next.Indexed += IndexSize
	return IndexName(x.First), append(body, '\n'), next
}

// IndexOf is what an index object says of segment n of the window: so a
// recording reads index objects and the live tail alike.
func (p Presentation) IndexOf(n uint64) IndexSegment {
	d, s := p.period(n), p.Segments[n-p.First]
	x := IndexSegment{
		Number: n, Run: Folder(d.Epoch, d.Run), Period: d.Ordinal, Independent: !s.Dependent,
		StartedAt: p.AvailabilityStart.Add(d.offset(0, s.Spans[0])).Round(time.Millisecond),
	}
	for i, t := range d.Tracks {
		x.Tracks = append(x.Tracks, IndexTrack{
			Name: t.Name, Kind: t.Kind, Codecs: t.Codecs, WidthPixels: t.WidthPixels, HeightPixels: t.HeightPixels,
			SampleRateHz: t.SampleRateHz, Channels: t.Channels, Timescale: t.Timescale,
			PTS: s.Spans[i].PTS, Duration: s.Spans[i].Duration, SizeBytes: s.Spans[i].SizeBytes,
		})
	}
	return x
}
