package demux

import (
	"encoding/binary"
	"fmt"

	"github.com/roomcast/roomcast/internal/media"
)

// parseAVCRecord reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15,
// 5.3.3.1):
//
//	version profile compat level  111111+lengthSizeMinusOne(2)
//	111+numSPS(5) {size(16) SPS}*  numPPS(8) {size(16) PPS}*  [extension]
func parseAVCRecord(b []byte) (sets paramSets, lengthSize int, err error) {
	sets.codec = media.AVC
	if len(b) < 7 || b[0] != 1 {
		return sets, 0, fmt.Errorf("%w: AVC decoder configuration record", ErrMalformed)
	}
	lengthSize = int(b[4]&3) + 1
	numSPS, rest := int(b[5]&0x1f), b[6:]
	if rest, err = sets.takeNALs(rest, numSPS, avcSPS); err != nil {
		return sets, 0, err
	}
	if len(rest) < 1 {
		return sets, 0, fmt.Errorf("%w: AVC decoder configuration record is cut short", ErrMalformed)
	}
	_, err = sets.takeNALs(rest[1:], int(rest[0]), avcPPS)
	return sets, lengthSize, err
}

// takeNALs reads n NAL units with 16-bit sizes, all of type want.
func (p *paramSets) takeNALs(b []byte, n int, want uint8) (rest []byte, err error) {
	for range n {
		if len(b) < 2 {
			return nil, fmt.Errorf("%w: decoder configuration record is cut short", ErrMalformed)
		}
		size := int(binary.BigEndian.Uint16(b))
		if len(b) < 2+size {
			return nil, fmt.Errorf("%w: decoder configuration record is cut short", ErrMalformed)
		}
		nal := b[2 : 2+size]
		b = b[2+size:]
		if size == 0 {
			continue
		}
		if nalType(p.codec, nal[0]) != want {
			return nil, fmt.Errorf("%w: NAL unit type %d where %d belongs", ErrMalformed, nalType(p.codec, nal[0]), want)
		}
		if _, err := p.put(nal); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// parseAVCSPS reads an SPS up to its cropping (ISO/IEC 14496-10, 7.3.2.1.1).
func parseAVCSPS(nal []byte) (picture, error) {
	if len(nal) < 4 {
		return picture{}, fmt.Errorf("%w: sequence parameter set is cut short", ErrMalformed)
	}
	profile := nal[1]
	r := newBitReader(nal[4:])
	pic := picture{id: r.ue(), chroma: 1}
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		readAVCHighFields(r, &pic)
	}
	r.ue() // log2_max_frame_num_minus4
	switch r.ue() {
	case 0:
		r.ue()
	case 1:
		r.skip(1)
		r.se()
		r.se()
		for n := r.ue(); n > 0 && !r.short; n-- {
			r.se()
		}
	}
	r.ue()    // max_num_ref_frames
	r.skip(1) // gaps_in_frame_num_value_allowed_flag
	widthMBs, heightUnits := uint64(r.ue())+1, uint64(r.ue())+1
	frameOnly := r.u(1)
	if frameOnly == 0 {
		r.skip(1)
	}
	r.skip(1) // direct_8x8_inference_flag
	width, height := 16*widthMBs, 16*heightUnits*uint64(2-frameOnly)
	if r.flag() {
		cropX, cropY := uint64(1), uint64(2-frameOnly)
		if pic.chroma == 1 || pic.chroma == 2 {
			cropX = 2
		}
		if pic.chroma == 1 {
			cropY *= 2
		}
		width -= min(width, cropX*(uint64(r.ue())+uint64(r.ue())))
		height -= min(height, cropY*(uint64(r.ue())+uint64(r.ue())))
	}
	pic.width, pic.height = clampSide(width), clampSide(height)
	return pic, pic.check(r)
}

// clampSide keeps an absurd size absurd without overflow.
func clampSide(v uint64) uint32 { return uint32(min(v, maxSidePixels+1)) }

func readAVCHighFields(r *bitReader, pic *picture) {
	if pic.chroma = r.ue(); pic.chroma == 3 {
		r.skip(1)
	}
	pic.lumaBitsOver8, pic.chromaOver = r.ue(), r.ue()
	r.skip(1) // qpprime_y_zero_transform_bypass_flag
	if !r.flag() {
		return
	}
	lists := 8
	if pic.chroma == 3 {
		lists = 12
	}
	for i := range lists {
		if !r.flag() {
			continue
		}
		size := 16
		if i >= 6 {
			size = 64
		}
		last, next := int32(8), int32(8)
		for j := 0; j < size && next != 0 && !r.short; j++ {
			if next = (last + r.se()%256 + 256) % 256; next != 0 {
				last = next
			}
		}
	}
}

func (p *paramSets) avcConfig(received []byte) (media.Config, error) {
	spss, ppss := p.of(avcSPS), p.of(avcPPS)
	pic, err := parseAVCSPS(spss[0])
	if err != nil {
		return media.Config{}, err
	}
	record := received
	if record == nil {
		record = avcRecord(spss, ppss, &pic)
	}
	return media.Config{
		Kind: media.Video, Codec: media.AVC, Record: record,
		Codecs:      fmt.Sprintf("avc1.%02x%02x%02x", spss[0][1], spss[0][2], spss[0][3]),
		Timescale:   media.VideoTimescale,
		WidthPixels: int(pic.width), HeightPixels: int(pic.height),
	}, nil
}

func avcRecord(spss, ppss [][]byte, pic *picture) []byte {
	sps := spss[0]
	b := []byte{1, sps[1], sps[2], sps[3], 0xff, 0xe0 | byte(min(len(spss), 31))}
	b = appendNALs(b, spss[:min(len(spss), 31)])
	b = append(b, byte(len(ppss))) //nolint:gosec // at most maxSets
	b = appendNALs(b, ppss)
	switch sps[1] {
	case 100, 110, 122, 244:
		b = append(b, 0xfc|byte(pic.chroma), 0xf8|byte(pic.lumaBitsOver8), 0xf8|byte(pic.chromaOver), 0) //nolint:gosec // checked
	}
	return b
}

func appendNALs(b []byte, nals [][]byte) []byte {
	for _, nal := range nals {
		b = binary.BigEndian.AppendUint16(b, uint16(len(nal))) //nolint:gosec // at most maxSetBytes
		b = append(b, nal...)
	}
	return b
}
