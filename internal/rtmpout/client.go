// Package rtmpout is a small RTMP publisher (Adobe RTMP 1.0): what the built-in
// demo and the tests send with. It knows the protocol and FLV files, not codecs.
package rtmpout

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// MessageType is an RTMP message type id (7.1), which is also FLV's tag type.
type MessageType uint8

// The message types that Write takes.
const (
	TypeAudio MessageType = 8
	TypeVideo MessageType = 9
	TypeData  MessageType = 18
)

const (
	typeSetChunkSize  MessageType = 1
	typeAck           MessageType = 3
	typeUserControl   MessageType = 4
	typeWindowAckSize MessageType = 5
	typeCommandAMF3   MessageType = 17
	typeCommandAMF0   MessageType = 20

	maxPayload   = 1<<24 - 1
	writeTimeout = 10 * time.Second
	closeTimeout = 2 * time.Second
)

// StatusError is the server's refusal, or what it said when it ended a publish.
type StatusError struct {
	Code        string // such as NetStream.Publish.BadName
	Description string
}

// Error is code and description.
func (e *StatusError) Error() string {
	if e.Description == "" {
		return e.Code
	}
	return e.Code + ": " + e.Description
}

// Options of a Client.
type Options struct {
	// Now is the clock for socket deadlines: time.Now. Required.
	Now func() time.Time
	// Software is connect's flashVer; default "FMLE/3.0 (compatible; roomcast)".
	Software string
	// TLS is for rtmps URLs; nil = the system's trust, the URL's host.
	TLS *tls.Config
}

// Client is one publish in progress. Write, Close, Abort, Err and Done are
// safe for concurrent use.
type Client struct {
	conn net.Conn
	opts Options

	wmu     sync.Mutex // guards the sending side
	sent    [8]sentStream
	size    int
	out     []byte
	closing bool

	in       *reader
	window   uint32 // the server's; 0: none
	acked    uint32
	streamID uint32

	done chan struct{} // closed when the reading goroutine ends
	err  error         // why; set before done closes
}

// Dial connects and publishes: handshake, connect, releaseStream, FCPublish,
// createStream, publish. It returns once the server has granted the publish; a
// refusal is a *StatusError. rawURL is rtmp[s]://host[:port]/app/key[?query]; no
// error repeats the key. ctx bounds Dial only.
func Dial(ctx context.Context, rawURL string, opts Options) (*Client, error) {
	t, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	if opts.Now == nil {
		return nil, errors.New("rtmpout: a clock is required")
	}
	if opts.Software == "" {
		opts.Software = "FMLE/3.0 (compatible; roomcast)"
	}
	dial := new(net.Dialer).DialContext
	if t.tls {
		dial = (&tls.Dialer{Config: opts.TLS}).DialContext
	}
	conn, err := dial(ctx, "tcp", t.address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", t.address, err)
	}
	c := &Client{
		conn: conn, opts: opts, size: 128,
		in: newReader(bufio.NewReader(conn)), done: make(chan struct{}),
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // unblocks the negotiation
	err = c.negotiate(t)
	if !stop() && err != nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close() // the negotiation's error is the one to return
		return nil, fmt.Errorf("publish to %s: %w", t.address, err)
	}
	go c.listen()
	return c, nil
}

// negotiate goes from the handshake to NetStream.Publish.Start.
func (c *Client) negotiate(t target) error {
	if err := c.handshake(); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	size := binary.BigEndian.AppendUint32(nil, chunkSize)
	if err := c.send(2, typeSetChunkSize, 0, 0, size); err != nil {
		return err
	}
	c.size = chunkSize
	if err := c.command(0, "connect", 1.0, []pair{
		{"app", t.app}, {"type", "nonprivate"}, {"flashVer", c.opts.Software}, {"tcUrl", t.tcURL},
	}); err != nil {
		return err
	}
	if _, err := c.await(1); err != nil {
		return err
	}
	for i, name := range []string{"releaseStream", "FCPublish"} {
		if err := c.command(0, name, float64(i+2), null{}, t.key); err != nil {
			return err
		}
	}
	if err := c.command(0, "createStream", 4.0, null{}); err != nil {
		return err
	}
	created, err := c.await(4)
	if err != nil {
		return err
	}
	c.streamID = uint32(created.Number)
	if err := c.command(c.streamID, "publish", 5.0, null{}, t.key, "live"); err != nil {
		return err
	}
	_, err = c.await(5)
	return err
}

// handshake sends C0, C1 and C2 of the simple form (5.2).
func (c *Client) handshake() error {
	hello := make([]byte, 1+1536)
	hello[0] = 3
	if _, err := c.conn.Write(hello); err != nil {
		return err
	}
	reply := make([]byte, 1+1536+1536)
	if err := c.in.full(reply); err != nil {
		return err
	}
	if reply[0] != 3 {
		return errors.New("the server does not speak RTMP")
	}
	_, err := c.conn.Write(reply[1 : 1+1536])
	return err
}

// await reads until the server answers transaction, or for publish (5) sends
// its onStatus.
func (c *Client) await(transaction float64) (answer, error) {
	for {
		a, err := c.hear()
		if err != nil {
			return a, err
		}
		switch {
		case a.Name == "_error" && (a.Transaction == transaction || a.Transaction == 0):
			return a, &StatusError{Code: a.Code, Description: a.Description}
		case a.Name == "_result" && a.Transaction == transaction && transaction != 5:
			return a, nil
		case a.Name == "onStatus" && a.Level == "error":
			return a, &StatusError{Code: a.Code, Description: a.Description}
		case a.Name == "onStatus" && a.Code == "NetStream.Publish.Start" && transaction == 5:
			return a, nil
		}
	}
}

// hear returns the server's next command and serves what else it sends:
// acknowledgements on its window, answers to its pings.
func (c *Client) hear() (answer, error) {
	for {
		typ, body, err := c.in.next()
		if err != nil {
			return answer{}, err
		}
		switch {
		case typ == typeWindowAckSize && len(body) >= 4:
			c.window = binary.BigEndian.Uint32(body)
		case typ == typeUserControl && len(body) >= 6 && body[0] == 0 && body[1] == 6:
			if err := c.send(2, typeUserControl, 0, 0, append([]byte{0, 7}, body[2:6]...)); err != nil {
				return answer{}, err
			}
		case typ == typeCommandAMF3 && len(body) > 0:
			return parseAnswer(body[1:]), nil
		case typ == typeCommandAMF0:
			return parseAnswer(body), nil
		}
		if c.window > 0 && c.in.read-c.acked >= c.window/2 {
			c.acked = c.in.read
			if err := c.send(2, typeAck, 0, 0, binary.BigEndian.AppendUint32(nil, c.acked)); err != nil {
				return answer{}, err
			}
		}
	}
}

// listen is the reading goroutine of a granted publish.
func (c *Client) listen() {
	defer close(c.done)
	for {
		a, err := c.hear()
		switch {
		case err == nil && a.Level == "error":
			c.err = &StatusError{Code: a.Code, Description: a.Description}
		case errors.Is(err, io.EOF):
			c.err = fmt.Errorf("server closed the connection: %w", err)
		case err != nil:
			c.err = fmt.Errorf("read from the server: %w", err)
		default:
			continue
		}
		_ = c.conn.Close() // a write under way fails, and Err says why
		return
	}
}

// Done is closed when the server ended the publish or the connection is gone.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is nil while the publish goes on, then why it ended: a *StatusError
// where the server said so.
func (c *Client) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}
