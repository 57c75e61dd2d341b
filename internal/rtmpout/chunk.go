package rtmpout

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	chunkSize         = 4096 // ours, told to the server before the first large message
	extendedTimestamp = 0xffffff
	maxServerMessage  = 1 << 20
)

// sentStream is what a chunk stream id remembers for its next header (RTMP 1.0, 5.3.1.2).
type sentStream struct {
	used      bool
	timestamp uint32
	typ       MessageType
	streamID  uint32
}

// appendMessage chunks a message: a type 0 header at first and where time goes
// back or the stream id changes, else type 1; type 3 between its chunks.
// Extended timestamps (5.3.1.3) are repeated behind type 3 headers, as ffmpeg,
// librtmp and lal expect.
func (s *sentStream) appendMessage(dst []byte, id byte, typ MessageType, timestamp, streamID uint32, payload []byte, size int) []byte {
	delta := timestamp - s.timestamp // wraps like the timestamps do
	field, format := delta, byte(1)
	// A delta that needs an extension is sent as an absolute time: servers
	// disagree about extended deltas.
	if !s.used || s.streamID != streamID || delta >= extendedTimestamp {
		field, format = timestamp, 0
	}
	*s = sentStream{used: true, timestamp: timestamp, typ: typ, streamID: streamID}
	dst = append(dst, format<<6|id)
	dst = appendUint24(dst, min(field, extendedTimestamp))
	dst = appendUint24(dst, uint32(len(payload))) //nolint:gosec // checked by Write
	dst = append(dst, byte(typ))
	if format == 0 {
		dst = binary.LittleEndian.AppendUint32(dst, streamID)
	}
	for first := true; first || len(payload) > 0; first = false {
		if !first {
			dst = append(dst, 3<<6|id)
		}
		if field >= extendedTimestamp {
			dst = binary.BigEndian.AppendUint32(dst, field)
		}
		n := min(len(payload), size)
		dst = append(dst, payload[:n]...)
		payload = payload[n:]
	}
	return dst
}

func appendUint24(dst []byte, v uint32) []byte {
	return append(dst, byte(v>>16), byte(v>>8), byte(v)) //nolint:gosec // the low 24 bits are meant
}

func uint24(b []byte) uint32 {
	return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
}

// heardStream is the state of one of the server's chunk streams.
type heardStream struct {
	length   uint32
	typ      MessageType
	extended bool
	body     []byte
}

// reader puts the server's chunks together.
type reader struct {
	r         *bufio.Reader
	streams   map[int]*heardStream
	chunkSize uint32
	read      uint32 // bytes, wraps
}

func newReader(r *bufio.Reader) *reader {
	return &reader{r: r, streams: make(map[int]*heardStream), chunkSize: 128}
}

// next returns the server's next message; it follows Set Chunk Size itself.
func (r *reader) next() (MessageType, []byte, error) {
	for {
		s, err := r.header()
		if err != nil {
			return 0, nil, err
		}
		n := min(s.length-uint32(len(s.body)), r.chunkSize) //nolint:gosec // body <= length <= maxServerMessage
		part := make([]byte, n)
		if err := r.full(part); err != nil {
			return 0, nil, err
		}
		s.body = append(s.body, part...)
		if uint32(len(s.body)) < s.length { //nolint:gosec // as above
			continue
		}
		body := s.body
		s.body = nil
		if s.typ == typeSetChunkSize && len(body) >= 4 {
			if r.chunkSize = binary.BigEndian.Uint32(body) & 0x7fffffff; r.chunkSize == 0 {
				return 0, nil, errors.New("server set chunk size 0")
			}
		}
		return s.typ, body, nil
	}
}

func (r *reader) full(b []byte) error {
	n, err := io.ReadFull(r.r, b)
	r.read += uint32(n) //nolint:gosec // wraps as acknowledgements do
	return err
}

// header reads a chunk header (5.3.1).
func (r *reader) header() (*heardStream, error) {
	var b [11]byte
	if err := r.full(b[:1]); err != nil {
		return nil, err
	}
	format, id := b[0]>>6, int(b[0]&0x3f)
	if id < 2 {
		if err := r.full(b[:id+1]); err != nil {
			return nil, err
		}
		id = 64 + int(b[0]) + int(b[1])<<8*id
	}
	s := r.streams[id]
	if s == nil {
		if format > 1 || len(r.streams) >= 64 {
			return nil, fmt.Errorf("server sent a type %d chunk on chunk stream %d", format, id)
		}
		s = &heardStream{}
		r.streams[id] = s
	}
	fields := b[:[4]int{11, 7, 3, 0}[format]]
	if err := r.full(fields); err != nil {
		return nil, err
	}
	if format < 3 {
		s.extended = uint24(fields) == extendedTimestamp
	}
	if format < 2 {
		s.length, s.typ, s.body = uint24(fields[3:]), MessageType(fields[6]), nil
		if s.length > maxServerMessage {
			return nil, fmt.Errorf("server sent a message of %d bytes", s.length)
		}
	}
	if s.extended {
		return s, r.full(b[:4])
	}
	return s, nil
}
