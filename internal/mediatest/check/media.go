package check

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/Eyevinn/mp4ff/mp4"
)

// initInfo is what an init segment says.
type initInfo struct{ timescale uint32 }

// segmentInfo is what the boxes of a media segment say, in ticks.
type segmentInfo struct {
	tfdt, earliest, duration int64
	key                      bool // begins with a sync sample
	size                     int64
}

// decode parses a whole file; mp4ff's panics on broken input become errors.
func decode(body []byte) (f *mp4.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the parser panics: %v", r)
		}
	}()
	return mp4.DecodeFile(bytes.NewReader(body))
}

func readInit(body []byte) (initInfo, error) {
	f, err := decode(body)
	if err != nil {
		return initInfo{}, err
	}
	switch {
	case f.Ftyp == nil || f.Moov == nil || len(f.Segments) > 0:
		return initInfo{}, errors.New("not ftyp + moov alone")
	case len(f.Moov.Traks) != 1:
		return initInfo{}, fmt.Errorf("%d tracks in one init segment", len(f.Moov.Traks))
	case f.Moov.Traks[0].Edts != nil:
		return initInfo{}, errors.New("an edit list")
	case f.Moov.Mvex == nil || f.Moov.Mvex.Trex == nil:
		return initInfo{}, errors.New("no mvex/trex")
	}
	t := f.Moov.Traks[0]
	if t.Mdia == nil || t.Mdia.Mdhd == nil || t.Mdia.Mdhd.Timescale == 0 {
		return initInfo{}, errors.New("no timescale")
	}
	if id := esID(t); id != 0 { // ISO/IEC 14496-14, 3.1.2
		return initInfo{}, fmt.Errorf("ES_ID %d in a file", id)
	}
	return initInfo{timescale: t.Mdia.Mdhd.Timescale}, nil
}

func esID(t *mp4.TrakBox) uint16 {
	if t.Mdia.Minf == nil || t.Mdia.Minf.Stbl == nil || t.Mdia.Minf.Stbl.Stsd == nil {
		return 0
	}
	if a := t.Mdia.Minf.Stbl.Stsd.Mp4a; a != nil && a.Esds != nil {
		return a.Esds.EsID
	}
	return 0
}

func readSegment(body []byte) (segmentInfo, error) {
	f, err := decode(body)
	if err != nil {
		return segmentInfo{}, err
	}
	if f.Moov != nil || len(f.Segments) != 1 || f.Segments[0].Styp == nil || len(f.Segments[0].Fragments) == 0 {
		return segmentInfo{}, errors.New("not one segment of styp and fragments")
	}
	info := segmentInfo{size: int64(len(body))}
	end := int64(-1)
	for i, frag := range f.Segments[0].Fragments {
		if frag.Moof == nil || len(frag.Moof.Trafs) != 1 || frag.Mdat == nil {
			return segmentInfo{}, errors.New("a fragment without one traf and its mdat")
		}
		traf := frag.Moof.Traf
		if traf.Tfdt == nil || len(traf.Truns) != 1 || traf.Trun.SampleCount() == 0 {
			return segmentInfo{}, errors.New("a fragment without tfdt or with other than one trun")
		}
		at := int64(traf.Tfdt.BaseMediaDecodeTime()) //nolint:gosec // compared only
		if end >= 0 && at != end {
			return segmentInfo{}, fmt.Errorf("a fragment's tfdt is %d after an end of %d", at, end)
		}
		if err := readRun(&info, frag, at, i == 0); err != nil {
			return segmentInfo{}, err
		}
		end = info.tfdt + info.duration
	}
	return info, nil
}

func readRun(info *segmentInfo, frag *mp4.Fragment, at int64, first bool) error {
	trun := frag.Moof.Traf.Trun
	if trun.Version != 0 {
		return fmt.Errorf("trun version %d (negative composition offsets)", trun.Version)
	}
	if !trun.HasSampleDuration() || !trun.HasSampleSize() {
		return errors.New("samples without a duration or a size")
	}
	if want := int64(frag.Moof.Size()) + 8; int64(trun.DataOffset) != want { //nolint:gosec // small
		return fmt.Errorf("data offset %d, the samples begin at %d", trun.DataOffset, want)
	}
	if trun.SizeOfData() != uint64(len(frag.Mdat.Data)) {
		return fmt.Errorf("samples of %d bytes in an mdat of %d", trun.SizeOfData(), len(frag.Mdat.Data))
	}
	if first {
		info.tfdt, info.earliest = at, 1<<62
		flags := trun.Samples[0].Flags
		if f, ok := trun.FirstSampleFlags(); ok {
			flags = f
		}
		info.key = flags&0x0001_0000 == 0 // sample_is_non_sync_sample
	}
	for _, s := range trun.Samples {
		// Version 0: the offset is unsigned (ISO/IEC 14496-12, 8.8.8).
		cto := int64(uint32(s.CompositionTimeOffset)) //nolint:gosec // the bits as they are
		if cto >= 1<<31 {
			return fmt.Errorf("composition offset %d: a negative one written as unsigned", cto)
		}
		info.earliest = min(info.earliest, at+cto)
		at += int64(s.Dur)
		info.duration += int64(s.Dur)
	}
	return nil
}
