package rtmpout

import (
	"encoding/binary"
	"math"
)

// AMF0 type markers (AMF0, 2.1).
const (
	amfNumber    = 0x00
	amfBoolean   = 0x01
	amfString    = 0x02
	amfObject    = 0x03
	amfNull      = 0x05
	amfUndefined = 0x06
	amfECMAArray = 0x08
	amfObjectEnd = 0x09
)

// pair is one property of an object that we send; Value is a string or a float64.
type pair struct {
	Key   string
	Value any
}

// null stands for AMF0's null among the arguments of appendAMF.
type null struct{}

// appendAMF appends strings, float64s, nulls and objects ([]pair).
func appendAMF(dst []byte, values ...any) []byte {
	for _, v := range values {
		switch v := v.(type) {
		case string:
			dst = appendText(append(dst, amfString), v)
		case float64:
			dst = binary.BigEndian.AppendUint64(append(dst, amfNumber), math.Float64bits(v))
		case null:
			dst = append(dst, amfNull)
		case []pair:
			dst = append(dst, amfObject)
			for _, p := range v {
				dst = appendAMF(appendText(dst, p.Key), p.Value)
			}
			dst = append(dst, 0, 0, amfObjectEnd)
		}
	}
	return dst
}

func appendText(dst []byte, s string) []byte {
	s = s[:min(len(s), math.MaxUint16)]
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s))) //nolint:gosec // cut above
	return append(dst, s...)
}

// answer is what we need of a server's command: the texts of its flat
// objects, and its numbers and name.
type answer struct {
	Name        string
	Transaction float64
	Number      float64 // the last top-level one: createStream's stream id
	Code        string
	Level       string
	Description string
}

// parseAnswer reads a command message as far as it is understood; nested
// objects end the reading, servers send none that matter.
func parseAnswer(b []byte) answer {
	var a answer
	index, inObject := 0, false
	for len(b) > 0 {
		key := ""
		if inObject {
			var ok bool
			if key, b, ok = cutText(b); !ok || len(b) == 0 {
				return a
			}
			if key == "" && b[0] == amfObjectEnd {
				b, inObject = b[1:], false
				index++
				continue
			}
		}
		kind := b[0]
		b = b[1:]
		number, text := 0.0, ""
		switch kind {
		case amfNumber:
			if len(b) < 8 {
				return a
			}
			number = math.Float64frombits(binary.BigEndian.Uint64(b))
			b = b[8:]
		case amfBoolean:
			if len(b) < 1 {
				return a
			}
			b = b[1:]
		case amfString:
			var ok bool
			if text, b, ok = cutText(b); !ok {
				return a
			}
		case amfECMAArray, amfObject:
			if kind == amfECMAArray && len(b) >= 4 {
				b = b[4:]
			}
			if inObject {
				return a
			}
			inObject = true
		case amfNull, amfUndefined:
		default:
			return a
		}
		a.take(index, key, kind, number, text)
		if !inObject {
			index++
		}
	}
	return a
}

func (a *answer) take(index int, key string, kind byte, number float64, text string) {
	switch {
	case key == "code":
		a.Code = text
	case key == "level":
		a.Level = text
	case key == "description":
		a.Description = text
	case key != "":
	case index == 0:
		a.Name = text
	case index == 1:
		a.Transaction = number
	case kind == amfNumber:
		a.Number = number
	}
}

func cutText(b []byte) (text string, rest []byte, ok bool) {
	if len(b) < 2 {
		return "", nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < 2+n {
		return "", nil, false
	}
	return string(b[2 : 2+n]), b[2+n:], true
}
