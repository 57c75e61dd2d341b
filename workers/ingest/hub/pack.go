package hub

import (
	"encoding/binary"
	"fmt"

	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

// Format is how a viewer gets the messages.
type Format int

// The formats of a viewer.
const (
	// FLV is a plain FLV file (Video File Format 10.1, Annex E).
	FLV Format = iota
	// ChunkedFLV is FLV in HTTP/1.1 chunks (RFC 9112, 7.1).
	ChunkedFLV
	// RTMP is chunks of ChunkSize on message stream 1 (RTMP 1.0, 5.3).
	RTMP
)

// ChunkSize is what an RTMP viewer must have been told by Set Chunk Size
// before its first message: nearly every message is one chunk.
const ChunkSize = 60_000

// tagBytes is what FLV adds to a payload: tag header and previous tag size.
const tagBytes = 11 + 4

// appendTags appends messages as FLV tags:
//
//	| type(1) | size(3) | timestamp(3) | its high byte(1) | stream id(3) | payload | 11 + size(4) |
func appendTags(dst []byte, all []rtmpin.Message) []byte {
	for _, m := range all {
		size, t := length(m), m.TimestampMS
		dst = binary.BigEndian.AppendUint32(dst, uint32(m.Type)<<24|size)
		dst = binary.BigEndian.AppendUint32(dst, t<<8|t>>24)
		dst = append(append(dst, 0, 0, 0), m.Payload...)
		dst = binary.BigEndian.AppendUint32(dst, size+11)
	}
	return dst
}

// flvHeader announces the tracks that are known; a player waits for those.
func flvHeader(h *headers) []byte {
	flags := byte(5)
	switch {
	case h.video != nil && h.audio == nil:
		flags = 1
	case h.video == nil && h.audio != nil:
		flags = 4
	}
	return []byte{'F', 'L', 'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0}
}

// chunk frames a body as one HTTP chunk and says where the body begins.
func chunk(size int, fill func([]byte) []byte) (framed []byte, at int) {
	framed = make([]byte, 0, size+16)
	framed = fmt.Appendf(framed, "%x\r\n", size)
	at = len(framed)
	return append(fill(framed), '\r', '\n'), at
}

// appendRTMP appends messages as chunks with absolute timestamps, so that a
// viewer may begin with any of them (5.3.1.2.1):
//
//	| fmt 0, csid | timestamp(3) | length(3) | type(1) | stream id(4, little endian) | extended(4)? | payload |
//	further chunks: | fmt 3, csid | extended(4)? | payload |
func appendRTMP(dst []byte, all []rtmpin.Message) []byte {
	for _, m := range all {
		id := map[rtmpin.MessageType]byte{rtmpin.TypeAudio: 4, rtmpin.TypeData: 5, rtmpin.TypeVideo: 6}[m.Type]
		size, t := length(m), min(m.TimestampMS, 0xffffff)
		dst = binary.BigEndian.AppendUint32(append(dst, id), t<<8|size>>16)
		dst = binary.BigEndian.AppendUint32(dst, size<<16|uint32(m.Type)<<8|1)
		dst = append(dst, 0, 0, 0)
		for rest := m.Payload; ; {
			if t == 0xffffff {
				dst = binary.BigEndian.AppendUint32(dst, m.TimestampMS)
			}
			n := min(len(rest), ChunkSize)
			dst = append(dst, rest[:n]...)
			if rest = rest[n:]; len(rest) == 0 {
				break
			}
			dst = append(dst, 0xc0|id)
		}
	}
	return dst
}

// length is that of the payload, which is below 2^24.
func length(m rtmpin.Message) uint32 {
	return uint32(len(m.Payload)) //nolint:gosec // 8 MiB at most
}
