package demux

import (
	"encoding/binary"
	"fmt"

	"github.com/roomcast/roomcast/internal/media"
)

// content is what the body of a tag is.
type content uint8

const (
	tagNothing content = iota // nothing that concerns the package
	tagHeader                 // a decoder configuration
	tagUnit                   // an access unit
)

// tag is a parsed tag header and the bytes behind it.
type tag struct {
	content content
	codec   media.Codec
	cts     int32
	body    []byte
}

// Codec ids and packet types (FLV 10.1, E.4.3.1; enhanced RTMP v2).
const (
	flvAVC           = 7
	flvHEVC          = 12 // not Adobe's, but spoken by many encoders
	frameTypeCommand = 5

	exSequenceStart  = 0
	exCodedFrames    = 1
	exCodedFramesX   = 3
	exVideoMultitrak = 6
	exAudioMultitrak = 5
	exModEx          = 7
)

// parseVideoTag reads
//
//	frameType(4) codec(4) packetType(8) cts(24) body                classic
//	1 frameType(3) packetType(4) fourCC(32) [cts(24)] body          enhanced
func parseVideoTag(p []byte) (tag, error) {
	if len(p) < 2 {
		return tag{}, nil
	}
	if p[0]&0x80 != 0 {
		return parseExVideoTag(p)
	}
	frameType, codecID := p[0]>>4, p[0]&0x0f
	if frameType == frameTypeCommand {
		return tag{}, nil
	}
	t := tag{codec: media.AVC}
	switch codecID {
	case flvAVC:
	case flvHEVC:
		t.codec = media.HEVC
	default:
		return tag{}, fmt.Errorf("video codec %s is %w: send H.264 or H.265", flvVideoName(codecID), ErrUnsupported)
	}
	if len(p) < 5 {
		return tag{}, nil
	}
	switch p[1] {
	case 0:
		t.content = tagHeader
	case 1:
		t.content, t.cts = tagUnit, int24(p[2:])
	}
	t.body = p[5:]
	return t, nil
}

func parseExVideoTag(p []byte) (tag, error) {
	frameType, packetType := p[0]>>4&7, p[0]&0x0f
	if frameType == frameTypeCommand {
		return tag{}, nil
	}
	packetType, rest, ok := skipModEx(packetType, p[1:])
	if packetType == exVideoMultitrak {
		return tag{}, fmt.Errorf("multitrack video is %w: send one track", ErrUnsupported)
	}
	if !ok || len(rest) < 4 {
		return tag{}, nil
	}
	t := tag{body: rest[4:]}
	switch string(rest[:4]) {
	case "avc1":
		t.codec = media.AVC
	case "hvc1":
		t.codec = media.HEVC
	default:
		return tag{}, fmt.Errorf("video codec %s is %w: send H.264 or H.265", printable(rest[:4]), ErrUnsupported)
	}
	switch packetType {
	case exSequenceStart:
		t.content = tagHeader
	case exCodedFrames:
		if len(t.body) < 3 {
			return tag{}, nil
		}
		t.content, t.cts, t.body = tagUnit, int24(t.body), t.body[3:]
	case exCodedFramesX:
		t.content = tagUnit
	}
	return t, nil
}

// parseAudioTag reads
//
//	format(4) rate(2) size(1) type(1) packetType(8) body             classic
//	9(4) packetType(4) fourCC(32) body                               enhanced
func parseAudioTag(p []byte) (tag, error) {
	if len(p) < 2 {
		return tag{}, nil
	}
	format := p[0] >> 4
	if format == 9 {
		return parseExAudioTag(p)
	}
	if format != 10 {
		return tag{}, fmt.Errorf("audio codec %s is %w: send AAC", flvAudioName(format), ErrUnsupported)
	}
	t := tag{codec: media.AAC, body: p[2:]}
	switch p[1] {
	case 0:
		t.content = tagHeader
	case 1:
		t.content = tagUnit
	}
	return t, nil
}

func parseExAudioTag(p []byte) (tag, error) {
	packetType, rest, ok := skipModEx(p[0]&0x0f, p[1:])
	if packetType == exAudioMultitrak {
		return tag{}, fmt.Errorf("multitrack audio is %w: send one track", ErrUnsupported)
	}
	if !ok || len(rest) < 4 {
		return tag{}, nil
	}
	if string(rest[:4]) != "mp4a" {
		return tag{}, fmt.Errorf("audio codec %s is %w: send AAC", printable(rest[:4]), ErrUnsupported)
	}
	t := tag{codec: media.AAC, body: rest[4:]}
	switch packetType {
	case exSequenceStart:
		t.content = tagHeader
	case exCodedFrames:
		t.content = tagUnit
	}
	return t, nil
}

// skipModEx passes over the modifiers of enhanced RTMP v2, none of which
// changes what is carried here.
func skipModEx(packetType byte, p []byte) (byte, []byte, bool) {
	for packetType == exModEx {
		if len(p) < 1 {
			return packetType, nil, false
		}
		size, head := int(p[0])+1, 1
		if size == 256 {
			if len(p) < 3 {
				return packetType, nil, false
			}
			size, head = int(binary.BigEndian.Uint16(p[1:]))+1, 3
		}
		if len(p) < head+size+1 {
			return packetType, nil, false
		}
		packetType = p[head+size] & 0x0f
		p = p[head+size+1:]
	}
	return packetType, p, true
}

// int24 reads a signed 24-bit number; p has at least three bytes.
func int24(p []byte) int32 {
	return int32(uint32(p[0])<<24|uint32(p[1])<<16|uint32(p[2])<<8) >> 8 //nolint:gosec // sign extension is meant
}

// printable keeps a four-character code out of trouble in a message.
func printable(fourCC []byte) string {
	for _, b := range fourCC {
		if b < '!' || b > '~' {
			return fmt.Sprintf("%x", fourCC)
		}
	}
	return string(fourCC)
}

func flvVideoName(id byte) string {
	names := [...]string{2: "Sorenson H.263", 3: "Screen Video", 4: "VP6", 5: "VP6 with alpha", 6: "Screen Video 2", 8: "Real H.263", 9: "MPEG-4 part 2", 13: "AV1"}
	if int(id) < len(names) && names[id] != "" {
		return names[id]
	}
	return fmt.Sprintf("number %d", id)
}

func flvAudioName(id byte) string {
	names := [...]string{"PCM", "ADPCM", "MP3", "PCM", "Nellymoser", "Nellymoser", "Nellymoser", "G.711 A-law", "G.711 µ-law", 11: "Speex", 13: "Opus", 14: "MP3"}
	if int(id) < len(names) && names[id] != "" {
		return names[id]
	}
	return fmt.Sprintf("number %d", id)
}
