package cmaf

import (
	"math"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"
)

// movieTrack is a track of a movie under way. Times are in its timescale.
type movieTrack struct {
	trak  *mp4.TrakBox
	trex  *mp4.TrexBox
	video bool

	first, last int64 // DTS
	from, until int64 // what is shown first, and the end of what is shown last
	duration    uint32
	durations   runs
	offsets     runs
	signed      bool // an offset is negative
	sizes, keys []uint32
	chunks      []uint64 // from the beginning of the media
	perChunk    runs
}

// runs are values that repeat.
type runs struct {
	counts []uint32
	values []int32
}

func (r *runs) add(v int32) {
	if n := len(r.values); n > 0 && r.values[n-1] == v {
		r.counts[n-1]++
		return
	}
	r.counts, r.values = append(r.counts, 1), append(r.values, v)
}

func (t *movieTrack) chunk(at int64, samples int) {
	t.chunks = append(t.chunks, uint64(at)) //nolint:gosec // not negative
	t.perChunk.add(int32(samples))          //nolint:gosec // those of a segment
}

// add appends an access unit. Decode times rise: one that does not is moved by
// a tick, and its PTS stays. What ends before the next one begins lasts until
// then.
func (t *movieTrack) add(dts, pts int64, s mp4.Sample) {
	if len(t.sizes) == 0 {
		t.first, t.from = dts, pts
	} else {
		dts = min(max(dts, t.last+1), t.last+math.MaxInt32)
		t.durations.add(int32(dts - t.last)) //nolint:gosec // bounded above
	}
	t.last, t.duration = dts, s.Dur
	t.from, t.until = min(t.from, pts), max(t.until, pts+int64(s.Dur))
	t.offsets.add(int32(min(max(pts-dts, math.MinInt32), math.MaxInt32)))
	t.signed = t.signed || pts < dts
	t.sizes = append(t.sizes, s.Size)
	if t.video && !mp4.DecodeSampleFlags(s.Flags).SampleIsNonSync {
		t.keys = append(t.keys, uint32(len(t.sizes))) //nolint:gosec // fewer than 2³²
	}
}

// since is a time of the track as a duration.
func (t *movieTrack) since(ticks int64) time.Duration {
	scale := int64(t.trak.Mdia.Mdhd.Timescale)
	return time.Duration(ticks/scale)*time.Second + time.Duration(ticks%scale*int64(time.Second)/scale)
}

// ceil is d in units of a scale, rounded up: what ends with an edit is shown.
func ceil(d time.Duration, scale int64) uint64 {
	whole := int64(d/time.Second)*scale + (int64(d%time.Second)*scale+int64(time.Second)-1)/int64(time.Second)
	return uint64(max(whole, 0))
}

// finish gives the track's box its tables (ISO/IEC 14496-12, 8.6 and 8.7) but
// for the place of the media, and an edit list that begins at origin.
func (t *movieTrack) finish(id uint32, origin time.Duration) {
	t.durations.add(int32(min(t.duration, math.MaxInt32)))
	tables := t.trak.Mdia.Minf.Stbl
	stbl := mp4.NewStblBox()
	stbl.AddChild(tables.Stsd)
	stbl.AddChild(&mp4.SttsBox{SampleCount: t.durations.counts, SampleTimeDelta: unsigned(t.durations.values)})
	if len(t.offsets.values) > 1 || t.offsets.values[0] != 0 {
		ctts := &mp4.CttsBox{EndSampleNr: make([]uint32, 1, len(t.offsets.counts)+1), SampleOffset: t.offsets.values}
		if t.signed {
			ctts.Version = 1
		}
		for i, n := range t.offsets.counts {
			ctts.EndSampleNr = append(ctts.EndSampleNr, ctts.EndSampleNr[i]+n)
		}
		stbl.AddChild(ctts)
	}
	if t.video && len(t.keys) < len(t.sizes) {
		stbl.AddChild(&mp4.StssBox{SampleNumber: t.keys})
	}
	stsc := &mp4.StscBox{}
	stsc.SetSingleSampleDescriptionID(1)
	chunk, sample := uint32(1), uint32(1)
	for i, n := range t.perChunk.counts {
		per := uint32(t.perChunk.values[i]) //nolint:gosec // the samples of a segment
		stsc.Entries = append(stsc.Entries, mp4.StscEntry{FirstChunk: chunk, SamplesPerChunk: per, FirstSampleNr: sample})
		chunk, sample = chunk+n, sample+n*per
	}
	stbl.AddChild(stsc)
	stbl.AddChild(&mp4.StszBox{SampleNumber: uint32(len(t.sizes)), SampleSize: t.sizes}) //nolint:gosec // fewer than 2³²
	stbl.AddChild(&mp4.Co64Box{ChunkOffset: t.chunks})
	minf := t.trak.Mdia.Minf
	for i, child := range minf.Children {
		if child == mp4.Box(tables) {
			minf.Children[i] = stbl
		}
	}
	minf.Stbl = stbl

	mdhd := t.trak.Mdia.Mdhd
	mdhd.Version, mdhd.Duration = 1, uint64(t.last-t.first)+uint64(t.duration) //nolint:gosec // not negative
	edits, length := t.edits(origin)
	tkhd := t.trak.Tkhd
	tkhd.Version, tkhd.Flags, tkhd.TrackID, tkhd.Duration = 1, 7, id, length
	children := []mp4.Box{tkhd, edits}
	for _, child := range t.trak.Children {
		if kind := child.Type(); kind != "tkhd" && kind != "edts" {
			children = append(children, child)
		}
	}
	t.trak.Edts, t.trak.Children = edits, children
}

// edits shows the track from origin on, and how long in all. A track that is
// shown later waits in an edit of its own: players take the first picture for
// the beginning of an edit, wherever in it the picture lies.
func (t *movieTrack) edits(origin time.Duration) (*mp4.EdtsBox, uint64) {
	list := &mp4.ElstBox{Version: 1}
	begin := max(t.from, ticksOf(origin, t.trak.Mdia.Mdhd.Timescale))
	wait := ceil(t.since(begin)-origin, movieScale)
	if wait > 0 {
		list.Entries = append(list.Entries, mp4.ElstEntry{SegmentDuration: wait, MediaTime: -1, MediaRateInteger: 1})
	}
	shown := ceil(t.since(t.until-begin), movieScale)
	list.Entries = append(list.Entries, mp4.ElstEntry{SegmentDuration: shown, MediaTime: begin - t.first, MediaRateInteger: 1})
	box := &mp4.EdtsBox{}
	box.AddChild(list)
	return box, wait + shown
}

func ticksOf(d time.Duration, scale uint32) int64 {
	return int64(d/time.Second)*int64(scale) + int64(d%time.Second)*int64(scale)/int64(time.Second)
}

func unsigned(list []int32) []uint32 {
	out := make([]uint32, len(list))
	for i, v := range list {
		out[i] = uint32(v) //nolint:gosec // durations
	}
	return out
}
