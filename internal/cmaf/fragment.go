package cmaf

import (
	"encoding/binary"

	"github.com/roomcast/roomcast/internal/media"
)

// Sample describes one access unit inside a fragment.
type Sample struct {
	// DurationTicks and OffsetTicks (PTS - DTS) are in the track's timescale.
	DurationTicks, OffsetTicks uint32
	SizeBytes                  uint32
	// Sync is true where a decoder can start.
	Sync bool
}

// Sizes in bytes of the boxes in front of the media, and of one trun entry.
const (
	stypSize    = 24
	mfhdSize    = 16
	tfhdSize    = 20
	tfdtSize    = 20
	trunSize    = 20
	trunEntry   = 16
	boxHeader   = 8
	flagsSync   = 0x02000000 // sample_depends_on 2
	flagsNoSync = 0x01010000 // sample_depends_on 1, sample_is_non_sync_sample
)

// Header returns styp, moof and the head of mdat for a segment of one
// fragment; the access units follow it unchanged, in the order of samples.
// sequence is the mfhd sequence_number, baseDTS the tfdt (not negative).
//
//	styp(msdh; msdh cmfs)
//	moof
//	  mfhd
//	  traf
//	    tfhd 0x020002  default-base-is-moof, sample_description_index
//	    tfdt version 1
//	    trun version 0, 0x000f01: data offset; duration, size, flags, offset
//	mdat
func Header(sequence uint32, baseDTS media.Ticks, samples []Sample) []byte {
	trun := trunSize + trunEntry*len(samples)
	traf := boxHeader + tfhdSize + tfdtSize + trun
	moof := boxHeader + mfhdSize + traf
	var payload uint32
	for i := range samples {
		payload += samples[i].SizeBytes
	}
	b := make([]byte, 0, stypSize+moof+boxHeader)
	b = box(b, stypSize, "styp")
	b = append(b, "msdh\x00\x00\x00\x00msdhcmfs"...)
	b = box(b, moof, "moof")
	b = fullBox(b, mfhdSize, "mfhd", 0, 0)
	b = binary.BigEndian.AppendUint32(b, sequence)
	b = box(b, traf, "traf")
	b = fullBox(b, tfhdSize, "tfhd", 0, 0x020002)
	b = binary.BigEndian.AppendUint32(b, trackID)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = fullBox(b, tfdtSize, "tfdt", 1, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(baseDTS)) //nolint:gosec // not negative
	b = fullBox(b, trun, "trun", 0, 0x000f01)
	b = binary.BigEndian.AppendUint32(b, uint32(len(samples)))   //nolint:gosec // bounded by the segment
	b = binary.BigEndian.AppendUint32(b, uint32(moof+boxHeader)) //nolint:gosec // bounded by the segment
	for i := range samples {
		b = appendEntry(b, &samples[i])
	}
	return box(b, boxHeader+int(payload), "mdat")
}

func appendEntry(b []byte, s *Sample) []byte {
	flags := uint32(flagsNoSync)
	if s.Sync {
		flags = flagsSync
	}
	b = binary.BigEndian.AppendUint32(b, s.DurationTicks)
	b = binary.BigEndian.AppendUint32(b, s.SizeBytes)
	b = binary.BigEndian.AppendUint32(b, flags)
	return binary.BigEndian.AppendUint32(b, s.OffsetTicks)
}

func box(b []byte, size int, name string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(size)) //nolint:gosec // bounded by the segment
	return append(b, name...)
}

func fullBox(b []byte, size int, name string, version byte, flags uint32) []byte {
	b = box(b, size, name)
	return binary.BigEndian.AppendUint32(b, uint32(version)<<24|flags)
}
