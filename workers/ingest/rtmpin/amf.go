package rtmpin

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// AMF0 type markers (AMF0, 2.1).
const (
	amfNumber      = 0x00
	amfBoolean     = 0x01
	amfString      = 0x02
	amfObject      = 0x03
	amfNull        = 0x05
	amfUndefined   = 0x06
	amfReference   = 0x07
	amfECMAArray   = 0x08
	amfObjectEnd   = 0x09
	amfStrictArray = 0x0a
	amfDate        = 0x0b
	amfLongString  = 0x0c
	amfUnsupported = 0x0d
	amfXML         = 0x0f
	amfTypedObject = 0x10
)

var errAMFShort = errors.New("AMF value is cut off")

// amfValue is one value on the way through an AMF0 document. Text belongs to
// the document.
type amfValue struct {
	Kind   byte
	Number float64 // number, boolean
	Text   []byte  // string, long string
	// Depth is 0 for the values of the document itself. Index counts those;
	// nested values have their ancestor's. Key is the name inside an object.
	Depth, Index int
	Key          []byte
}

// walkAMF calls each for every value in order and returns the first error: a
// value cut off, an unknown type, more than maxAMFDepth levels or maxAMFValues
// values. It keeps its own stack of maxAMFDepth entries, so that no document can
// exhaust ours.
func walkAMF(b []byte, each func(amfValue)) error {
	open := make([]int64, 0, maxAMFDepth) // values left in a strict array; -1: keys until the end marker
	index, count := 0, 0
	for len(b) > 0 || len(open) > 0 {
		if top := len(open) - 1; top >= 0 && open[top] == 0 {
			open = open[:top]
			continue
		}
		v := amfValue{Depth: len(open), Index: index}
		if v.Depth > 0 {
			v.Index--
		}
		var err error
		if top := len(open) - 1; top >= 0 && open[top] < 0 {
			if v.Key, b, err = cutText(b, 2); err != nil {
				return err
			}
			if len(v.Key) == 0 && len(b) > 0 && b[0] == amfObjectEnd {
				b, open = b[1:], open[:top]
				continue
			}
		} else if top >= 0 {
			open[top]--
		}
		if count++; count > maxAMFValues {
			return fmt.Errorf("more than %d AMF values", maxAMFValues)
		}
		nested := int64(0)
		if nested, b, err = cutValue(b, &v); err != nil {
			return err
		}
		if v.Depth == 0 {
			index++
		}
		each(v)
		if nested != 0 {
			if len(open) == maxAMFDepth {
				return fmt.Errorf("AMF values nested deeper than %d", maxAMFDepth)
			}
			open = append(open, nested)
		}
	}
	return nil
}

// cutValue takes one value off b. nested is -1 for a begun object, n for a
// begun strict array of n values, else 0.
func cutValue(b []byte, v *amfValue) (nested int64, rest []byte, err error) {
	if len(b) == 0 {
		return 0, nil, errAMFShort
	}
	v.Kind, b = b[0], b[1:]
	skip := 0
	switch v.Kind {
	case amfNull, amfUndefined, amfUnsupported:
	case amfNumber:
		if skip = 8; len(b) >= skip {
			v.Number = math.Float64frombits(binary.BigEndian.Uint64(b))
		}
	case amfBoolean:
		skip = 1
	case amfReference:
		skip = 2
	case amfDate:
		skip = 10
	case amfString:
		v.Text, b, err = cutText(b, 2)
		return 0, b, err
	case amfLongString, amfXML:
		v.Text, b, err = cutText(b, 4)
		return 0, b, err
	case amfObject:
		return -1, b, nil
	case amfTypedObject:
		_, b, err = cutText(b, 2)
		return -1, b, err
	case amfECMAArray:
		skip, nested = 4, -1
	case amfStrictArray:
		if skip = 4; len(b) >= skip {
			nested = int64(binary.BigEndian.Uint32(b))
		}
	default:
		return 0, nil, fmt.Errorf("AMF type %#02x is not supported", v.Kind)
	}
	if len(b) < skip {
		return 0, nil, errAMFShort
	}
	return nested, b[skip:], nil
}

// cutText takes a text with a length of lengthBytes (2 or 4) off b.
func cutText(b []byte, lengthBytes int) (text, rest []byte, err error) {
	if len(b) < lengthBytes {
		return nil, nil, errAMFShort
	}
	n := uint64(binary.BigEndian.Uint16(b))
	if lengthBytes == 4 {
		n = uint64(binary.BigEndian.Uint32(b))
	}
	b = b[lengthBytes:]
	if uint64(len(b)) < n {
		return nil, nil, errAMFShort
	}
	return b[:n], b[n:], nil
}
