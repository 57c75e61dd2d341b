package cmaf

import (
	"errors"
	"fmt"
	"math"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/roomcast/roomcast/internal/media"
)

// CutFront answers a segment of one fragment without what stands before its
// first access unit that is shown at from (ticks) or later and, where key is
// set, that a decoder can start at. first is when what is left begins to be
// shown: nothing of it is shown before that access unit, pictures that follow
// it and are shown earlier are left out as well. body is a new header and parts
// of segment, to be written one after the other; nil = nothing is left. What
// is not such a segment is an error.
func CutFront(segment []byte, from media.Ticks, key bool) (body [][]byte, first media.Ticks, err error) {
	moof, at, size, err := fragment(segment)
	if err != nil {
		return nil, 0, err
	}
	if int64(len(segment)) != at+size {
		return nil, 0, fmt.Errorf("media to byte %d in a segment of %d", at+size, len(segment))
	}
	trun, base := moof.Traf.Trun, moof.Traf.Tfdt.BaseMediaDecodeTime()
	trun.AddSampleDefaultValues(moof.Traf.Tfhd, nil)
	if sum := trun.SizeOfData(); sum != uint64(size) { //nolint:gosec // not negative
		return nil, 0, fmt.Errorf("access units of %d bytes, and %d bytes of media", sum, size)
	}
	if base > math.MaxInt64/2 {
		return nil, 0, errors.New("a time out of range")
	}
	c := frontCut{from: from, key: key}
	dts, rest := media.Ticks(base), segment[at:]
	for i := range trun.Samples {
		s := &trun.Samples[i]
		if s.CompositionTimeOffset < 0 {
			return nil, 0, errors.New("an access unit is shown before it is decoded")
		}
		c.add(dts, s, rest[:s.Size])
		dts, rest = dts+media.Ticks(s.Dur), rest[s.Size:]
	}
	if len(c.samples) == 0 {
		return nil, 0, nil
	}
	var sequence uint32
	if moof.Mfhd != nil {
		sequence = moof.Mfhd.SequenceNumber
	}
	return append([][]byte{Header(sequence, c.base, c.samples)}, c.pieces...), c.first, nil
}

// frontCut collects what is left.
type frontCut struct {
	from media.Ticks
	key  bool

	base, first media.Ticks // DTS and PTS of the first access unit
	samples     []Sample
	pieces      [][]byte
}

func (c *frontCut) add(dts media.Ticks, s *mp4.Sample, data []byte) {
	pts, sync := dts+media.Ticks(s.CompositionTimeOffset), !mp4.DecodeSampleFlags(s.Flags).SampleIsNonSync
	switch n := len(c.samples); {
	case n > 0 && pts < c.first: // it refers to what is cut off
		last := &c.samples[n-1]
		last.DurationTicks += min(s.Dur, math.MaxUint32-last.DurationTicks)
		return
	case n == 0 && (pts < c.from || c.key && !sync):
		return
	case n == 0:
		c.base, c.first = dts, pts
	}
	c.samples = append(c.samples, Sample{
		DurationTicks: s.Dur, OffsetTicks: uint32(s.CompositionTimeOffset), //nolint:gosec // not negative
		SizeBytes: s.Size, Sync: sync,
	})
	c.pieces = append(c.pieces, data)
}
