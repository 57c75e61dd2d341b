package segment

import (
	"bytes"
	"time"

	"github.com/roomcast/roomcast/internal/media"
)

// audioUnit appends one frame on the grid of whole frames that began with the
// first one; holes before it are filled with silence, what overlaps is dropped.
func (s *Segmenter) audioUnit(u media.AccessUnit) error {
	if !s.audio.known || s.nextAudio != nil || (s.frozen && !s.audio.in) {
		return s.drop() // not part of this run
	}
	t := &s.audio
	if !t.started {
		if s.mode == modeVideo && t.inVideoTicks(u.DTS) < s.runStart-media.TicksOf(s.patience, videoHz) {
			return nil
		}
		t.started, t.end = true, u.DTS
	}
	frames := floorDiv(u.DTS-t.end+audioFrame/2, audioFrame)
	if frames < 0 {
		s.lateAudio(u.DTS)
		return s.drop()
	}
	if from := t.fromVideoTicks(s.runStart); s.mode == modeVideo && !s.frozen && len(t.samples) == 0 && from > t.end {
		skip := min((from-t.end)/audioFrame, frames) // nothing to fill before the run
		t.end += skip * audioFrame
		frames -= skip
	}
	for ; frames > 0; frames-- {
		if err := s.pushAudio(t.silence); err != nil {
			return err
		}
	}
	return s.pushAudio(u.Data)
}

// lateAudio notes a frame whose place was taken by silence. A publisher whose
// audio is always that late is waited for longer from now on.
func (s *Segmenter) lateAudio(dts media.Ticks) {
	if s.mode != modeVideo || len(s.video.samples) == 0 {
		return
	}
	newest := s.video.samples[len(s.video.samples)-1].dts
	lag := (newest - s.audio.inVideoTicks(dts)).Duration(videoHz) + audioPatience/2
	s.patience = min(max(s.patience, lag), maxPatience)
}

func (s *Segmenter) pushAudio(data []byte) error {
	u := media.AccessUnit{Kind: media.Audio, DTS: s.audio.end, Key: true, Data: data}
	s.openBytes += s.audio.add(&u)
	s.audio.end += audioFrame
	switch s.mode {
	case modeIdle:
		return s.maybeAudioOnly()
	case modeAudio, modeGap:
		return s.cutAudio()
	case modeVideo:
		return s.maybeGap()
	}
	return nil
}

// audioEnd is where audio ends, in video ticks.
func (s *Segmenter) audioEnd() media.Ticks { return s.audio.inVideoTicks(s.audio.end) }

func (s *Segmenter) openAudio() media.Ticks {
	if len(s.audio.samples) == 0 {
		return 0
	}
	return s.audio.inVideoTicks(s.audio.end - s.audio.samples[0].dts)
}

// maybeAudioOnly begins an audio-only run when no video has come for a segment,
// or, when video was announced, for as long as a segment may ever be.
func (s *Segmenter) maybeAudioOnly() error {
	wait := s.segmentDur
	if s.video.known {
		wait = media.TicksOf(maxTarget+targetSlack, videoHz)
	}
	if s.openAudio() < wait {
		return nil
	}
	s.mode, s.independent = modeAudio, true
	return s.cutAudio()
}

// maybeGap notices that pictures have stopped while audio goes on.
func (s *Segmenter) maybeGap() error {
	var last media.Ticks
	switch n := len(s.video.samples); {
	case n > 0:
		last = s.lastVideoEnd()
	default:
		last = s.runStart
	}
	if s.audioEnd()-last <= media.TicksOf(2*s.tentativeTarget(0), videoHz) {
		return nil
	}
	return s.stopVideo()
}

// cutAudio cuts on audio time as often as there is a whole segment.
func (s *Segmenter) cutAudio() error {
	want := s.audio.fromVideoTicks(s.segmentDur)
	frames := int((want + audioFrame - 1) / audioFrame)
	for len(s.audio.samples) >= frames {
		if err := s.emitAudio(frames); err != nil {
			return err
		}
		if s.renew {
			s.endRun()
			s.applyNext()
			s.clock.apply()
		}
	}
	return nil
}

