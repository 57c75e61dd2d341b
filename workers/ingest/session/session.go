package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ladder"
	"github.com/roomcast/roomcast/internal/lease"
	"github.com/roomcast/roomcast/workers/ingest/packager"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
	"github.com/roomcast/roomcast/workers/ingest/segment"
	"github.com/roomcast/roomcast/workers/ingest/transcode"
	"github.com/roomcast/roomcast/workers/ingest/upload"
)

const (
	// stoppedAfter is when STOPPED is told at the latest after the publisher
	// left; flushFor is how long the last segments may still take.
	stoppedAfter = 5 * time.Second
	flushFor     = 9 * time.Second
)

// session is one publisher: an rtmpin.Publisher. Message and End run on the
// connection's goroutine; renewals and uploads have goroutines of their own.
type session struct {
	h       *Handler
	log     *slog.Logger
	id      broadcast.SessionID
	key     broadcast.KeyID
	mode    broadcast.Mode
	notes   []string // warnings of its admission
	profile ladder.Profile
	slots   int
	req     rtmpin.PublishRequest
	conn    rtmpin.Conn
	started time.Time

	lease    broadcast.Lease // as taken
	told     lease.Log       // its events' order
	packager *packager.Packager
	queue    *upload.Queue
	ladder   *transcode.Ladder // nil = everything passes as it comes
	feed     Feed              // nil without RTMP outputs
	missing  atomic.Uint32

	stop    context.Context // ends the renewals
	stopped context.CancelFunc
	renewed chan struct{} // closed when renew has returned

	renewals, messages, lastSegment atomic.Uint64
	media                           atomic.Uint64 // messages, as last told
	left                            atomic.Bool   // the publisher has
	health                          atomic.Pointer[broadcast.Health]
	healthAt                        time.Time // on the connection's goroutine
	rhythm                          atomic.Pointer[rhythm]
	lost                            atomic.Bool

	mu     sync.Mutex
	reason *broadcast.KeyError // why this session was ended by us
}

func (h *Handler) newSession(p control.Publisher, req rtmpin.PublishRequest, conn rtmpin.Conn, mode broadcast.Mode, notes ...string) *session {
	id := broadcast.SessionID(h.IDs.New("ses"))
	s := &session{
		h: h, id: id, key: p.KeyID, mode: mode, notes: notes, req: req, conn: conn, started: h.Now(),
		log:     about(h.Log, p).With("session", id),
		renewed: make(chan struct{}),
	}
	s.stop, s.stopped = context.WithCancel(h.ctx)
	s.health.Store(s.newHealth(packager.Health{}))
	return s
}

// about makes log speak of a publisher's key, and of the room that it carries.
func about(log *slog.Logger, p control.Publisher) *slog.Logger {
	log = log.With("key", p.KeyID)
	if p.RoomID != "" {
		log = log.With("room", p.RoomID)
	}
	return log
}

func (s *session) holder() broadcast.Holder {
	hold := broadcast.Holder{Session: s.id, Worker: s.h.Worker, Address: s.h.Address}
	if s.req.Remote != nil {
		hold.Remote = s.req.Remote.String()
	}
	return hold
}

// start opens the output and tells PREP. Afterwards the session lives until End.
func (s *session) start(ctx context.Context) error {
	opt := upload.Options{Now: s.h.Now, Sleep: s.h.Sleep, TimeURL: s.h.TimeURL, RecordOnly: !s.mode.CMAF()}
	duration := s.h.SegmentDuration
	if s.profile.SegmentSeconds > 0 {
		duration = time.Duration(s.profile.SegmentSeconds) * time.Second
	}
	if opt.RecordOnly {
		duration = recordingDuration
	}
	s.goLive() // first: other workers look for the stream from the lease on
	out, resumed, err := upload.Open(ctx, s.h.Objects, string(s.lease.PlayID), s.lease.Epoch, opt)
	if err != nil {
		s.stopped()
		if s.feed != nil {
			s.feed.End()
		}
		return &refusal{code(err), cause(err), true}
	}
	s.lastSegment.Store(max(resumed.LastSegment, s.lease.LastSegment))
	s.queue = upload.NewQueue(s.h.ctx, out, upload.QueueOptions{Acked: s.acked})
	s.climb(resumed)
	cut := segment.Options{
		Epoch: s.lease.Epoch, SegmentDuration: duration, TargetDuration: resumed.TargetDuration, Silence: resumed.Silence, Sink: sink{s},
	}
	if s.ladder != nil {
		cut.Picture = s.ladder.Picture
	}
	s.packager = packager.New(packager.Options{Now: s.h.Now, Segment: cut})
	s.h.kept.renewed(s, s.h.Now())
	s.tell(broadcast.Prep, nil)
	go s.renew()
	s.log.Info("publishing", "epoch", s.lease.Epoch, "mode", s.mode, "software", s.req.Software, "remote", s.req.Remote)
	return nil
}

