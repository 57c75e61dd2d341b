package hub

import "time"

// Beyond these a publisher's timestamps have jumped (as in timeline).
const (
	jumpBack    = -3 * time.Second
	jumpForward = 10 * time.Second
)

// rising maps the timestamps of one upstream after another to one time line
// that begins at 0 and goes on, over interruptions, by the viewers' clock.
type rising struct {
	begun   bool
	offset  uint32 // out - in
	in      uint32 // the last one
	newest  uint32 // the highest that went out
	arrived time.Time
	fresh   bool // the next message is a new upstream's first
}

// upstream says that what follows has another time base.
func (r *rising) upstream() { r.fresh = true }

func (r *rising) next(in uint32, now time.Time) uint32 {
	switch d := time.Duration(int32(in-r.in)) * time.Millisecond; { //nolint:gosec // wraps as timestamps do
	case !r.begun:
		r.offset = -in
		r.begun = true
	case r.fresh || d < jumpBack || d > jumpForward:
		r.offset = r.newest + uint32(max(now.Sub(r.arrived).Milliseconds(), 1)) - in //nolint:gosec // minutes
	}
	r.fresh = false
	r.in, r.arrived = in, now
	out := in + r.offset
	behind := int32(out-r.newest) < 0 //nolint:gosec // as above
	if behind && out > r.newest {
		return 0 // a track that began a little before the first message
	}
	if !behind {
		r.newest = out
	}
	return out
}
