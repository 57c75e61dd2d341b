package rtmpin

import (
	"encoding/binary"
	"strings"
)

// Status codes that this package itself gives (RTMP 1.0, 7.2.2; the rest are
// Adobe's NetStatusEvent codes).
const (
	codeBadName        = "NetStream.Publish.BadName"
	codeFailed         = "NetStream.Publish.Failed"
	codePlayNotFound   = "NetStream.Play.StreamNotFound"
	codePlayFailed     = "NetStream.Play.Failed"
	codeConnectRefused = "NetConnection.Connect.Rejected"
	codeShutdown       = "NetConnection.Connect.AppShutdown"
)

// statusMessage is an onStatus of level error, chunked for a peer that still
// expects chunks of chunkSize.
func statusMessage(r Reject, chunkSize int) []byte {
	return onStatus("error", r.Code, r.Description, chunkSize)
}

func onStatus(level, code, description string, chunkSize int) []byte {
	body := appendAMFString(nil, "onStatus")
	body = append(body, amfNumber, 0, 0, 0, 0, 0, 0, 0, 0, amfNull, amfObject)
	for _, pair := range [][2]string{
		{"level", level}, {"code", code}, {"description", description},
	} {
		body = appendAMFText(body, pair[0])
		body = appendAMFString(body, pair[1])
	}
	body = append(body, 0, 0, amfObjectEnd)
	return appendMessage(5, 1, typeCommandAMF0, body, chunkSize)
}

// controlMessage is a protocol control message on chunk stream 2 (5.4).
func controlMessage(typ uint8, body []byte) []byte {
	return appendMessage(2, 0, typ, body, len(body))
}

func appendMessage(id int, streamID uint32, typ uint8, body []byte, chunkSize int) []byte {
	cs := &chunkStream{id: id, typ: typ, streamID: streamID, length: uint32(len(body)), body: body} //nolint:gosec // ours, short
	p := &parser{chunkSize: uint32(chunkSize)}                                                      //nolint:gosec // ours, short
	p.forward(cs)
	return p.emit
}

func appendAMFString(dst []byte, s string) []byte {
	return appendAMFText(append(dst, amfString), s)
}

func appendAMFText(dst []byte, s string) []byte {
	if len(s) > maxDescriptionBytes {
		s = strings.ToValidUTF8(s[:maxDescriptionBytes], "")
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s))) //nolint:gosec // cut above
	return append(dst, s...)
}
