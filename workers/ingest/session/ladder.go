package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ladder"
	"github.com/roomcast/roomcast/workers/ingest/segment"
	"github.com/roomcast/roomcast/workers/ingest/transcode"
	"github.com/roomcast/roomcast/workers/ingest/upload"
)

// Why a key's profile is not kept; the stream is published as it comes.
const (
	warnNoProfile = "the key's transcoding profile does not exist: the stream is published as it comes"
	warnNoEncoder = "this server cannot encode (ffmpeg is missing): the stream is published as it comes"
	warnNoRoom    = "this server has no room for the profile's renditions: the stream is published as it comes"
)

// profileOf answers the live profile of a key: without steps, everything
// passes as it comes.
func (h *Handler) profileOf(ctx context.Context, id broadcast.ProfileID) (p ladder.Profile, warning string, err error) {
	if h.Profiles == nil {
		return p, "", nil
	}
	p, err = h.Profiles(ctx, id)
	switch {
	case errors.Is(err, control.ErrNotFound):
		return ladder.Profile{}, warnNoProfile, nil
	case err != nil:
		return p, "", fmt.Errorf("read the live profile %s: %w", id, err)
	case len(p.Steps) > 0 && h.Encoder == nil:
		p.Steps, warning = nil, warnNoEncoder
	}
	return p, warning, nil
}

// reserve takes places of the worker's capacity for a session: one, and those
// of its profile's renditions. Where only these do not fit, the session goes
// without them.
func (h *Handler) reserve(p ladder.Profile) (slots int, fits, all bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	slots = 1 + transcode.Slots(p)
	free := h.Capacity - h.used
	if h.Capacity <= 0 {
		free = slots
	}
	if free < 1 {
		return 0, false, false
	}
	if slots > free {
		slots, all = 1, false
	} else {
		all = true
	}
	h.used += slots
	return slots, true, all
}

// giveBack frees a session's places.
func (h *Handler) giveBack(slots int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.used -= slots
}

// Load says how many places of the worker are taken and how many there are; 0
// = no limit.
func (h *Handler) Load() (used, capacity int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.used, h.Capacity
}

// climb begins the ladder where the profile has one, or where an earlier
// session of this show has published one: its viewers go on.
func (s *session) climb(resumed upload.Resumed) {
	if !s.mode.CMAF() || len(s.profile.Steps) == 0 && len(resumed.Videos) < 2 {
		return
	}
	s.ladder = transcode.New(transcode.Options{
		Tool: s.h.Encoder, Profile: s.profile, Known: resumed.Videos, Sink: s.queue, Now: s.h.Now, Log: s.log,
	})
}

// sink hands what the packager makes to the ladder, or to the upload queue.
type sink struct{ s *session }

func (k sink) Init(in segment.Init) error {
	if k.s.ladder != nil {
		return k.s.ladder.Init(in)
	}
	return k.s.queue.Init(in)
}

func (k sink) Segment(seg segment.Segment) error {
	if k.s.ladder != nil {
		return k.s.ladder.Segment(seg)
	}
	return k.s.queue.Segment(seg)
}

func (k sink) Warn(w segment.Warning) { k.s.log.Warn("ingest", "code", w.Code, "warning", w.Text) }
