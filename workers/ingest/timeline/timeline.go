// Package timeline turns the 32-bit millisecond timestamps of one RTMP
// publisher into decode times: one unwrapper for both tracks, video in 90 kHz
// ticks, audio counted in samples (docs/adr/0007).
package timeline

import "github.com/roomcast/roomcast/internal/media"

const (
	// originMS is where the first access unit of a connection is placed, so
	// that nothing that is allowed to lie before it gets a negative time.
	originMS = 20_000
	// maxForwardMS and maxBackMS bound what is still the same timeline.
	maxForwardMS = 10_000
	maxBackMS    = 3_000
	// restartGapMS keeps the decode times of a connection rising over a jump.
	restartGapMS = 1_000
	// audioToleranceMS is how far the counted audio time may be from RTMP's.
	audioToleranceMS = 100
)

// Verdict says what to do with an access unit.
type Verdict uint8

// The verdicts.
const (
	// Keep: the unit has its place.
	Keep Verdict = iota + 1
	// Drop: the unit lies where other audio already is.
	Drop
	// Jump: the clock jumped (more than 10 s forward or 3 s back). The unit has
	// its place on a new timeline; what came before it is over.
	Jump
)

// Timeline places access units. The zero value is ready. Not safe for
// concurrent use.
type Timeline struct {
	started bool
	last    uint32 // RTMP's timestamp of the last unit of either track
	ms      int64  // the same, unwrapped
	maxMS   int64

	videoDTS media.Ticks // of the last video unit; 0 before the first

	rate         uint32
	audioNext    media.Ticks
	audioStarted bool
}

// SetAudioRate starts a new count of samples at rate Hz.
func (t *Timeline) SetAudioRate(rate uint32) {
	t.rate, t.audioStarted = rate, false
}

// NowMS is the unwrapped time of the last unit in milliseconds.
func (t *Timeline) NowMS() int64 { return t.ms }

// Video places a video unit. A decode time that does not rise becomes one tick
// more than the last; the composition offset stays what the publisher sent.
func (t *Timeline) Video(timestampMS uint32, ctsMillis int32) (dts, cts media.Ticks, verdict Verdict) {
	verdict = t.advance(timestampMS)
	dts = media.Ticks(t.ms) * (media.VideoTimescale / 1000)
	if dts <= t.videoDTS {
		dts = t.videoDTS + 1
	}
	t.videoDTS = dts
	return dts, media.Ticks(ctsMillis) * (media.VideoTimescale / 1000), verdict
}

// Audio places an audio unit of 1,024 samples. Where RTMP's time is more than
// 100 ms ahead of the count, a hole of whole frames is left; where it is more
// than 100 ms behind, the unit is to be dropped.
func (t *Timeline) Audio(timestampMS uint32) (dts media.Ticks, verdict Verdict) {
	verdict = t.advance(timestampMS)
	at := media.Ticks(t.ms).Rescale(1000, t.rate)
	if !t.audioStarted {
		t.audioStarted, t.audioNext = true, at
	}
	tolerance := media.Ticks(audioToleranceMS).Rescale(1000, t.rate)
	switch diff := at - t.audioNext; {
	case diff > tolerance:
		t.audioNext += (diff + media.AACFrameSamples/2) / media.AACFrameSamples * media.AACFrameSamples
	case diff < -tolerance:
		return 0, Drop
	}
	dts = t.audioNext
	t.audioNext += media.AACFrameSamples
	return dts, verdict
}

// advance unwraps: the shortest way round the 32-bit circle is the right one.
func (t *Timeline) advance(timestampMS uint32) Verdict {
	if !t.started {
		t.started, t.last, t.ms, t.maxMS = true, timestampMS, originMS, originMS
		return Keep
	}
	delta := int64(int32(timestampMS - t.last)) //nolint:gosec // the wrap is the point
	t.last = timestampMS
	if delta > maxForwardMS || t.ms+delta < t.maxMS-maxBackMS {
		t.ms = t.maxMS + restartGapMS
		t.maxMS = t.ms
		t.audioStarted = false
		return Jump
	}
	t.ms += delta
	t.maxMS = max(t.maxMS, t.ms)
	return Keep
}
