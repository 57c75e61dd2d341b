package cmaf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/Eyevinn/mp4ff/bits"
	"github.com/Eyevinn/mp4ff/mp4"
)

// ErrShort says that the head of a segment ends before its media.
var ErrShort = errors.New("the head of the segment is too short")

// movieScale is the timescale of a movie: whole milliseconds.
const movieScale = 1000

// Movie lays segments of one track each into one progressive MP4 with its index
// in front: ftyp, moov, mdat. It sees the heads of segments alone; whoever uses
// it writes Header and then the media of each, in the order of Add. It keeps
// some 12 bytes of each access unit. Not safe for concurrent use.
type Movie struct {
	origin time.Duration
	tracks []*movieTrack
	size   int64 // of the media
}

// NewMovie makes a movie that begins where the times of segments, moved by
// their shift, are origin.
func NewMovie(origin time.Duration) *Movie { return &Movie{origin: origin} }

// AddTrack adds a track by its init segment. Tracks count from 0.
func (m *Movie) AddTrack(init []byte) error {
	f, err := mp4.DecodeFileSR(bits.NewFixedSliceReader(init))
	if err != nil {
		return fmt.Errorf("read an init segment: %w", err)
	}
	if f.Moov == nil || len(f.Moov.Traks) != 1 || f.Moov.Mvex == nil || f.Moov.Mvex.Trex == nil {
		return errors.New("not an init segment of one track")
	}
	trak := f.Moov.Trak
	if trak.Tkhd == nil || trak.Mdia == nil || trak.Mdia.Mdhd == nil || trak.Mdia.Hdlr == nil || trak.Mdia.Mdhd.Timescale == 0 ||
		trak.Mdia.Minf == nil || trak.Mdia.Minf.Stbl == nil || trak.Mdia.Minf.Stbl.Stsd == nil {
		return errors.New("an init segment without a description of its media")
	}
	m.tracks = append(m.tracks, &movieTrack{trak: trak, trex: f.Moov.Mvex.Trex, video: trak.Mdia.Hdlr.HandlerType == "vide"})
	return nil
}

// Add appends a segment of one fragment and total bytes to a track, its times
// moved by shift ticks. head is the segment's beginning, to its media at least,
// else ErrShort. It answers where in the segment the
// media lie. After an error the movie is as before.
func (m *Movie) Add(track int, head []byte, shift, total int64) (from, size int64, err error) {
	t := m.tracks[track]
	moof, from, size, err := fragment(head)
	if err != nil {
		return 0, 0, err
	}
	if from+size > total {
		return 0, 0, fmt.Errorf("media to byte %d in a segment of %d", from+size, total)
	}
	trun := moof.Traf.Trun
	trun.AddSampleDefaultValues(moof.Traf.Tfhd, t.trex)
	if sum := trun.SizeOfData(); sum != uint64(size) || len(trun.Samples) == 0 { //nolint:gosec // not negative
		return 0, 0, fmt.Errorf("%d access units of %d bytes, and %d bytes of media", len(trun.Samples), sum, size)
	}
	base := moof.Traf.Tfdt.BaseMediaDecodeTime()
	if base > math.MaxInt64/2 || int64(base)+shift < 0 {
		return 0, 0, errors.New("a time out of range")
	}
	t.chunk(m.size, len(trun.Samples))
	at := int64(base) + shift
	for _, s := range trun.Samples {
		t.add(at, at+int64(s.CompositionTimeOffset), s)
		at += int64(s.Dur)
	}
	m.size += size
	return from, size, nil
}