// acked runs on the upload queue's goroutine.
func (s *session) acked(a upload.Ack) {
	s.lastSegment.Store(a.LastSegment)
	if a.First {
		s.reached(needsManifest)
	}
}

// tell sends the next event of this session.
func (s *session) tell(phase broadcast.Phase, reason *broadcast.KeyError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seq, ok := s.told.Next(phase)
	if !ok {
		return // an upload that was acknowledged after the end
	}
	e := broadcast.Event{
		ID: broadcast.EventID(s.h.IDs.New("evt")), KeyID: s.key, Session: s.id, Epoch: s.lease.Epoch, Seq: seq,
		Phase: phase, Mode: s.mode, LastSegment: s.lastSegment.Load(), At: s.h.Now(), Error: reason,
	}
	if phase == broadcast.Stopped {
		e.StopReason = "publisher left"
		if reason != nil {
			e.StopReason = reason.Message
		}
	}
	s.h.outbox.send(s.log, e)
}

const healthEvery = time.Second

// Message implements rtmpin.Publisher.
func (s *session) Message(m rtmpin.Message) error {
	s.messages.Add(1)
	if s.feed != nil {
		s.feed.Message(m)
	}
	err := s.packager.Message(m)
	if now := s.h.Now(); err == nil && now.Sub(s.healthAt) >= healthEvery {
		s.healthAt = now
		p := s.packager.Health()
		s.health.Store(s.newHealth(p))
		s.rhythm.Store(&rhythm{p.KeyAt, p.KeyFrameInterval})
		err = s.queue.Err() // the next segment may be 10 s away
	}
	if err != nil {
		s.because(code(err), cause(err))
		return errors.New(cause(err))
	}
	return nil
}

func (s *session) newHealth(p packager.Health) *broadcast.Health {
	h := &broadcast.Health{
		StartedAt: s.started, Software: s.req.Software, VideoCodec: p.VideoCodecs, AudioCodec: p.AudioCodecs,
		WidthPixels: p.WidthPixels, HeightPixels: p.HeightPixels, FrameRate: p.FrameRate, BitrateBPS: p.BitrateBPS,
		KeyFrameInterval: p.KeyFrameInterval, Dropped: p.Dropped, Drift: p.Drift.Round(time.Millisecond), Warnings: slices.Clone(p.Warnings),
	}
	for _, note := range s.notes {
		if note != "" {
			h.Warnings = append(h.Warnings, note)
		}
	}
	if s.ladder != nil {
		h.Warnings = append(h.Warnings, s.ladder.Warnings()...)
	}
	return h
}

// fail ends the session from another goroutine.
func (s *session) fail(code, message string) {
	s.because(code, message)
	s.conn.Kick(statusFailed, message)
}

// because keeps the first reason.
func (s *session) because(code, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason == nil {
		s.reason = &broadcast.KeyError{Code: code, Message: message, At: s.h.Now()}
	}
}

// End implements rtmpin.Publisher: what is open is finished, STOPPED is told
// when everything is acknowledged or 5 s after the publisher left, and the
// lease is released. A session that lost its lease writes nothing more.
func (s *session) End(end rtmpin.EndCause, err error) {
	s.left.Store(true)
	if s.feed != nil {
		s.feed.End()
	}
	if end == rtmpin.EndProtocol && err != nil {
		s.because("PROTOCOL_ERROR", err.Error())
	}
	ctx, cancel := context.WithTimeout(s.h.ctx, flushFor)
	defer cancel()
	if s.lost.Load() {
		cancel()
	} else if err := s.packager.Flush(); err != nil {
		s.because(code(err), cause(err))
	}
	flushed := make(chan struct{})
	go func() {
		defer close(flushed)
		if s.ladder != nil {
			_ = s.ladder.Close(ctx) // the queue knows its own error
		}
		if err := s.queue.Close(ctx); err != nil && !s.lost.Load() {
			s.because(code(err), cause(err))
		}
	}()
	late := time.NewTimer(stoppedAfter)
	defer late.Stop()
	select {
	case <-flushed:
	case <-late.C:
	}
	s.mu.Lock()
	reason := s.reason
	s.mu.Unlock()
	s.tell(broadcast.Stopped, reason)
	<-flushed
	s.stopped()
	<-s.renewed
	s.renewals.Add(1)
	s.release(s.progress())
	s.h.giveBack(s.slots)
	why := "none of ours"
	if reason != nil {
		why = reason.Code + ": " + reason.Message
	}
	s.log.Info("publisher left", "cause", endText(end), "reason", why, "segments", s.lastSegment.Load())
}

func endText(c rtmpin.EndCause) string {
	switch c {
	case rtmpin.EndUnpublish:
		return "unpublish"
	case rtmpin.EndLost:
		return "connection lost"
	case rtmpin.EndKicked:
		return "ended by the server"
	case rtmpin.EndProtocol:
		return "protocol error"
	}
	return fmt.Sprintf("cause %d", c)
}
