package demux

import (
	"bytes"
	"fmt"

	"github.com/roomcast/roomcast/internal/media"
)

// NAL unit types (ISO/IEC 14496-10, table 7-1; ISO/IEC 23008-2, table 7-1).
const (
	avcIDR  = 5
	avcSPS  = 7
	avcPPS  = 8
	hevcVPS = 32
	hevcSPS = 33
	hevcPPS = 34
)

// Limits on what a parameter set may say or weigh.
const (
	maxSetBytes   = 8 << 10
	maxSets       = 64
	maxSidePixels = 16_384
)

// paramSet is one VPS, SPS or PPS.
type paramSet struct {
	nalType uint8
	id      uint32
	nal     []byte
}

// paramSets is what a decoder knows before a picture, in the order received.
type paramSets struct {
	codec media.Codec
	sets  []paramSet
}

// picture is what the configuration needs to know from an SPS.
type picture struct {
	id                        uint32
	width, height             uint32
	chroma                    uint32
	lumaBitsOver8, chromaOver uint32
	profileTierLevel          [12]byte // HEVC only
}

func (p *picture) check(r *bitReader) error {
	switch {
	case r.short:
		return fmt.Errorf("%w: sequence parameter set is cut short", ErrMalformed)
	case p.width == 0 || p.height == 0 || p.width > maxSidePixels || p.height > maxSidePixels:
		return fmt.Errorf("%w: picture of %d × %d pixels", ErrMalformed, p.width, p.height)
	case p.chroma > 3 || p.lumaBitsOver8 > 8 || p.chromaOver > 8:
		return fmt.Errorf("%w: sequence parameter set", ErrMalformed)
	}
	return nil
}

func nalType(codec media.Codec, first byte) uint8 {
	if codec == media.HEVC {
		return first >> 1 & 0x3f
	}
	return first & 0x1f
}

func isParamSet(codec media.Codec, t uint8) bool {
	if codec == media.HEVC {
		return t >= hevcVPS && t <= hevcPPS
	}
	return t == avcSPS || t == avcPPS
}

// isVCL tells a coded slice from everything else.
func isVCL(codec media.Codec, t uint8) bool {
	if codec == media.HEVC {
		return t < hevcVPS
	}
	return t >= 1 && t <= avcIDR
}

// isKey is true for a slice of an IDR picture, or of an IRAP picture in HEVC.
func isKey(codec media.Codec, t uint8) bool {
	if codec == media.HEVC {
		return t >= 16 && t <= 23
	}
	return t == avcIDR
}

// put takes a parameter set in, in the place of one with its type and id.
// changed is false when the very same bytes were known.
func (p *paramSets) put(nal []byte) (changed bool, err error) {
	if len(nal) < 3 || len(nal) > maxSetBytes {
		return false, fmt.Errorf("%w: parameter set of %d bytes", ErrMalformed, len(nal))
	}
	t := nalType(p.codec, nal[0])
	for i := range p.sets {
		if p.sets[i].nalType == t && bytes.Equal(p.sets[i].nal, nal) {
			return false, nil
		}
	}
	id, err := setID(p.codec, t, nal)
	if err != nil {
		return false, err
	}
	set := paramSet{nalType: t, id: id, nal: bytes.Clone(nal)}
	for i := range p.sets {
		if p.sets[i].nalType == t && p.sets[i].id == id {
			p.sets[i] = set
			return true, nil
		}
	}
	if len(p.sets) == maxSets {
		return false, fmt.Errorf("%w: more than %d parameter sets", ErrMalformed, maxSets)
	}
	p.sets = append(p.sets, set)
	return true, nil
}

func setID(codec media.Codec, t uint8, nal []byte) (uint32, error) {
	switch {
	case codec == media.HEVC && t == hevcVPS:
		return uint32(nal[2] >> 4), nil
	case codec == media.HEVC && t == hevcSPS:
		pic, err := parseHEVCSPS(nal)
		return pic.id, err
	case codec == media.HEVC:
		return newBitReader(nal[2:min(len(nal), 16)]).ue(), nil
	case t == avcSPS:
		pic, err := parseAVCSPS(nal)
		return pic.id, err
	}
	return newBitReader(nal[1:min(len(nal), 16)]).ue(), nil
}

// of lists the sets of one type.
func (p *paramSets) of(t uint8) [][]byte {
	var nals [][]byte
	for i := range p.sets {
		if p.sets[i].nalType == t {
			nals = append(nals, p.sets[i].nal)
		}
	}
	return nals
}

// same tells whether two lists hold the same sets, in any order.
func (p *paramSets) same(q *paramSets) bool {
	if p.codec != q.codec || len(p.sets) != len(q.sets) {
		return false
	}
	for i := range p.sets {
		found := false
		for j := range q.sets {
			found = found || bytes.Equal(p.sets[i].nal, q.sets[j].nal)
		}
		if !found {
			return false
		}
	}
	return true
}

// clone copies the list, not the immutable bytes.
func (p *paramSets) clone() paramSets {
	return paramSets{codec: p.codec, sets: append([]paramSet(nil), p.sets...)}
}

// complete tells whether a decoder could start with these sets.
func (p *paramSets) complete() bool {
	if p.codec == media.HEVC {
		return len(p.of(hevcVPS)) > 0 && len(p.of(hevcSPS)) > 0 && len(p.of(hevcPPS)) > 0
	}
	return len(p.of(avcSPS)) > 0 && len(p.of(avcPPS)) > 0
}

// config makes a configuration whose record is received, or, when that is
// nil, one made from the sets.
func (p *paramSets) config(received []byte) (media.Config, error) {
	if p.codec == media.HEVC {
		return p.hevcConfig(received)
	}
	return p.avcConfig(received)
}
