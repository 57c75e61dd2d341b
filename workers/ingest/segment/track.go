package segment

import (
	"time"

	"github.com/roomcast/roomcast/internal/cmaf"
	"github.com/roomcast/roomcast/internal/media"
)

// sample is an access unit of the open segment; times in the track's ticks.
type sample struct {
	dts, cts media.Ticks
	key      bool
	size     uint32
}

// track collects the open segment of one track. Invariant:
// len(body) == len(samples) + 1, body[0] is where the header will be.
type track struct {
	name     string
	config   media.Config
	known    bool
	in       bool // part of the run's Init
	samples  []sample
	body     [][]byte
	scratch  []cmaf.Sample
	sequence uint32 // mfhd of the run's last fragment

	// Video only: where the pictures that were given out have been shown.
	shown media.Ticks

	// Audio only: end is the DTS of the next frame, once started.
	end     media.Ticks
	started bool
	silence []byte
}

func newTrack(name string) track {
	return track{name: name, body: make([][]byte, 1, 64)}
}

func (t *track) configure(c media.Config) {
	t.config, t.known, t.started = c, true, false
	if c.Kind == media.Audio {
		configuration := c.Channels
		if configuration == 8 {
			configuration = 7
		}
		t.silence = media.SilentAAC(configuration)
	}
}

func (t *track) add(u *media.AccessUnit) int64 {
	t.samples = append(t.samples, sample{dts: u.DTS, cts: u.CTS, key: u.Key, size: uint32(len(u.Data))}) //nolint:gosec // bounded by the message size
	t.body = append(t.body, u.Data)
	return int64(len(u.Data)) + sampleBytes
}

// clear forgets the open segment and returns what it weighed.
func (t *track) clear() int64 {
	freed := t.weight(len(t.samples))
	t.drop(len(t.samples))
	t.started = false
	return freed
}

func (t *track) weight(n int) int64 {
	freed := int64(0)
	for i := range t.samples[:n] {
		freed += int64(t.samples[i].size) + sampleBytes
	}
	return freed
}

// drop forgets the first n samples.
func (t *track) drop(n int) {
	body := make([][]byte, 1, cap(t.body))
	t.body = append(body, t.body[1+n:]...)
	t.samples = append(t.samples[:0], t.samples[n:]...)
}

// before counts the samples that begin before at (video ticks).
func (t *track) before(at media.Ticks) int {
	for i := range t.samples {
		if t.samples[i].dts*videoHz >= at*media.Ticks(t.config.Timescale) {
			return i
		}
	}
	return len(t.samples)
}

// inVideoTicks converts a time of this track.
func (t *track) inVideoTicks(v media.Ticks) media.Ticks {
	return v.Rescale(t.config.Timescale, videoHz)
}

func (t *track) fromVideoTicks(v media.Ticks) media.Ticks {
	return v.Rescale(videoHz, t.config.Timescale)
}

// take makes a TrackSegment of the first n samples, the last of which ends at
// end; shift is taken off every DTS and added to every offset. n > 0.
func (t *track) take(n int, end, shift media.Ticks) TrackSegment {
	t.scratch = t.scratch[:0]
	out := TrackSegment{
		Name: t.name, EarliestPTS: t.samples[0].dts + t.samples[0].cts,
		BaseDTS: t.samples[0].dts - shift, Duration: end - t.samples[0].dts,
	}
	for i := range t.samples[:n] {
		s := &t.samples[i]
		next := end
		if i+1 < n {
			next = t.samples[i+1].dts
		}
		out.EarliestPTS = min(out.EarliestPTS, s.dts+s.cts)
		out.SizeBytes += int64(s.size)
		t.scratch = append(t.scratch, cmaf.Sample{
			DurationTicks: uint32(next - s.dts),  //nolint:gosec // at most longestSample
			OffsetTicks:   uint32(s.cts + shift), //nolint:gosec // shift makes it positive
			SizeBytes:     s.size, Sync: s.key,
		})
	}
	t.sequence++
	header := cmaf.Header(t.sequence, out.BaseDTS, t.scratch)
	body := t.body
	body[0] = header
	t.drop(n)
	out.Body = body[: 1+n : 1+n]
	out.SizeBytes += int64(len(header))
	return out
}

// joins ends what is announced where the next segment is shown, so that the
// segments of a timeline do not overlap (ISO/IEC 23009-1, 5.3.9.6). Decode
// times alone do not tell: they and composition offsets are rounded to
// milliseconds one by one, and a reorder delay may differ by some pictures.
func (t *TrackSegment) joins(next media.Ticks) {
	const rounding, reordering = 2 * videoHz / 1000, 150 * videoHz / 1000
	if off := next - t.EarliestPTS - t.Duration; off <= rounding && off >= -min(reordering, t.Duration/2) {
		t.Duration += off
	}
}

// follows announces a segment from where the one before ends: at a forced cut
// reordered pictures may be shown before pictures of the segment before.
func (t *TrackSegment) follows(shown media.Ticks) {
	const reordering = 150 * videoHz / 1000
	if late := shown - t.EarliestPTS; late > 0 && late <= min(reordering, t.Duration/2) {
		t.EarliestPTS += late
		t.Duration -= late
	}
}

// anchor ties the timeline to the wall clock: EXT-X-PROGRAM-DATE-TIME.
type anchor struct {
	set  bool
	wall time.Time
	at   media.Ticks

	pending     bool
	pendingWall time.Time
	pendingAt   media.Ticks

	fresh              bool // no segment was dated by this anchor yet
	lastStart, lastEnd time.Time
}

func (a *anchor) anchor(wall time.Time, at media.Ticks) {
	a.pending, a.pendingWall, a.pendingAt = true, wall, at
	if !a.set {
		a.apply()
		a.fresh = true
	}
}

// apply makes the announced anchor the valid one.
func (a *anchor) apply() {
	if a.pending {
		a.set, a.pending, a.wall, a.at = true, false, a.pendingWall, a.pendingAt
	}
}

// forget makes the next anchor valid at once.
func (a *anchor) forget() { a.set, a.pending = false, false }

// date is the wall clock of a segment between two times in video ticks. A new
// timeline never begins before the old one's last segment ended; a clock that
// was set back for drift never goes back behind a segment's start.
func (a *anchor) date(start, end media.Ticks) time.Time {
	wall := a.wall.Add((start - a.at).Duration(videoHz))
	least := a.lastStart
	if a.fresh {
		least = a.lastEnd
	}
	if wall.Before(least) {
		a.wall = a.wall.Add(least.Sub(wall))
		wall = least
	}
	a.fresh = false
	a.lastStart, a.lastEnd = wall, wall.Add((end - start).Duration(videoHz))
	return wall
}
