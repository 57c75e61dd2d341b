package timeline

import (
	"time"

	"github.com/roomcast/roomcast/internal/media"
)

const (
	driftWindow = time.Minute
	maxDrift    = 500 * time.Millisecond
)

// Clock ties a timeline to the wall clock by the arrival of its first unit and
// watches how far the publisher's clock drifts from ours. The measure is the
// smallest delay within a minute, so that a stalled uplink is no drift. The
// zero value is ready. Not safe for concurrent use.
type Clock struct {
	set      bool
	wall     time.Time
	ms       int64
	window   time.Time
	least    time.Duration
	units    int
	baseline time.Duration
	measured bool
	drift    time.Duration
	taken    time.Duration // of drift, out of wall
}

// Set anchors: the unit at ms arrived at now.
func (c *Clock) Set(ms int64, now time.Time) {
	*c = Clock{set: true, wall: now, ms: ms, window: now}
}

// Observe notes that the unit at ms arrived at now, and anchors if that has not
// been done. changed is true when the anchor is new: at the first unit, and
// when a drift of more than 0.5 s has been taken out.
func (c *Clock) Observe(ms int64, now time.Time) (changed bool) {
	if !c.set {
		c.Set(ms, now)
		return true
	}
	if now.Sub(c.window) >= driftWindow {
		changed = c.closeWindow(now)
	}
	delay := now.Sub(c.wall) - time.Duration(ms-c.ms)*time.Millisecond
	if c.units == 0 || delay < c.least {
		c.least = delay
	}
	c.units++
	return changed
}

func (c *Clock) closeWindow(now time.Time) (changed bool) {
	if c.units > 0 && !c.measured {
		// A first frame that came late is no drift; what was late after it is.
		c.measured, c.baseline = true, min(c.least, 0)
	}
	if c.units > 0 {
		drift := c.least - c.baseline
		c.drift = c.taken + drift
		if drift.Abs() > maxDrift {
			c.wall, c.taken = c.wall.Add(drift), c.drift
			changed = true
		}
	}
	c.window, c.units = now, 0
	return changed
}

// Drift is how much longer than its own clock says the publisher has taken
// since Set, by the last whole minute: positive where its clock is slow. 0 in the
// first minute, which it is measured by.
func (c *Clock) Drift() time.Duration { return c.drift }

// Anchor is the wall clock of a time of the timeline, in video ticks.
func (c *Clock) Anchor() (time.Time, media.Ticks) {
	return c.wall, media.Ticks(c.ms) * (media.VideoTimescale / 1000)
}
