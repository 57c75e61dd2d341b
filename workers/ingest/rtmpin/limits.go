package rtmpin

import (
	"fmt"
	"time"
)

// Limits that no peer may pass (docs/lal.md). Each is far above what encoders
// do and far below what hurts.
const (
	maxChunkStreams        = 32
	maxChunkStreamsEarly   = 8 // before publish
	minChunkSize           = 128
	maxChunkSize           = 0x7fffffff
	maxMediaBytes          = 8 << 20
	maxUnfinishedBytes     = 12 << 20 // announced by begun messages, all chunk streams
	maxCommandBytes        = 8 << 10
	maxDataBytes           = 64 << 10
	maxControlBytes        = 128
	maxEarlyBytes          = 64 << 10  // everything between handshake and publish
	maxQuietBytes          = 256 << 10 // everything between two non-empty A/V messages
	messageCost            = 32        // a message counts as so many bytes more
	maxAMFDepth            = 8
	maxAMFValues           = 256
	maxNameBytes           = 1 << 10 // app, stream key, flashVer
	maxDescriptionBytes    = 512
	rtmpVersion            = 3               // the first byte, C0
	handshakeBytes         = 1 + 1536 + 1536 // C0, C1, C2
	helloBytes             = 1 + 1536        // C0, C1: what a client says first
	readBufferBytes        = 4 << 10         // until publish: thousands may come and say nothing
	writeBufferBytes       = 64 << 10        // the kernel's; a publisher is told little
	readBufferBytesPublish = 64 << 10
)

// gatherFor is how long a publisher's bytes may lie in the kernel before they
// are read: viewers get them later by half of that on average.
// gatherBurstFor is the same for who sends faster than the kernel's buffer, of
// 128 KiB at first, could take in the former.
const (
	gatherFor      = 100 * time.Millisecond
	gatherBurstFor = 10 * time.Millisecond
)

// Message type ids of RTMP 1.0, 5.4 and 7.1, besides those that leave the package.
const (
	typeSetChunkSize  = 1
	typeAbort         = 2
	typeAck           = 3
	typeUserControl   = 4
	typeWindowAckSize = 5
	typePeerBandwidth = 6
	typeCommandAMF3   = 17
	typeCommandAMF0   = 20
)

// isMedia tells audio and video from everything else.
func isMedia(typ uint8) bool {
	return typ == uint8(TypeAudio) || typ == uint8(TypeVideo)
}

// checkMessage judges a message by its header, before a byte of it is kept.
func checkMessage(typ uint8, length uint32, published bool) error {
	low, high := uint32(0), uint32(0)
	switch typ {
	case typeSetChunkSize, typeAbort, typeAck, typeWindowAckSize:
		low, high = 4, maxControlBytes
	case typeUserControl:
		low, high = 2, maxControlBytes
	case typePeerBandwidth:
		low, high = 5, maxControlBytes
	case typeCommandAMF0, typeCommandAMF3:
		low, high = 3, maxCommandBytes
	case uint8(TypeAudio), uint8(TypeVideo), uint8(TypeData):
		if !published {
			return fmt.Errorf("message type %d before publish", typ)
		}
		high = maxMediaBytes
		if !isMedia(typ) {
			low, high = 3, maxDataBytes
		}
	default:
		return fmt.Errorf("message type %d is not supported", typ)
	}
	if length < low || length > high {
		return fmt.Errorf("message type %d of %d bytes, allowed are %d to %d", typ, length, low, high)
	}
	return nil
}
