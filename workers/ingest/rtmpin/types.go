// Package rtmpin accepts RTMP publishers: an accept loop of our own, a guard
// that checks every byte before lal sees it, and bounded messages out.
package rtmpin

import (
	"context"
	"net"
)

// MessageType is the RTMP message type id (RTMP 1.0, 7.1).
type MessageType uint8

// The message types that leave this package.
const (
	TypeAudio MessageType = 8
	TypeVideo MessageType = 9
	TypeData  MessageType = 18
)

// Message is one complete audio, video or data message of a publisher.
// Payload belongs to the receiver. Of audio and video (at most 8 MiB) it is
// unchecked and may be empty; of data (at most 64 KiB) only the leading AMF0
// string is checked, and it begins with @setDataFrame where the encoder sent that.
type Message struct {
	Type MessageType
	// TimestampMS wraps at 2^32.
	TimestampMS uint32
	Payload     []byte
}

// PublishRequest is a publish command as it came, held until it is answered.
type PublishRequest struct {
	App string // connect's app without query
	// StreamKey is the publishing name without query. It is a secret: never log it.
	StreamKey string
	// Mode is the raw value of mode= behind the key or inside the app; "" when absent.
	Mode string
	// Software is connect's flashVer / the encoder's name; "" when absent.
	Software string
	Remote   net.Addr
}

// Reject says why a publish is refused: Code is an RTMP status code such as
// NetStream.Publish.BadName, Description one clear sentence without secrets.
type Reject struct {
	Code        string
	Description string
}

// Error makes a Reject an error that Handler.Publish may return.
func (r *Reject) Error() string { return r.Code + ": " + r.Description }

// EndCause says how a publisher's connection ended.
type EndCause int

// How a connection ends.
const (
	// EndUnpublish: deleteStream, closeStream or FCUnpublish: a clean end.
	EndUnpublish EndCause = iota + 1
	// EndLost: the connection broke or went silent.
	EndLost
	// EndKicked: Conn.Kick was called, or Publisher.Message returned an error.
	EndKicked
	// EndProtocol: the peer broke the protocol or a limit.
	EndProtocol
)

// String is the cause's name in logs.
func (c EndCause) String() string {
	switch c {
	case EndUnpublish:
		return "unpublish"
	case EndLost:
		return "lost"
	case EndKicked:
		return "kicked"
	case EndProtocol:
		return "protocol"
	}
	return "unknown"
}

// Conn is what a Publisher may do to its connection. Safe for concurrent use.
type Conn interface {
	// Kick sends the status, where that is still possible, and closes the
	// connection. Idempotent; does not wait.
	Kick(code, description string)
}

// Publisher receives one admitted publisher's messages, in order, on the
// connection's goroutine.
type Publisher interface {
	// Message may block (back-pressure); an error ends the connection and its
	// text is the reason that the peer and the log get.
	Message(Message) error
	// End is called exactly once, last, on the same goroutine. It may take up
	// to 10 s to flush.
	End(cause EndCause, err error)
}

// PlayRequest is a play command as it came, held until it is answered.
type PlayRequest struct {
	App string // connect's app without query
	// Name is the playing name without query: a play id, if it is known.
	Name   string
	Remote net.Addr
}

// Player admits viewers. Play is called with the play command still
// unanswered; see Handler for errors and time. A viewer that is admitted is
// started, or else cancelled.
type Player interface {
	Play(ctx context.Context, req PlayRequest) (Viewer, error)
}

// Viewer is an admitted viewer.
type Viewer interface {
	// Start hands the connection's sending side over: NetStream.Play.Start and
	// Set Chunk Size (PlayChunkSize) have been sent, and nobody but the Viewer
	// writes from now on. It returns at once. done is called once, at the end:
	// nothing is written any more. With a Reject, which needs an unfinished
	// message not to be there, the peer is told why; the connection is closed.
	Start(conn net.Conn, done func(*Reject))
	// Leave says that the peer is gone or is being closed. done still comes.
	Leave()
	// Cancel takes Play back; instead of Start.
	Cancel()
}

// PlayChunkSize is the chunk size that viewers are told.
const PlayChunkSize = 60_000

// Handler admits publishers. Publish is called with the publish command still
// unanswered and may take up to 8 s; only that one connection waits. A
// *Reject is sent to the peer; any other error becomes a generic refusal.
// ctx ends with the connection.
type Handler interface {
	Publish(ctx context.Context, req PublishRequest, conn Conn) (Publisher, error)
}
