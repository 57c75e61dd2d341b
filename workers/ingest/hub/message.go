package hub

import (
	"bytes"

	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

// kind is what a message means to a viewer who joins.
type kind uint8

const (
	plain       kind = iota // of use behind a start only
	keyFrame                // a picture that needs no other
	videoHeader             // decoder configuration
	audioHeader
	metadata
	useless // nothing that a viewer could do with it
)

// setDataFrame is the AMF0 string that encoders put in front of onMetaData;
// viewers get the message without it.
const setDataFrame = "\x02\x00\x0d@setDataFrame"

const onMetaData = "\x02\x00\x0aonMetaData"

// classify looks at a few leading bytes only: payloads are unchecked.
//
//	video: | frame type(4) codec(4) | packet type |        (Video File Format 10.1, E.4.3.1)
//	video: | 1 frame type(3) packet type(4) | FourCC(4) |  (Enhanced RTMP v2, "Enhanced video")
//	audio: | codec(4) … | packet type |                    (E.4.2.1; codec 9 is enhanced: packet type(4))
func classify(m rtmpin.Message) kind {
	p := m.Payload
	switch m.Type {
	case rtmpin.TypeData:
		if bytes.HasPrefix(p, []byte(onMetaData)) {
			return metadata
		}
		return plain
	case rtmpin.TypeVideo:
		return classifyVideo(p)
	case rtmpin.TypeAudio:
		return classifyAudio(p)
	}
	return useless
}

const (
	codecAVC, codecHEVC = 7, 12 // HEVC in the legacy form is a common extension
	codecAAC            = 10
	codecEnhancedAudio  = 9
)

func classifyVideo(p []byte) kind {
	if len(p) < 2 {
		return useless
	}
	if p[0]&0x80 != 0 {
		if len(p) < 5 {
			return useless
		}
		return classifyEnhanced(p[0]>>4&7, p[0]&0xf)
	}
	codec := p[0] & 0xf
	switch packaged := codec == codecAVC || codec == codecHEVC; {
	case packaged && len(p) < 5:
		return useless
	case packaged && p[1] == 0:
		return videoHeader
	case packaged && p[1] != 1: // end of sequence: more may follow
		return useless
	case p[0]>>4 == 1:
		return keyFrame
	}
	return plain
}

// Packet types of enhanced video.
const (
	sequenceStart       = 0
	codedFrames         = 1
	sequenceEnd         = 2
	codedFramesX        = 3
	mpeg2SequenceStart  = 5
	enhancedKeyFrame    = 1
	enhancedCommandType = 5
)

func classifyEnhanced(frame, packet byte) kind {
	switch {
	case frame == enhancedCommandType || packet == sequenceEnd:
		return useless
	case packet == sequenceStart || packet == mpeg2SequenceStart:
		return videoHeader
	case frame == enhancedKeyFrame && (packet == codedFrames || packet == codedFramesX):
		return keyFrame
	}
	return plain
}

func classifyAudio(p []byte) kind {
	if len(p) < 2 {
		return useless
	}
	switch p[0] >> 4 {
	case codecAAC:
		if p[1] == 0 {
			return audioHeader
		}
	case codecEnhancedAudio:
		switch p[0] & 0xf {
		case sequenceStart:
			return audioHeader
		case sequenceEnd:
			return useless
		}
	}
	return plain
}

// headers are what a decoder needs before the first frame. Never changed once
// made: a change makes a new one.
type headers struct {
	meta, video, audio []byte // payloads; nil = none
}

// with answers the headers after a message of that kind, h itself where it
// says nothing new.
func (h *headers) with(k kind, payload []byte) *headers {
	n := *h
	at := map[kind]*[]byte{metadata: &n.meta, videoHeader: &n.video, audioHeader: &n.audio}[k]
	if at == nil || bytes.Equal(*at, payload) {
		return h
	}
	*at = payload
	return &n
}

// messages are the headers as they are sent ahead of a start at that time.
// Metadata are of time 0: elsewhere ffmpeg takes them for subtitles.
func (h *headers) messages(timestampMS uint32) []rtmpin.Message {
	var all []rtmpin.Message
	for _, m := range []rtmpin.Message{
		{Type: rtmpin.TypeData, Payload: h.meta},
		{Type: rtmpin.TypeVideo, Payload: h.video},
		{Type: rtmpin.TypeAudio, Payload: h.audio},
	} {
		if m.Payload != nil {
			if m.Type != rtmpin.TypeData {
				m.TimestampMS = timestampMS
			}
			all = append(all, m)
		}
	}
	return all
}
