package rtmpin

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
)

// errAlone ends lal's session: it is not needed to play, nor behind the answer
// to publish.
var errAlone = errors.New("the guard goes on alone")

// playApp is the app under which play ids are.
const playApp = "play"

const (
	// viewerBufferBytes holds what a player says at a time.
	viewerBufferBytes = 512
	// viewerBudgetEvery is how often a viewer may say maxEarlyBytes.
	viewerBudgetEvery = 10 * time.Second
)

// play asks the player while the command is held. lal never sees it.
func (g *guard) play(name string) {
	viewer, err := g.askPlay(name)
	if err != nil {
		reject := &Reject{Code: codePlayFailed, Description: "playing is not possible at the moment, please try again"}
		_ = errors.As(err, &reject)
		g.end(EndProtocol, fmt.Errorf("play refused: %w", err), reject)
		return
	}
	g.viewer = viewer
	g.srv.watching(g)
}

func (g *guard) askPlay(name string) (viewer Viewer, err error) {
	app, _ := splitQuery(g.app)
	req := PlayRequest{App: strings.Trim(app, "/"), Remote: g.raw.RemoteAddr()}
	req.Name, _ = splitQuery(name)
	if g.srv.opts.Player == nil || req.App != playApp || req.Name == "" {
		return nil, &Reject{Code: codePlayNotFound, Description: "no such stream"}
	}
	err = g.ask(func(ctx context.Context) (err error) {
		viewer, err = g.srv.opts.Player.Play(ctx, req)
		if err == nil && viewer == nil {
			err = errors.New("player returned no viewer")
		}
		return err
	})
	return viewer, err
}

// watch answers play, hands the sending side to the viewer, and reads what the
// player says until one of them ends.
func (g *guard) watch() {
	if _, err := g.Write(playAnswer(g.chunkSizeNow())); err != nil || g.hasEnded() {
		g.viewer.Cancel()
		g.end(EndLost, err, nil)
		return
	}
	rest := g.buf[g.r:g.w]
	g.buf = make([]byte, max(viewerBufferBytes, len(rest)))
	g.r, g.w = 0, copy(g.buf, rest)
	g.waited = 0
	_ = g.raw.SetWriteDeadline(time.Time{}) // the viewer has its own; the answer's would cut it
	over := make(chan struct{})
	g.viewer.Start(g.raw, func(last *Reject) {
		defer close(over)
		g.mu.Lock()
		g.silent = last != nil
		g.chunkSize = PlayChunkSize
		g.mu.Unlock()
		reason := errors.New("closed by the server")
		if last != nil {
			reason = errors.New(last.Description)
		}
		g.conclude(EndKicked, reason, last)
	})
	refill := g.srv.opts.Now().Add(viewerBudgetEvery)
	err := g.follow(func(m *chunkStream) error {
		if now := g.srv.opts.Now(); now.After(refill) {
			g.parse.budget, refill = maxEarlyBytes, now.Add(viewerBudgetEvery)
		}
		return g.viewerMessage(m)
	})
	if err != nil {
		g.end(EndProtocol, err, nil)
	}
	g.viewer.Leave()
	<-over
}

// viewerMessage follows a player: it may end, and nothing else that matters.
func (g *guard) viewerMessage(m *chunkStream) error {
	body := m.body
	switch {
	case m.typ == typeCommandAMF3 && len(body) > 0 && body[0] == 0:
		body = body[1:]
	case m.typ != typeCommandAMF0:
		return nil
	}
	c, err := parseCommand(body)
	if err != nil {
		return err
	}
	switch c.Name {
	case "connect", "publish", "play":
		return errors.New("second connect, publish or play")
	case "deleteStream", "closeStream":
		g.end(EndUnpublish, nil, nil)
	}
	return nil
}

func (g *guard) chunkSizeNow() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.chunkSize
}

// playAnswer is what a player waits for (7.2.2.1), and the chunk size that
// what follows has.
func playAnswer(chunkSize int) []byte {
	const streamBegin = 0
	out := controlMessage(typeUserControl, []byte{0, streamBegin, 0, 0, 0, 1})
	for _, s := range [][2]string{
		{"NetStream.Play.Reset", "playing from the start"}, {"NetStream.Play.Start", "playing"},
	} {
		out = append(out, onStatus("status", s[0], s[1], chunkSize)...)
	}
	access := appendAMFString(nil, "|RtmpSampleAccess")
	access = append(access, amfBoolean, 1, amfBoolean, 1)
	out = append(out, appendMessage(5, 1, uint8(TypeData), access, chunkSize)...)
	return append(out, controlMessage(typeSetChunkSize, binary.BigEndian.AppendUint32(nil, PlayChunkSize))...)
}
