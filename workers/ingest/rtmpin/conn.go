package rtmpin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/q191201771/lal/pkg/rtmp"
)

// lastWords bounds the telling of a status, and the wait for the peer to close after it.
const lastWords = time.Second

// serve is a connection's goroutine from accept to the end of all it started.
func (g *guard) serve() {
	began := g.srv.opts.Now()
	if g.awaitHello() {
		g.runLal()
	}
	switch {
	case g.viewer != nil:
		g.watch()
	case g.started:
		g.take()
	}
	close(g.readDone)
	cause, err := g.outcome()
	if g.pub != nil {
		g.finishPublisher(cause, err)
	}
	g.farewell.Wait()
	reason := "left"
	if err != nil {
		reason = err.Error()
	}
	g.srv.opts.Logger.Info("rtmp connection ended",
		"remote", g.raw.RemoteAddr().String(), "published", g.pub != nil, "played", g.viewer != nil,
		"cause", cause.String(), "reason", reason, "duration", g.srv.opts.Now().Sub(began),
		"bytes", g.received, "messages", g.messages)
}

// awaitHello waits for C0 and C1: a session of lal holds 20 KB, which who says
// nothing does not get. It answers false when the connection has ended.
func (g *guard) awaitHello() bool {
	for g.w < helloBytes && (g.w == 0 || g.buf[0] == rtmpVersion) {
		if g.fill() != nil {
			return false
		}
	}
	return true
}

// runLal runs the session until the guard's Read fails. lal panics on what it
// does not expect; nothing of that kind should get past the guard.
func (g *guard) runLal() {
	session := rtmp.NewServerSession(g, g)
	defer func() {
		if p := recover(); p != nil {
			g.end(EndProtocol, g.panicked(p), nil)
		}
		_ = session.Dispose() // frees lal's goroutine; the guard's Close cannot fail
	}()
	err := session.RunLoop()
	if g.viewer != nil || g.started {
		return // the guard goes on alone
	}
	g.end(EndProtocol, fmt.Errorf("rtmp session: %w", err), nil) // where the guard has not said more
}

func (g *guard) finishPublisher(cause EndCause, err error) {
	defer func() {
		if p := recover(); p != nil {
			_ = g.panicked(p) // logged; there is nobody left to tell
		}
	}()
	g.pub.End(cause, err)
}

// end records why the connection ends and starts the farewell; the first one
// counts. For the connection's goroutine alone: others call Kick.
func (g *guard) end(cause EndCause, err error, status *Reject) {
	if status == nil && cause == EndProtocol {
		status = &Reject{Code: codeConnectRefused, Description: err.Error()}
		if g.parse.published {
			status.Code = codeFailed
		}
	}
	g.conclude(cause, err, status)
}

// Kick ends the connection from any goroutine. A pending read is woken; where
// the connection's goroutine is busy in a Publisher, the peer is cut all the same.
func (g *guard) Kick(code, description string) {
	g.conclude(EndKicked, errors.New("kicked: "+description), &Reject{Code: code, Description: description})
}

func (g *guard) conclude(cause EndCause, err error, status *Reject) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return
	}
	g.ended, g.cause, g.err = true, cause, err
	g.wake()
	if g.viewer != nil && !g.silent {
		_ = g.raw.Close() // the viewer may be in the middle of a message
		return
	}
	switch {
	case status != nil && g.greeted:
		words := statusMessage(*status, g.chunkSize)
		g.farewell.Go(func() { g.sayFarewell(words) })
	case cause == EndUnpublish:
		g.farewell.Go(func() { g.sayFarewell(nil) })
	default:
		// There is nobody to tell. What a peer that never reads was still to get
		// would lie in the kernel, and keep the close from it.
		if tcp, ok := g.raw.(interface{ SetLinger(sec int) error }); ok && cause == EndLost {
			_ = tcp.SetLinger(0) // a reset
		}
		_ = g.raw.Close()
	}
}

func (g *guard) hasEnded() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ended
}

func (g *guard) outcome() (EndCause, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cause, g.err
}

// sayFarewell tells the peer why, if there is anything to tell, waits a moment
// for it to close, so that our close does not overtake the words, and closes.
func (g *guard) sayFarewell(words []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*lastWords)
	defer cancel()
	cut := context.AfterFunc(ctx, func() { _ = g.raw.Close() }) // whatever still holds it
	defer func() { _ = g.raw.Close() }()                        // nothing is left to say
	defer cut()
	deadline := g.srv.opts.Now().Add(lastWords)
	_ = g.raw.SetWriteDeadline(deadline) // also ends a write that is under way
	g.wmu.Lock()
	g.muted = true
	if _, err := g.write(words, lastWords); err != nil {
		g.wmu.Unlock()
		return
	}
	g.wmu.Unlock()
	// Who says goodbye closes by itself; GStreamer takes our close for a loss.
	if half, ok := g.raw.(interface{ CloseWrite() error }); ok && len(words) > 0 {
		_ = half.CloseWrite() // the close will do
	}
	select {
	case <-g.readDone:
	case <-ctx.Done():
		return
	}
	_ = g.raw.SetReadDeadline(deadline) // a dead socket says so at the read
	_, _ = io.Copy(io.Discard, g.raw)   // until it closes or the deadline
}

// follow hands the peer's messages to take until the connection has ended; an
// error is the peer's fault. lal is out by then: nothing is forwarded.
func (g *guard) follow(take func(*chunkStream) error) error {
	for !g.hasEnded() {
		n, _, done, err := g.parse.step(g.buf[g.r:g.w], nil)
		g.r += n
		g.parse.emit = nil
		if err != nil {
			return err
		}
		if done != nil {
			if err := take(done); err != nil {
				return err
			}
			done.body = nil // it has an owner
			continue
		}
		if g.fill() != nil {
			return nil // said by fill
		}
	}
	return nil
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
