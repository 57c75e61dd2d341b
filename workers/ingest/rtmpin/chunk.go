package rtmpin

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const extendedTimestamp = 0xffffff

// chunkStream is the state of one chunk stream id (RTMP 1.0, 5.3.1).
//
// Invariant: got <= length, and got == 0 unless begun.
type chunkStream struct {
	id        int
	timestamp uint32 // absolute, of the message that began last
	delta     uint32
	length    uint32
	typ       uint8
	streamID  uint32
	extended  bool
	begun     bool
	got       uint32
	body      []byte // what has come of it; whoever takes the message takes it over
}

// parser takes a peer's chunk stream apart. Messages are collected and checked;
// those that lal has to answer are written anew for it: each begins with a type
// 0 header that carries the absolute timestamp, so what lal sees does not depend
// on the state that lal keeps. It does no I/O.
type parser struct {
	streams    map[int]*chunkStream
	chunkSize  uint32
	unfinished uint32 // sum of length over begun messages, <= maxUnfinishedBytes
	begun      int
	budget     int // bytes, and messageCost each, that may still come without audio or video
	published  bool

	cur  *chunkStream // whose chunk payload comes next; nil: a chunk header does
	left uint32       // payload bytes of this chunk still to come
	emit []byte       // for lal, ahead of any payload
}

func newParser() *parser {
	return &parser{streams: make(map[int]*chunkStream), chunkSize: 128, budget: maxEarlyBytes}
}

// admit lifts the rules that hold until a publisher is known.
func (p *parser) admit() {
	p.published = true
	p.budget = maxQuietBytes
}

// step consumes from in and writes to out what lal may have. It stops at the
// end of every message, which it returns (valid until the next step, its body
// for ever). With nIn == 0 and no message it needs more input, or out is full.
func (p *parser) step(in, out []byte) (nIn, nOut int, done *chunkStream, err error) {
	for {
		if len(p.emit) > 0 {
			nOut += p.drain(out[nOut:])
			if len(p.emit) > 0 || p.cur == nil { // out is full, or a whole message went out
				return nIn, nOut, nil, nil
			}
		}
		if p.cur == nil {
			n, err := p.header(in[nIn:])
			if err != nil || n == 0 {
				return nIn, nOut, nil, err
			}
			nIn += n
		}
		nIn += p.payload(in[nIn:])
		if p.left > 0 {
			return nIn, nOut, nil, nil
		}
		cs := p.cur
		p.cur = nil
		if cs.got == cs.length {
			return nIn, nOut, cs, p.finish(cs)
		}
	}
}

// drain moves what is to be emitted to out.
func (p *parser) drain(out []byte) int {
	n := copy(out, p.emit)
	p.emit = p.emit[n:]
	if len(p.emit) == 0 {
		p.emit = nil
	}
	return n
}

// payload moves bytes of the current chunk.
func (p *parser) payload(in []byte) int {
	n := min(len(in), int(p.left))
	p.cur.body = append(p.cur.body, in[:n]...)
	p.left -= uint32(n)    //nolint:gosec // n <= left
	p.cur.got += uint32(n) //nolint:gosec // n <= left
	return n
}

// finish closes the books on a complete message.
func (p *parser) finish(cs *chunkStream) error {
	cs.begun = false
	cs.got = 0
	p.begun--
	p.unfinished -= cs.length
	if isMedia(cs.typ) {
		if cs.length > 0 {
			p.budget = maxQuietBytes
		}
		return nil
	}
	if cs.typ == typeSetChunkSize {
		return p.setChunkSize(cs)
	}
	return nil
}

// setChunkSize follows the peer's Set Chunk Size (5.4.1). lal reads past the
// end of a message whose chunk size grows while it is incomplete.
func (p *parser) setChunkSize(cs *chunkStream) error {
	size := binary.BigEndian.Uint32(cs.body)
	if size < minChunkSize || size > maxChunkSize {
		return fmt.Errorf("chunk size %d, allowed are %d to %d", size, minChunkSize, maxChunkSize)
	}
	if p.begun > 0 {
		return errors.New("chunk size changed inside a message")
	}
	p.forward(cs)
	p.chunkSize = size
	return nil
}

// forward emits a collected message to lal, in chunks of the size that lal expects.
func (p *parser) forward(cs *chunkStream) {
	p.emit = appendHeader(p.emit, 0, cs)
	for body := cs.body; ; {
		n := min(len(body), int(p.chunkSize))
		p.emit = append(p.emit, body[:n]...)
		if body = body[n:]; len(body) == 0 {
			return
		}
		p.emit = appendHeader(p.emit, 3, cs)
	}
}

