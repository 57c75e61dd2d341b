// Package session is one publisher's life: admission, lease, packaging, events
// and end (docs/states.md, "The lease", "Events").
package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ladder"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
	"github.com/roomcast/roomcast/workers/ingest/transcode"
)

// The RTMP status codes that a publisher gets.
const (
	statusBadName = "NetStream.Publish.BadName"
	statusFailed  = "NetStream.Publish.Failed"
)

// Leases is what a worker may do in the store. It is control.Leases.
type Leases interface {
	FindPublisher(ctx context.Context, h broadcast.Hash) (control.Publisher, error)
	Lease(ctx context.Context, id broadcast.KeyID) (broadcast.Lease, error)
	TakeLease(ctx context.Context, id broadcast.KeyID, c control.LeaseCondition, h broadcast.Holder, p broadcast.Progress) (broadcast.Lease, error)
	RenewLease(ctx context.Context, id broadcast.KeyID, epoch uint64, s broadcast.SessionID, p broadcast.Progress) error
	ReleaseLease(ctx context.Context, id broadcast.KeyID, epoch uint64, s broadcast.SessionID, p broadcast.Progress) error
}

// Events takes state events; an error means that nobody knows whether it did.
type Events interface {
	Send(ctx context.Context, e broadcast.Event) error
}

// Options are what a Handler needs; all but Address, Live, Profiles, Encoder,
// Capacity, TimeURL, SegmentDuration and Log are required.
type Options struct {
	Worker broadcast.WorkerID
	// Address is this worker's private host:port; "" on one machine.
	Address string
	Leases  Leases
	Events  Events
	Objects control.Objects
	// Live has the RTMP and HTTP-FLV viewers; nil = modes with those outputs
	// are refused.
	Live Live
	IDs  control.IDs
	Now  func() time.Time
	// Sleep waits, or answers ctx's error when that ends first.
	Sleep func(ctx context.Context, d time.Duration) error
	// Profiles answers a live profile; one without steps encodes nothing.
	// control.ErrNotFound where there is none. nil = nothing is encoded.
	Profiles func(ctx context.Context, id broadcast.ProfileID) (ladder.Profile, error)
	// Encoder starts ffmpeg; nil = there is none that can encode.
	Encoder transcode.Tool
	// Capacity is how many streams this worker carries that pass as they come;
	// a ladder counts as transcode.Slots more. 0 = no limit.
	Capacity int
	// SegmentDuration is that of profiles that say none; default 2 s.
	SegmentDuration time.Duration
	// TimeURL answers the time as xs:dateTime for DASH clients; "" = none.
	TimeURL string
	Log     *slog.Logger
}

const defaultSegmentDuration = 2 * time.Second

// Handler admits publishers of one worker. Safe for concurrent use.
type Handler struct {
	Options
	ctx    context.Context // of everything that outlives a connection
	cancel context.CancelFunc
	tails  sync.WaitGroup // of the outbox, which may still have something to tell
	outbox *outbox

	strangers strangers
	kept      renewals

	mu      sync.Mutex
	refused map[broadcast.KeyID]time.Time // when a refusal was last told
	used    int                           // of Capacity
}

// New makes a Handler; Close ends what its sessions left running.
func New(o Options) *Handler {
	if o.SegmentDuration == 0 {
		o.SegmentDuration = defaultSegmentDuration
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &Handler{Options: o, ctx: ctx, cancel: cancel, refused: map[broadcast.KeyID]time.Time{}}
	h.outbox = &outbox{h: h, keys: map[broadcast.KeyID][]untold{}}
	return h
}

// Close waits until every event is told, but not longer than ctx. Call it when
// the last session has ended.
func (h *Handler) Close(ctx context.Context) error {
	done := make(chan struct{})
	go func() { h.tails.Wait(); close(done) }()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = fmt.Errorf("events are not told: %w", ctx.Err())
	}
	h.cancel()
	<-done
	return err
}

// Publish implements rtmpin.Handler: key, mode, profile, lease, output, in this order;
// nothing is left behind where one of them refuses. One try costs one look-up
// of its string at most.
func (h *Handler) Publish(ctx context.Context, req rtmpin.PublishRequest, conn rtmpin.Conn) (rtmpin.Publisher, error) {
	if h.kept.fail(h.Now()) {
		return nil, reject(statusFailed, "the server cannot reach its store; try again in a moment")
	}
	p, err := h.Leases.FindPublisher(ctx, control.HashSecret(req.StreamKey))
	if errors.Is(err, control.ErrNotFound) {
		if err := h.Sleep(ctx, h.strangers.failed(req.Remote, h.Now())); err != nil {
			return nil, err
		}
		return nil, reject(statusBadName, "the stream key is not valid")
	}
	if err != nil {
		return nil, fmt.Errorf("look the stream key up: %w", err)
	}
	pub, err := h.admit(ctx, p, req, conn)
	var r *refusal
	if errors.As(err, &r) {
		h.tell(p, r)
		return nil, reject(r.status(), r.message)
	}
	return pub, err
}

// admit is Publish for a known key.
func (h *Handler) admit(ctx context.Context, p control.Publisher, req rtmpin.PublishRequest, conn rtmpin.Conn) (rtmpin.Publisher, error) {
	mode, warning, err := h.chooseMode(req.Mode, p)
	if err != nil {
		return nil, err
	}
	profile, noProfile, err := h.profileOf(ctx, p.ProfileID)
	if err != nil {
		return nil, err
	}
	slots, fits, all := h.reserve(profile)
	if !fits {
		return nil, &refusal{"WORKER_FULL", "this server carries as many streams as it can: publish again", true}
	}
	if !all {
		profile.Steps, noProfile = nil, warnNoRoom
	}
	s := h.newSession(p, req, conn, mode, warning, noProfile)
	s.profile, s.slots = profile, slots
	if err := s.take(ctx, p); err != nil {
		h.giveBack(slots)
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		h.giveBack(slots)
		s.release(broadcast.Progress{Mode: mode, LastSegment: s.lease.LastSegment})
		return nil, err
	}
	return s, nil
}

func reject(code, description string) *rtmpin.Reject {
	return &rtmpin.Reject{Code: code, Description: description}
}
