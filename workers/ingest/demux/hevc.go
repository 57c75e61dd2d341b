package demux

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/roomcast/roomcast/internal/media"
)

// parseHEVCRecord reads an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15,
// 8.3.3.1): 21 bytes of profile, tier, level and format, a byte that ends in
// lengthSizeMinusOne(2), then
//
//	numArrays(8) {completeness(1) 0 type(6) numNALs(16) {size(16) NAL}*}*
func parseHEVCRecord(b []byte) (sets paramSets, lengthSize int, err error) {
	sets.codec = media.HEVC
	if len(b) < 23 || b[0] > 1 {
		return sets, 0, fmt.Errorf("%w: HEVC decoder configuration record", ErrMalformed)
	}
	lengthSize = int(b[21]&3) + 1
	arrays, rest := int(b[22]), b[23:]
	for range arrays {
		if len(rest) < 3 {
			return sets, 0, fmt.Errorf("%w: HEVC decoder configuration record is cut short", ErrMalformed)
		}
		t, n := rest[0]&0x3f, int(binary.BigEndian.Uint16(rest[1:]))
		into := &sets
		if !isParamSet(media.HEVC, t) {
			into = nil // SEI and the like may be there and are of no use here
		}
		if rest, err = takeHEVCArray(into, rest[3:], n, t); err != nil {
			return sets, 0, err
		}
	}
	return sets, lengthSize, nil
}

func takeHEVCArray(into *paramSets, b []byte, n int, want uint8) (rest []byte, err error) {
	if into != nil {
		return into.takeNALs(b, n, want)
	}
	for range n {
		if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
			return nil, fmt.Errorf("%w: HEVC decoder configuration record is cut short", ErrMalformed)
		}
		b = b[2+int(binary.BigEndian.Uint16(b)):]
	}
	return b, nil
}

// parseHEVCSPS reads an SPS up to its bit depths (ISO/IEC 23008-2, 7.3.2.2.1).
func parseHEVCSPS(nal []byte) (picture, error) {
	if len(nal) < 3 {
		return picture{}, fmt.Errorf("%w: sequence parameter set is cut short", ErrMalformed)
	}
	r := newBitReader(nal[2:])
	r.skip(4)
	subLayers := int(r.u(3))
	r.skip(1)
	var pic picture
	for i := range pic.profileTierLevel {
		pic.profileTierLevel[i] = byte(r.u(8)) //nolint:gosec // eight bits
	}
	skipHEVCSubLayers(r, subLayers)
	pic.id = r.ue()
	if pic.chroma = r.ue(); pic.chroma == 3 {
		r.skip(1)
	}
	width, height := uint64(r.ue()), uint64(r.ue())
	if r.flag() {
		cropX, cropY := uint64(1), uint64(1)
		if pic.chroma == 1 || pic.chroma == 2 {
			cropX = 2
		}
		if pic.chroma == 1 {
			cropY = 2
		}
		width -= min(width, cropX*(uint64(r.ue())+uint64(r.ue())))
		height -= min(height, cropY*(uint64(r.ue())+uint64(r.ue())))
	}
	pic.width, pic.height = clampSide(width), clampSide(height)
	pic.lumaBitsOver8, pic.chromaOver = r.ue(), r.ue()
	return pic, pic.check(r)
}

// skipHEVCSubLayers passes over the rest of profile_tier_level
// (ISO/IEC 23008-2, 7.3.3).
func skipHEVCSubLayers(r *bitReader, subLayers int) {
	var profile, level [8]bool
	for i := range subLayers {
		profile[i], level[i] = r.flag(), r.flag()
	}
	if subLayers > 0 {
		r.skip(2 * (8 - subLayers))
	}
	for i := range subLayers {
		if profile[i] {
			r.skip(88)
		}
		if level[i] {
			r.skip(8)
		}
	}
}

func (p *paramSets) hevcConfig(received []byte) (media.Config, error) {
	pic, err := parseHEVCSPS(p.of(hevcSPS)[0])
	if err != nil {
		return media.Config{}, err
	}
	record := received
	if record == nil {
		record = p.hevcRecord(&pic)
	}
	return media.Config{
		Kind: media.Video, Codec: media.HEVC, Record: record,
		Codecs:      hevcCodecs(&pic),
		Timescale:   media.VideoTimescale,
		WidthPixels: int(pic.width), HeightPixels: int(pic.height),
	}, nil
}

func (p *paramSets) hevcRecord(pic *picture) []byte {
	b := append([]byte{1}, pic.profileTierLevel[:]...)
	//nolint:gosec // checked in parseHEVCSPS
	b = append(b, 0xf0, 0, 0xfc, 0xfc|byte(pic.chroma), 0xf8|byte(pic.lumaBitsOver8), 0xf8|byte(pic.chromaOver),
		0, 0, 1<<3|3, 3)
	for _, t := range []uint8{hevcVPS, hevcSPS, hevcPPS} {
		nals := p.of(t)
		b = append(b, 0x80|t)
		b = binary.BigEndian.AppendUint16(b, uint16(len(nals))) //nolint:gosec // at most maxSets
		b = appendNALs(b, nals)
	}
	return b
}

// hevcCodecs is the string of ISO/IEC 14496-15, annex E.3.
func hevcCodecs(pic *picture) string {
	ptl := pic.profileTierLevel
	var s strings.Builder
	s.WriteString("hvc1.")
	if space := ptl[0] >> 6; space > 0 {
		s.WriteByte('A' + space - 1)
	}
	tier := byte('L')
	if ptl[0]>>5&1 == 1 {
		tier = 'H'
	}
	fmt.Fprintf(&s, "%d.%X.%c%d", ptl[0]&0x1f, reverse32(binary.BigEndian.Uint32(ptl[1:5])), tier, ptl[11])
	last := 10
	for last >= 5 && ptl[last] == 0 {
		last--
	}
	for _, b := range ptl[5 : last+1] {
		fmt.Fprintf(&s, ".%X", b)
	}
	return s.String()
}