// header reads a chunk header (5.3.1) once all of it is there; 0: it is not.
//
//	| fmt(2) csid(6) | 0..2 more id bytes | 11, 7, 3 or 0 message header | 0 or 4 extended timestamp |
func (p *parser) header(in []byte) (int, error) {
	if len(in) == 0 {
		return 0, nil
	}
	format, id, n := in[0]>>6, int(in[0]&0x3f), 1
	switch {
	case id == 0 && len(in) >= 2:
		id, n = 64+int(in[1]), 2
	case id == 1 && len(in) >= 3:
		id, n = 64+int(in[1])+int(in[2])<<8, 3
	case id < 2:
		return 0, nil
	}
	cs := p.streams[id]
	if err := p.mayContinue(cs, format); err != nil {
		return 0, err
	}
	if cs == nil {
		cs = &chunkStream{id: id}
	}
	size := [4]int{11, 7, 3, 0}[format]
	if len(in) < n+size {
		return 0, nil
	}
	fields := in[n : n+size]
	n += size
	extended := cs.extended
	if format < 3 {
		extended = uint24(fields) == extendedTimestamp
	}
	var extension uint32
	if extended {
		if len(in) < n+4 {
			return 0, nil
		}
		extension = binary.BigEndian.Uint32(in[n:])
		n += 4
	}
	cs.extended = extended
	return n, p.chunk(cs, format, fields, extension, n)
}

// mayContinue judges a chunk's format by what its chunk stream was doing.
func (p *parser) mayContinue(cs *chunkStream, format byte) error {
	if cs == nil {
		limit := maxChunkStreams
		if !p.published {
			limit = maxChunkStreamsEarly
		}
		switch {
		case format > 1: // librtmp begins chunk stream 2 with type 1
			return fmt.Errorf("type %d chunk on a fresh chunk stream", format)
		case len(p.streams) >= limit:
			return fmt.Errorf("more than %d chunk streams", limit)
		}
		return nil
	}
	if cs.begun && format != 3 {
		return errors.New("new message inside an unfinished one")
	}
	return nil
}

// chunk applies a complete chunk header to its stream.
func (p *parser) chunk(cs *chunkStream, format byte, fields []byte, extension uint32, headerBytes int) error {
	if !cs.begun {
		if err := p.begin(cs, format, fields, extension); err != nil {
			return err
		}
	}
	p.cur = cs
	p.left = min(cs.length-cs.got, p.chunkSize)
	if !isMedia(cs.typ) || cs.length == 0 {
		p.budget -= headerBytes + int(p.left)
		if cs.got == 0 {
			p.budget -= messageCost
		}
		if p.budget < 0 && !p.published {
			return errors.New("too many messages or bytes before publish")
		} else if p.budget < 0 {
			return errors.New("too many messages or bytes without audio or video")
		}
	}
	return nil
}

// begin starts a message.
func (p *parser) begin(cs *chunkStream, format byte, fields []byte, extension uint32) error {
	if format < 3 {
		cs.delta = uint24(fields)
	}
	if cs.extended {
		cs.delta = extension
	}
	if format < 2 {
		cs.length, cs.typ = uint24(fields[3:]), fields[6]
	}
	if format == 0 {
		cs.streamID = binary.LittleEndian.Uint32(fields[7:])
		cs.timestamp = 0 // a type 3 after a type 0 adds its timestamp again (5.3.1.2.4)
	}
	cs.timestamp += cs.delta
	if err := checkMessage(cs.typ, cs.length, p.published); err != nil {
		return err
	}
	if p.unfinished+cs.length > maxUnfinishedBytes {
		return fmt.Errorf("more than %d bytes of unfinished messages", maxUnfinishedBytes)
	}
	p.streams[cs.id] = cs
	p.unfinished += cs.length
	p.begun++
	cs.begun, cs.got, cs.body = true, 0, make([]byte, 0, cs.length) // all of them: maxUnfinishedBytes
	return nil
}

// appendHeader appends a chunk header of format 0 or 3.
func appendHeader(dst []byte, format byte, cs *chunkStream) []byte {
	switch id := cs.id - 64; {
	case id < 0:
		dst = append(dst, format<<6|byte(cs.id)) //nolint:gosec // below 64
	case id < 256:
		dst = append(dst, format<<6, byte(id))
	default:
		dst = append(dst, format<<6|1, byte(id), byte(id>>8)) //nolint:gosec // below 65600: as it was read
	}
	if format == 0 {
		dst = appendUint24(dst, min(cs.timestamp, extendedTimestamp))
		dst = appendUint24(dst, cs.length)
		dst = append(dst, cs.typ)
		dst = binary.LittleEndian.AppendUint32(dst, cs.streamID)
	}
	if cs.timestamp >= extendedTimestamp {
		dst = binary.BigEndian.AppendUint32(dst, cs.timestamp)
	}
	return dst
}

func uint24(b []byte) uint32 {
	return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2])
}

func appendUint24(dst []byte, v uint32) []byte {
	return append(dst, byte(v>>16), byte(v>>8), byte(v)) //nolint:gosec // the low 24 bits are meant
}