// fragment reads the one moof of a segment, and where the media that follow it
// lie.
func fragment(head []byte) (moof *mp4.MoofBox, from, size int64, err error) {
	for at, moofAt := 0, 0; ; {
		if len(head)-at < 8 {
			return nil, 0, 0, ErrShort
		}
		length, header := uint64(binary.BigEndian.Uint32(head[at:])), 8
		if length == 1 && len(head)-at < 16 {
			return nil, 0, 0, ErrShort
		}
		if length == 1 {
			length, header = binary.BigEndian.Uint64(head[at+8:]), 16
		}
		if length < uint64(header) || length > math.MaxInt32 {
			return nil, 0, 0, fmt.Errorf("a box of %d bytes", length)
		}
		switch kind := string(head[at+4 : at+8]); {
		case kind == "mdat" && moof == nil:
			return nil, 0, 0, errors.New("media without a moof")
		case kind == "mdat":
			if want := at + header - moofAt; int(moof.Traf.Trun.DataOffset) != want {
				return nil, 0, 0, fmt.Errorf("media at %d of the moof, not at %d", moof.Traf.Trun.DataOffset, want)
			}
			return moof, int64(at + header), int64(length) - int64(header), nil
		case uint64(len(head)-at) < length:
			return nil, 0, 0, ErrShort
		case kind == "moof" && moof != nil:
			return nil, 0, 0, errors.New("a moof without media")
		case kind == "moof":
			if moof, err = decodeMoof(head[at : at+int(length)]); err != nil {
				return nil, 0, 0, err
			}
			moofAt = at
		}
		at += int(length)
	}
}

func decodeMoof(b []byte) (*mp4.MoofBox, error) {
	box, err := mp4.DecodeBoxSR(0, bits.NewFixedSliceReader(b))
	if err != nil {
		return nil, fmt.Errorf("read a moof: %w", err)
	}
	moof, ok := box.(*mp4.MoofBox)
	if !ok || len(moof.Trafs) != 1 || moof.Traf.Tfhd == nil || moof.Traf.Tfdt == nil || len(moof.Traf.Truns) != 1 || moof.Traf.Trun == nil {
		return nil, errors.New("not a moof of one track and one run")
	}
	if moof.Traf.Tfhd.HasBaseDataOffset() || !moof.Traf.Trun.HasDataOffset() {
		return nil, errors.New("a moof whose media lie elsewhere")
	}
	return moof, nil
}

// Duration is how long the movie plays.
func (m *Movie) Duration() (d time.Duration) {
	for _, t := range m.tracks {
		if len(t.sizes) > 0 {
			d = max(d, t.since(t.until)-m.origin)
		}
	}
	return d
}

// Header answers what stands in front of the media. It ends the movie.
func (m *Movie) Header() ([]byte, error) {
	moov := mp4.NewMoovBox()
	mvhd := mp4.CreateMvhd()
	mvhd.Timescale, mvhd.Duration, mvhd.Version = movieScale, ceil(m.Duration(), movieScale), 1
	moov.AddChild(mvhd)
	for _, t := range m.tracks {
		if len(t.sizes) == 0 {
			continue
		}
		mvhd.NextTrackID = uint32(len(moov.Traks)) + 2 //nolint:gosec // a few tracks
		t.finish(mvhd.NextTrackID-1, m.origin)
		moov.AddChild(t.trak)
	}
	ftyp := mp4.NewFtyp("isom", 0x200, []string{"isom", "iso2", "mp41"})
	const mdat = 16
	size := ftyp.Size() + moov.Size() + mdat
	for _, trak := range moov.Traks {
		for i := range trak.Mdia.Minf.Stbl.Co64.ChunkOffset {
			trak.Mdia.Minf.Stbl.Co64.ChunkOffset[i] += size
		}
	}
	out := bits.NewFixedSliceWriter(int(size)) //nolint:gosec // it is in memory
	if err := errors.Join(ftyp.EncodeSW(out), moov.EncodeSW(out)); err != nil {
		return nil, fmt.Errorf("encode the index of a movie: %w", err)
	}
	out.WriteUint32(1) // the length follows, in 64 bits
	out.WriteString("mdat", false)
	out.WriteUint64(uint64(m.size) + mdat) //nolint:gosec // not negative
	return out.Bytes(), out.AccError()
}
