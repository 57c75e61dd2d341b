// Package boxes makes small init and media segments for tests of what handles
// segments without looking into them. Their samples are counters, not pictures.
package boxes

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/roomcast/roomcast/internal/media"
)

// Init is an init segment (ftyp + moov) of a track of that kind.
func Init(kind media.Kind, timescale uint32) ([]byte, error) {
	init := mp4.CreateEmptyInit()
	trak := init.AddEmptyTrack(timescale, kind.String(), "und")
	if kind == media.Video {
		avcc, err := mp4.CreateAvcC([][]byte{sps()}, [][]byte{{0x68, 0xee, 0x3c, 0x80}}, true)
		if err != nil {
			return nil, fmt.Errorf("make an init segment: %w", err)
		}
		trak.Mdia.Minf.Stbl.Stsd.AddChild(mp4.CreateVisualSampleEntryBox("avc1", 320, 240, avcc))
	} else if err := trak.SetAACDescriptor(2, int(timescale)); err != nil {
		return nil, fmt.Errorf("make an init segment: %w", err)
	} else {
		trak.Mdia.Minf.Stbl.Stsd.Mp4a.Esds.EsID = 0 // ISO/IEC 14496-14, 3.1.2
	}
	var b bytes.Buffer
	if err := init.Encode(&b); err != nil {
		return nil, fmt.Errorf("make an init segment: %w", err)
	}
	return b.Bytes(), nil
}

// sps is a baseline sequence parameter set of 320x240.
func sps() []byte {
	return []byte{0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x01, 0x41, 0xfb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xf1, 0x62, 0xe4, 0x80}
}

// Segment is styp + moof + mdat of count samples of dur ticks from the decode
// time tfdt on. Every picture is shown cts later than decoded; the first one
// is a key frame, and every audio frame.
func Segment(kind media.Kind, tfdt media.Ticks, count int, dur, cts uint32) ([]byte, error) {
	seg := mp4.NewMediaSegment()
	frag, err := mp4.CreateFragment(1, 1)
	if err != nil {
		return nil, fmt.Errorf("make a segment: %w", err)
	}
	seg.AddFragment(frag)
	for i := range count {
		flags := mp4.NonSyncSampleFlags
		if i == 0 || kind == media.Audio {
			flags = mp4.SyncSampleFlags
		}
		data := binary.BigEndian.AppendUint64(nil, uint64(tfdt)+uint64(i)*uint64(dur)) //nolint:gosec // test times are positive
		frag.AddFullSample(mp4.FullSample{
			Sample:     mp4.Sample{Flags: flags, Dur: dur, Size: uint32(len(data)), CompositionTimeOffset: int32(cts)}, //nolint:gosec // small
			DecodeTime: uint64(tfdt) + uint64(i)*uint64(dur),                                                           //nolint:gosec // test times are positive
			Data:       data,
		})
	}
	frag.Moof.Traf.Trun.Version = 0
	var b bytes.Buffer
	if err := seg.Encode(&b); err != nil {
		return nil, fmt.Errorf("make a segment: %w", err)
	}
	return b.Bytes(), nil
}