// finishAudio emits what is open up to shortly before next, or all of it.
func (s *Segmenter) finishAudio(next *media.AccessUnit) error {
	n := len(s.audio.samples)
	if next != nil && s.nextAudio == nil {
		n = s.audio.before(next.DTS - media.TicksOf(audioLead, videoHz))
	}
	if n == 0 {
		return nil
	}
	return s.emitAudio(n)
}

// emitAudio makes a segment of n audio frames; video, where it is part of the
// run, is a still picture.
func (s *Segmenter) emitAudio(n int) error {
	if !s.frozen {
		if err := s.freeze(0, s.mode == modeGap); err != nil {
			return err
		}
	}
	a := &s.audio
	first, end := a.samples[0].dts, a.samples[0].dts+media.Ticks(n)*audioFrame
	out := Segment{Run: s.run, Independent: true}
	if s.video.in {
		out.Tracks = append(out.Tracks, s.standStill(a.inVideoTicks(first), a.inVideoTicks(end)))
	}
	s.openBytes -= a.weight(n)
	out.Tracks = append(out.Tracks, a.take(n, end, 0))
	s.health.segment(0, a.inVideoTicks(end-first), out.Tracks)
	return s.emit(out)
}

// still is a key frame, and the configuration that decodes it.
type still struct{ record, data []byte }

// standStill is a video segment of the last key frame alone. It is a gap where
// an encoder makes other renditions of the pictures (it is told no picture
// twice), and where the picture is of another configuration.
func (s *Segmenter) standStill(start, end media.Ticks) TrackSegment {
	if s.picture != nil || s.still.data == nil || !bytes.Equal(s.still.record, s.video.config.Record) {
		return TrackSegment{Name: s.video.name, Gap: true, EarliestPTS: start, BaseDTS: start, Duration: end - start}
	}
	s.video.add(&media.AccessUnit{Kind: media.Video, DTS: start, Key: true, Data: s.still.data})
	return s.video.take(1, end, s.shift)
}

// fillAudio brings audio to a cut at the time at: silence where audio is further
// behind than patience allows, or where the segment had none at all.
func (s *Segmenter) fillAudio(at media.Ticks) {
	a := &s.audio
	if !a.started {
		a.started, a.end = true, a.fromVideoTicks(s.video.samples[0].dts)
	}
	behind := (at - s.audioEnd()).Duration(videoHz)
	if behind <= s.patience && len(a.samples) > 0 {
		return
	}
	filled := time.Duration(0)
	for s.audioEnd() < at || len(a.samples) == 0 {
		u := media.AccessUnit{Kind: media.Audio, DTS: a.end, Key: true, Data: a.silence}
		s.openBytes += a.add(&u)
		a.end += audioFrame
		filled += audioFrame.Duration(a.config.Timescale)
	}
	if filled > audioPatience {
		s.warn(WarnNoAudio, "audio is missing; silence takes its place")
	}
}

// leadIn puts silence before audio that begins later than a run's first picture.
func (s *Segmenter) leadIn() {
	a := &s.audio
	if len(a.samples) == 0 || len(s.video.samples) == 0 {
		return
	}
	first := s.video.samples[0].dts + s.video.samples[0].cts
	if a.inVideoTicks(a.samples[0].dts)-first <= media.TicksOf(audioLead, videoHz) {
		return
	}
	n := int((a.samples[0].dts - a.fromVideoTicks(first)) / audioFrame)
	samples, body := make([]sample, n, n+len(a.samples)), make([][]byte, 1+n, cap(a.body)+n)
	for i := range n {
		dts := a.samples[0].dts - media.Ticks(n-i)*audioFrame
		samples[i] = sample{dts: dts, key: true, size: uint32(len(a.silence))} //nolint:gosec // a few bytes
		body[1+i] = a.silence
		s.openBytes += int64(len(a.silence)) + sampleBytes
	}
	a.samples, a.body = append(samples, a.samples...), append(body, a.body[1:]...)
}

func floorDiv(a, b media.Ticks) media.Ticks {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}
