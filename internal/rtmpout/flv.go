package rtmpout

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Tag is one FLV tag (Video File Format Specification 10.1, E.4.1): an RTMP
// message in a file.
type Tag struct {
	Type        MessageType
	TimestampMS uint32
	Payload     []byte
}

// ReadFLV iterates over the tags of an FLV file. Each Payload is the caller's.
// At most one tag (16 MiB) is held; tags of unknown types are skipped. The
// first error ends the iteration and says where; a file that ends inside a tag
// is io.ErrUnexpectedEOF.
//
//	header: "FLV" | version 1 | flags | offset(4) ; then: previous tag size(4) | tag | ...
//	tag: type(1) | size(3) | timestamp(3) | its high byte(1) | stream id(3) | payload
func ReadFLV(r io.Reader) iter.Seq2[Tag, error] {
	return func(yield func(Tag, error) bool) {
		in := bufio.NewReader(r)
		at, err := flvHeader(in)
		if err != nil {
			yield(Tag{}, fmt.Errorf("FLV header: %w", err))
			return
		}
		for {
			tag, n, err := flvTag(in)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Tag{}, fmt.Errorf("FLV tag at byte %d: %w", at, err))
				return
			}
			at += n
			switch tag.Type {
			case TypeAudio, TypeVideo, TypeData:
				if !yield(tag, nil) {
					return
				}
			default: // of no use to a publisher
			}
		}
	}
}

func flvHeader(in *bufio.Reader) (int64, error) {
	var b [9]byte
	if _, err := io.ReadFull(in, b[:]); err != nil {
		return 0, noEOF(err)
	}
	if string(b[:3]) != "FLV" || b[3] != 1 {
		return 0, errors.New("not an FLV file of version 1")
	}
	offset := int64(binary.BigEndian.Uint32(b[5:]))
	if offset < 9 || offset > 1<<16 {
		return 0, fmt.Errorf("data offset %d", offset)
	}
	_, err := io.CopyN(io.Discard, in, offset-9+4) // with the first previous tag size
	return offset + 4, noEOF(err)
}

// flvTag reads a tag and the size field behind it; io.EOF only before its first byte.
func flvTag(in *bufio.Reader) (Tag, int64, error) {
	var b [11]byte
	if _, err := io.ReadFull(in, b[:]); err != nil {
		return Tag{}, 0, err
	}
	if b[0]&0x20 != 0 {
		return Tag{}, 0, errors.New("the tag is encrypted")
	}
	size := int64(uint24(b[1:]))
	payload, err := io.ReadAll(io.LimitReader(in, size)) // grows with what is there
	if err == nil && int64(len(payload)) < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return Tag{}, 0, err
	}
	var trailer [4]byte // absent behind the last tag of a file that was cut there
	if _, err := io.ReadFull(in, trailer[:]); err != nil && !errors.Is(err, io.EOF) {
		return Tag{}, 0, err
	} else if previous := int64(binary.BigEndian.Uint32(trailer[:])); err == nil && previous != 0 && previous != 11+size {
		return Tag{}, 0, fmt.Errorf("previous tag size is %d, want %d", previous, 11+size)
	}
	return Tag{
		Type:        MessageType(b[0] & 0x1f),
		TimestampMS: uint24(b[4:]) | uint32(b[7])<<24,
		Payload:     payload,
	}, 11 + size + 4, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
