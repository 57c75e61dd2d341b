package rtmpout

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"
)

// ErrClosed is what Write returns after Close or Abort.
var ErrClosed = errors.New("rtmpout: closed")

// Write sends one message. timestampMS may wrap. Payload is read before Write
// returns and at most 16 MiB - 1. When the server has ended the publish, the
// error is what it said (*StatusError). Blocks while the server does not read.
func (c *Client) Write(typ MessageType, timestampMS uint32, payload []byte) error {
	id := byte(5)
	switch typ {
	case TypeVideo:
		id = 6
	case TypeAudio:
		id = 4
	case TypeData:
	default:
		return fmt.Errorf("write message type %d: only audio, video and data", typ)
	}
	if len(payload) > maxPayload {
		return fmt.Errorf("write message of %d bytes: RTMP allows %d", len(payload), maxPayload)
	}
	err := c.send(id, typ, timestampMS, c.streamID, payload)
	if err == nil || errors.Is(err, ErrClosed) {
		return err
	}
	<-c.done // the reader knows the server's last word
	var status *StatusError
	if errors.As(c.err, &status) {
		return c.err
	}
	return fmt.Errorf("write to the server: %w", err)
}

// Close ends the publish cleanly: FCUnpublish, deleteStream, close. It returns
// nil when the publish was still on, else what ended it.
func (c *Client) Close() error {
	if ended := c.Err(); ended != nil {
		return ended
	}
	c.deadline(closeTimeout) // for a write that is under way
	err := c.unpublish()
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok && err == nil && half.CloseWrite() == nil {
		// The server reads our words, then closes.
		_ = c.conn.SetReadDeadline(c.opts.Now().Add(closeTimeout)) // a dead socket ends the reader anyway
		<-c.done
	}
	_ = c.conn.Close() // often closed by the reader
	<-c.done
	if errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}

// Abort cuts the connection without a word, as a crash would.
func (c *Client) Abort() {
	if tcp, ok := c.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // only makes the cut harder
	}
	_ = c.conn.Close() // a second close does no harm
	<-c.done
	c.shut()
}

// unpublish says in one write that the publish is over: a server may close at
// the first word. Nothing is written after it.
func (c *Client) unpublish() error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if c.closing {
		return ErrClosed
	}
	c.closing = true
	s, out := &c.sent[3], c.out[:0]
	out = s.appendMessage(out, 3, typeCommandAMF0, 0, 0, appendAMF(nil, "FCUnpublish", 6.0, null{}), c.size)
	out = s.appendMessage(out, 3, typeCommandAMF0, 0, 0,
		appendAMF(nil, "deleteStream", 7.0, null{}, float64(c.streamID)), c.size)
	c.deadline(closeTimeout)
	_, err := c.conn.Write(out)
	return err
}

// shut makes later writes fail with ErrClosed.
func (c *Client) shut() {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.closing = true
}

// command sends an AMF0 command.
func (c *Client) command(streamID uint32, values ...any) error {
	return c.send(3, typeCommandAMF0, 0, streamID, appendAMF(nil, values...))
}

// send writes one message on chunk stream id.
func (c *Client) send(id byte, typ MessageType, timestamp, streamID uint32, payload []byte) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if c.closing {
		return ErrClosed
	}
	c.out = slices.Grow(c.out[:0], len(payload)+len(payload)/1024+64)
	c.out = c.sent[id].appendMessage(c.out[:0], id, typ, timestamp, streamID, payload, c.size)
	c.deadline(writeTimeout)
	_, err := c.conn.Write(c.out)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		_ = c.conn.Close() // half a message is out: nothing can follow
	}
	return err // any other error comes from a dead socket, of which the reader hears too
}

func (c *Client) deadline(d time.Duration) {
	_ = c.conn.SetWriteDeadline(c.opts.Now().Add(d)) // a dead socket says so at the write
}
