package rtmpin

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/q191201771/lal/pkg/rtmp"
)

// publish asks the handler while the command is held; lal sees the command
// only once it is granted, and answers it with NetStream.Publish.Start. That is
// the last that lal does.
func (g *guard) publish(m *chunkStream, req PublishRequest) {
	req.Software, req.Remote = g.software, g.raw.RemoteAddr()
	pub, err := g.askPublish(req)
	if err != nil {
		reject := &Reject{Code: codeFailed, Description: "publishing is not possible at the moment, please try again"}
		_ = errors.As(err, &reject)
		g.end(EndProtocol, fmt.Errorf("publish refused: %w", err), reject)
		return
	}
	g.pub = pub
	g.srv.admitted(g)
	g.parse.admit()
	g.waited = 0
	g.parse.forward(m)
	if grown := make([]byte, readBufferBytesPublish); len(g.buf) < len(grown) {
		g.w = copy(grown, g.buf[g.r:g.w])
		g.r, g.buf = 0, grown
	}
}

func (g *guard) askPublish(req PublishRequest) (pub Publisher, err error) {
	if req.StreamKey == "" {
		return nil, &Reject{Code: codeBadName, Description: "the stream key is missing"}
	}
	err = g.ask(func(ctx context.Context) (err error) {
		pub, err = g.srv.handler.Publish(ctx, req, g)
		if err == nil && pub == nil {
			err = errors.New("handler returned no publisher")
		}
		return err
	})
	return pub, err
}

// ask asks a handler while another goroutine watches the peer, so that the
// context ends with the connection. What the peer sends early is kept, as far
// as the buffer reaches.
func (g *guard) ask(handler func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), g.srv.opts.PublishTimeout)
	defer cancel()
	g.w = copy(g.buf, g.buf[g.r:g.w])
	g.r = 0
	if !g.arm(g.srv.opts.Now().Add(2 * g.srv.opts.PublishTimeout)) {
		return errors.New("connection ended")
	}
	asking, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		for g.w < len(g.buf) && g.readErr == nil {
			g.receive()
		}
		select {
		case <-asking: // woken by us
			if g.readErr != nil && isTimeout(g.readErr) {
				g.readErr = nil
			}
		default:
			if g.readErr != nil {
				cancel()
			}
		}
	}()
	defer func() {
		close(asking)
		g.wake()
		<-watched
		if p := recover(); p != nil {
			err = g.panicked(p)
		}
	}()
	return handler(ctx)
}

// OnRtmpConnect is lal's; the guard has read connect itself.
func (g *guard) OnRtmpConnect(*rtmp.ServerSession, rtmp.ObjectPairArray) {}

// OnNewRtmpPubSession is lal's, right after NetStream.Publish.Start.
func (g *guard) OnNewRtmpPubSession(*rtmp.ServerSession) error {
	g.started = true
	return errAlone
}

// OnNewRtmpSubSession is lal's; no play gets to it.
func (g *guard) OnNewRtmpSubSession(*rtmp.ServerSession) error {
	return errors.New("play is not available")
}

// take reads what a publisher sends until the connection ends.
func (g *guard) take() {
	if g.collector = newCollector(g.raw); g.collector != nil {
		g.pause = time.NewTimer(gatherFor)
		if !g.arm(time.Time{}) { // Kick sets one; silence is seen in gather
			return
		}
	}
	if err := g.follow(g.message); err != nil {
		g.end(EndProtocol, err, nil)
	}
}

// deliver hands a message to the publisher, who owns its payload then.
func (g *guard) deliver(m *chunkStream) {
	g.messages++
	if m.length > 0 && isMedia(m.typ) {
		g.waited = 0
	}
	if err := g.hand(Message{Type: MessageType(m.typ), TimestampMS: m.timestamp, Payload: m.body}); err != nil {
		reject := &Reject{Code: codeFailed, Description: err.Error()}
		_ = errors.As(err, &reject)
		g.end(EndKicked, err, reject)
	}
}

func (g *guard) hand(m Message) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = g.panicked(p)
		}
	}()
	return g.pub.Message(m)
}

// panicked turns a bug of ours into the end of this one connection.
func (g *guard) panicked(p any) error {
	g.srv.opts.Logger.Error("panic in an rtmp connection",
		"remote", g.raw.RemoteAddr().String(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	return &Reject{Code: codeFailed, Description: "internal error"}
}
