package job

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// rebase adds delta to the decode times of a segment's fragments, in place
// (ISO/IEC 14496-12, 8.8.12: moof/traf/tfdt).
//
//	| size 32 | type 32 | version 8, flags 24 | baseMediaDecodeTime 32 or 64 |
func rebase(segment []byte, delta int64) error {
	found := false
	err := boxes(segment, func(kind string, body []byte) error {
		if kind != "moof" {
			return nil
		}
		return boxes(body, func(kind string, body []byte) error {
			if kind != "traf" {
				return nil
			}
			return boxes(body, func(kind string, body []byte) error {
				if kind != "tfdt" {
					return nil
				}
				found = true
				return shift(body, delta)
			})
		})
	})
	if err == nil && !found {
		err = errors.New("no tfdt")
	}
	if err != nil {
		return fmt.Errorf("move a segment in time: %w", err)
	}
	return nil
}

// boxes calls f for each box of b with what follows its header (4.2).
func boxes(b []byte, f func(kind string, body []byte) error) error {
	for len(b) > 0 {
		if len(b) < 8 {
			return errors.New("a torn box")
		}
		size, header := uint64(binary.BigEndian.Uint32(b)), uint64(8)
		switch {
		case size == 0:
			size = uint64(len(b))
		case size == 1 && len(b) >= 16:
			size, header = binary.BigEndian.Uint64(b[8:]), 16
		}
		if size < header || size > uint64(len(b)) {
			return fmt.Errorf("a box of %d bytes where there are %d", size, len(b))
		}
		if err := f(string(b[4:8]), b[header:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

func shift(tfdt []byte, delta int64) error {
	switch {
	case len(tfdt) >= 12 && tfdt[0] == 1:
		at := binary.BigEndian.Uint64(tfdt[4:])
		if at > math.MaxInt64/2 || int64(at)+delta < 0 {
			return errors.New("a time out of range")
		}
		binary.BigEndian.PutUint64(tfdt[4:], uint64(int64(at)+delta)) //nolint:gosec // not negative
	case len(tfdt) >= 8 && tfdt[0] == 0:
		at := int64(binary.BigEndian.Uint32(tfdt[4:])) + delta
		if at < 0 || at > math.MaxUint32 {
			return errors.New("a time out of range")
		}
		binary.BigEndian.PutUint32(tfdt[4:], uint32(at))
	default:
		return errors.New("a torn tfdt")
	}
	return nil
}
