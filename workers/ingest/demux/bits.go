package demux

import "math/bits"

// bitReader reads a raw byte sequence payload, most significant bit first.
// Reading past the end gives zeros and sets short.
type bitReader struct {
	data  []byte
	pos   int // in bits
	short bool
}

// newBitReader removes the emulation prevention bytes of a NAL unit
// (ISO/IEC 14496-10, 7.4.1).
func newBitReader(nal []byte) *bitReader {
	rbsp := make([]byte, 0, len(nal))
	zeros := 0
	for _, b := range nal {
		if zeros >= 2 && b == 3 {
			zeros = 0
			continue
		}
		if b == 0 {
			zeros++
		} else {
			zeros = 0
		}
		rbsp = append(rbsp, b)
	}
	return &bitReader{data: rbsp}
}

// u reads n bits, n at most 32.
func (r *bitReader) u(n int) uint32 {
	var v uint32
	for range n {
		v <<= 1
		if r.pos >= len(r.data)*8 {
			r.short = true
			continue
		}
		v |= uint32(r.data[r.pos/8]>>(7-r.pos%8)) & 1
		r.pos++
	}
	return v
}

func (r *bitReader) flag() bool { return r.u(1) == 1 }

func (r *bitReader) skip(n int) {
	r.pos += n
	if r.pos > len(r.data)*8 {
		r.pos, r.short = len(r.data)*8, true
	}
}

// ue reads an unsigned Exp-Golomb code (ISO/IEC 14496-10, 9.1).
func (r *bitReader) ue() uint32 {
	zeros := 0
	for !r.flag() {
		zeros++
		if zeros > 31 || r.short {
			r.short = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.u(zeros)
}

// se reads a signed Exp-Golomb code (ISO/IEC 14496-10, 9.1.1).
func (r *bitReader) se() int32 {
	v := r.ue()
	half := int32(v/2 + v&1) //nolint:gosec // at most 2^31
	if v&1 == 0 {
		return -half
	}
	return half
}

// reverse32 turns the order of bits round.
func reverse32(v uint32) uint32 { return bits.Reverse32(v) }
