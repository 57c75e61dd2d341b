package segment

import (
	"fmt"

	"github.com/roomcast/roomcast/internal/cmaf"
	"github.com/roomcast/roomcast/internal/media"
)

// cut emits all open pictures. See cutFirst.
func (s *Segmenter) cut(end, audioUntil media.Ticks, key bool) error {
	return s.cutFirst(len(s.video.samples), end, audioUntil, key, audioUntil)
}

// cutLast is cut at the end of a run.
func (s *Segmenter) cutLast(end, audioUntil media.Ticks, key bool) error {
	return s.cutFirst(len(s.video.samples), end, audioUntil, key, 0)
}

// cutFirst emits the first n > 0 open pictures, the last of which ends at end,
// with the audio that begins before audioUntil. key says whether the next
// segment begins with a key frame; audioUntil is its presentation time then.
// until is Segment.Until.
func (s *Segmenter) cutFirst(n int, end, audioUntil media.Ticks, key bool, until media.Ticks) error {
	if !s.frozen {
		if err := s.freeze(end-s.video.samples[0].dts, true); err != nil {
			return err
		}
		if s.audio.in {
			s.leadIn()
		}
	}
	out := Segment{Run: s.run, Independent: s.independent, Until: until, Pictures: n, Tracks: make([]TrackSegment, 0, 2)}
	s.health.frame = s.lastDuration()
	s.openBytes -= s.video.weight(n)
	start := s.video.samples[0].dts
	if s.audio.in {
		s.fillAudio(end)
	}
	pictures := s.video.take(n, end, s.shift)
	if !s.independent {
		pictures.follows(s.video.shown)
	}
	if key {
		pictures.joins(audioUntil)
	}
	s.video.shown = pictures.EarliestPTS + pictures.Duration
	out.Tracks = append(out.Tracks, pictures)
	if s.audio.in {
		// What is over the limit waits for the next segment.
		frames := max(min(s.audio.before(audioUntil), int(s.audio.fromVideoTicks(s.limit())/audioFrame)), 1)
		last := s.audio.samples[frames-1].dts + audioFrame
		s.openBytes -= s.audio.weight(frames)
		out.Tracks = append(out.Tracks, s.audio.take(frames, last, 0))
	}
	s.independent = key
	s.health.segment(n, end-start, out.Tracks)
	return s.emit(out)
}

// freeze fixes the run's tracks, the target duration and the shift, and gives
// Init out.
func (s *Segmenter) freeze(first media.Ticks, video bool) error {
	s.target = s.tentativeTarget(first)
	if s.silence != nil && !s.audio.known {
		s.audio.configure(*s.silence)
	}
	s.video.in, s.audio.in = video, s.audio.known
	s.shift = s.shiftFloor
	for i := range s.video.samples {
		s.shift = max(s.shift, -s.video.samples[i].cts)
	}
	s.shiftFloor = s.shift
	init := Init{Run: s.run, TargetDuration: s.target}
	s.health.configure(nil)
	for _, t := range []*track{&s.video, &s.audio} {
		if !t.in {
			continue
		}
		body, err := cmaf.Init(t.config)
		if err != nil {
			return fmt.Errorf("make init segment: %w", err)
		}
		s.health.configure(&t.config)
		init.Tracks = append(init.Tracks, TrackInit{Name: t.name, Config: t.config, Body: body})
	}
	s.frozen = true
	return s.sink.Init(init)
}

// emit dates a segment by the earliest of its tracks and gives it out.
func (s *Segmenter) emit(out Segment) error {
	var start, end media.Ticks
	for i := range out.Tracks {
		t := &out.Tracks[i]
		scale := uint32(videoHz)
		if t.Name == s.audio.name {
			scale = s.audio.config.Timescale
		}
		first, last := t.EarliestPTS.Rescale(scale, videoHz), (t.EarliestPTS+t.Duration).Rescale(scale, videoHz)
		if i == 0 {
			start, end = first, last
		}
		start, end = min(start, first), max(end, last)
	}
	out.Start = s.clock.date(start, end)
	return s.sink.Segment(out)
}

// endRun gives the next segment a new run, if this one gave anything out.
func (s *Segmenter) endRun() {
	if s.frozen {
		s.run.Index++
	}
	s.frozen, s.renew = false, false
	s.video.sequence, s.audio.sequence = 0, 0
	s.video.in, s.audio.in = false, false
}

// applyNext makes announced configurations the valid ones.
func (s *Segmenter) applyNext() {
	if s.nextVideo != nil {
		s.video.configure(*s.nextVideo)
		s.nextVideo = nil
	}
	if s.nextAudio != nil {
		s.openBytes -= s.audio.clear()
		s.audio.configure(*s.nextAudio)
		s.nextAudio = nil
	}
}
