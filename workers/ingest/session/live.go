package session

import (
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

// Live is where RTMP and HTTP-FLV viewers are: the hub.
type Live interface {
	// Publish makes a session the play id's upstream. ready is called once,
	// from Feed.Message, when a viewer who joins gets a picture at once.
	Publish(id broadcast.PlayID, ready func()) Feed
}

// Feed takes a session's messages, on one goroutine. Payloads are shared:
// nobody may change them.
type Feed interface {
	Message(m rtmpin.Message)
	// End says that the publisher is gone.
	End()
}

// recordingDuration is that of segments which only a recording is made of.
const recordingDuration = 6 * time.Second

// What PUBLISHED waits for.
const (
	needsPicture  uint32 = 1 << iota // RTMP and HTTP-FLV viewers get one at once
	needsManifest                    // the first segments and all manifests can be read
)

// needs is what PUBLISHED means in a mode (docs/states.md, "Stream key").
func needs(m broadcast.Mode) uint32 {
	var n uint32
	if m.RTMP() {
		n |= needsPicture
	}
	if m.CMAF() {
		n |= needsManifest
	}
	return n
}

// reached tells PUBLISHED when nothing is missing any more.
func (s *session) reached(what uint32) {
	if old := s.missing.And(^what); old != 0 && old&^what == 0 {
		s.tell(broadcast.Published, nil)
	}
}

// goLive begins to feed the viewers of the mode's RTMP outputs.
func (s *session) goLive() {
	s.missing.Store(needs(s.mode))
	if s.mode.RTMP() {
		s.feed = s.h.Live.Publish(s.lease.PlayID, func() { s.reached(needsPicture) })
	}
}
