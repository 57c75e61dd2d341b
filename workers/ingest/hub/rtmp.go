package hub

import (
	"context"
	"errors"
	"net"

	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

// Player admits RTMP viewers.
type Player struct{ Hub *Hub }

// Status codes that a viewer gets.
const (
	statusNotFound = "NetStream.Play.StreamNotFound"
	statusFailed   = "NetStream.Play.Failed"
	statusStop     = "NetStream.Play.Stop"
)

// Play implements rtmpin.Player.
func (p Player) Play(ctx context.Context, req rtmpin.PlayRequest) (rtmpin.Viewer, error) {
	t, err := p.Hub.Admit(ctx, req.Name, req.Remote)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, &rtmpin.Reject{Code: statusNotFound, Description: ErrNotFound.Error()}
	case errors.Is(err, ErrFull), errors.Is(err, ErrShutdown):
		return nil, &rtmpin.Reject{Code: statusFailed, Description: err.Error()}
	case err != nil:
		return nil, err
	}
	return rtmpViewer{t}, nil
}

type rtmpViewer struct{ *Ticket }

// Start implements rtmpin.Viewer.
func (r rtmpViewer) Start(conn net.Conn, done func(*rtmpin.Reject)) {
	sink, stop := Connection(conn, r.h.Now)
	_, waits := sink.(*pump)
	r.Ticket.Start(RTMP, sink, func(why error) {
		switch {
		case waits:
			stop() // the pump may be in a message
			done(nil)
		case r.v.partial, errors.Is(why, ErrLeft):
			done(nil)
		case errors.Is(why, ErrEnded), errors.Is(why, ErrGone):
			done(&rtmpin.Reject{Code: statusStop, Description: why.Error()})
		default:
			done(&rtmpin.Reject{Code: statusFailed, Description: why.Error()})
		}
	})
}
