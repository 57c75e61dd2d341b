package segment

import (
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/media"
)

func (s *Segmenter) videoUnit(u media.AccessUnit) error {
	if !s.video.known && s.nextVideo == nil {
		return s.drop()
	}
	if s.mode != modeVideo || s.nextVideo != nil || (s.renew && u.Key) {
		if !u.Key {
			return s.drop()
		}
		if err := s.switchRun(u); err != nil {
			return err
		}
	} else if err := s.cutBefore(u); err != nil {
		return err
	}
	if s.mode != modeVideo {
		return s.drop() // pictures stopped; only a key frame goes on
	}
	s.addVideo(u)
	return nil
}

// drop counts a unit that goes into no segment.
func (s *Segmenter) drop() error {
	s.health.Dropped++
	return nil
}

// addVideo appends; an offset that would be negative is held at what the run
// can express, and the next key frame begins a run that can express more.
func (s *Segmenter) addVideo(u media.AccessUnit) {
	if u.Key {
		s.noteKey(u.DTS)
		s.still = still{s.video.config.Record, u.Data}
	}
	if s.frozen && u.CTS < -s.shift {
		s.shiftFloor = max(s.shiftFloor, -u.CTS)
		u.CTS = -s.shift
		s.renew = true
	}
	s.openBytes += s.video.add(&u)
	if s.picture != nil {
		s.picture(s.video.config, u)
	}
}

// cutBefore decides whether the open segment ends before u (cmaf.md, trap 9).
func (s *Segmenter) cutBefore(u media.AccessUnit) error {
	if len(s.video.samples) == 0 {
		return nil
	}
	elapsed := u.DTS - s.video.samples[0].dts
	limit := s.limit()
	switch {
	case elapsed > limit && s.lastCanWait(u.DTS):
		if err := s.cutBeforeLast(); err != nil {
			return err
		}
		return s.cutBefore(u)
	case elapsed > limit:
		return s.overHole(u)
	case u.Key && s.cutAtKey(elapsed):
		return s.cut(u.DTS, u.DTS+u.CTS, true)
	case elapsed+s.lastDuration() > limit:
		if !u.Key {
			s.warnForced()
		}
		shown := u.DTS + s.video.samples[0].cts
		if u.Key {
			shown = u.DTS + u.CTS
		}
		return s.cut(u.DTS, shown, u.Key)
	}
	return nil
}

// lastCanWait is true when the next picture at dts came later than the ones
// before let expect, as it happens with a variable frame rate, and the segment
// stays short enough without the last one.
func (s *Segmenter) lastCanWait(dts media.Ticks) bool {
	n := len(s.video.samples)
	return n > 1 && dts-s.video.samples[n-1].dts <= media.TicksOf(longestPicture, videoHz)
}

// cutBeforeLast is a forced cut one picture back.
func (s *Segmenter) cutBeforeLast() error {
	n := len(s.video.samples) - 1
	last := s.video.samples[n]
	if !last.key {
		s.warnForced()
	}
	until := last.dts + last.cts
	return s.cutFirst(n, last.dts, until, last.key, until)
}

// cutAtKey is true when the segment is long enough, or would become too long if
// the next key frame were waited for.
func (s *Segmenter) cutAtKey(elapsed media.Ticks) bool {
	if elapsed >= s.segmentDur-media.TicksOf(cutSlack, videoHz) {
		return true
	}
	longest := s.tentativeTarget(elapsed) + targetSlack
	return elapsed >= media.TicksOf(shortestCut, videoHz) &&
		elapsed+max(s.gops.longest(), s.gops.since(s.video.samples[0].dts+elapsed)) > media.TicksOf(longest, videoHz)
}

// overHole ends the run at the last picture before a hole that no segment may
// span.
func (s *Segmenter) overHole(u media.AccessUnit) error {
	if err := s.stopVideo(); err != nil {
		return err
	}
	if !u.Key {
		return nil
	}
	return s.switchRun(u)
}

// stopVideo ends the segment with the last picture. Audio, where there is any,
// goes on in a run of its own in which the last key frame stands still: players
// of two tracks play neither where one has a hole.
func (s *Segmenter) stopVideo() error {
	s.warn(WarnNoVideo, "video stopped for longer than a segment may last")
	if len(s.video.samples) > 0 {
		end := s.lastVideoEnd()
		if err := s.cutLast(end, end, false); err != nil {
			return err
		}
	}
	hasAudio := s.audio.known && s.audio.started && s.nextAudio == nil
	s.endRun()
	s.applyNext()
	s.clock.apply()
	s.gops = gopMeter{}
	if !hasAudio {
		s.mode = modeIdle
		return nil
	}
	s.mode = modeGap
	return s.cutAudio()
}

// switchRun ends what there is and begins a run at the key frame u.
func (s *Segmenter) switchRun(u media.AccessUnit) error {
	if err := s.finish(&u); err != nil {
		return err
	}
	s.endRun()
	s.applyNext()
	s.clock.apply()
	lead := s.audio.before(u.DTS - media.TicksOf(audioLead, videoHz))
	if lead > 0 {
		s.openBytes -= s.audio.weight(lead)
		s.audio.drop(lead)
	}
	s.mode, s.independent, s.runStart = modeVideo, true, u.DTS
	return nil
}

// finish emits the open segment as the last of its run. next is the key frame
// that begins the next run on the same timeline, or nil.
func (s *Segmenter) finish(next *media.AccessUnit) error {
	switch s.mode {
	case modeIdle:
		if next == nil && len(s.audio.samples) > 0 && !s.video.known {
			s.mode = modeAudio // a publisher that left before anything was cut
			return s.finishAudio(nil)
		}
		return nil
	case modeAudio, modeGap:
		return s.finishAudio(next)
	case modeVideo:
	}
	if len(s.video.samples) == 0 {
		return nil
	}
	end := s.lastVideoEnd()
	audioUntil := max(end, s.audioEnd())
	if next != nil {
		if next.DTS-s.video.samples[0].dts <= s.limit() {
			end = next.DTS
		}
		if s.nextAudio == nil {
			audioUntil = next.DTS + next.CTS
		}
	}
	return s.cutLast(end, audioUntil, true)
}

// lastDuration is how long the last picture is expected to last.
func (s *Segmenter) lastDuration() media.Ticks {
	n := len(s.video.samples)
	if n < 2 {
		if s.health.frame > 0 {
			return s.health.frame
		}
		return frameGuess
	}
	return s.video.samples[n-1].dts - s.video.samples[n-2].dts
}

func (s *Segmenter) lastVideoEnd() media.Ticks {
	first, last := s.video.samples[0].dts, s.video.samples[len(s.video.samples)-1].dts
	return max(min(last+s.lastDuration(), first+s.limit()), last+1)
}

// noteKey measures the key frame interval.
func (s *Segmenter) noteKey(dts media.Ticks) {
	interval := s.gops.key(dts)
	if interval > s.limit() {
		s.warn(WarnKeyFrames, fmt.Sprintf("key frame interval %.1f s is longer than a segment may be (%s); set it to 2 s",
			interval.Duration(videoHz).Seconds(), s.tentativeTarget(0)))
	}
}

// warnForced is said at once; noteKey makes it exact later.
func (s *Segmenter) warnForced() {
	if s.gops.longest() > s.limit() {
		return
	}
	n := s.limit().Duration(videoHz).Truncate(time.Second).Seconds()
	s.warn(WarnKeyFrames, fmt.Sprintf("key frame interval over %.0f s is longer than a segment may be; set it to 2 s", n))
}

// gopMeter remembers the latest key frame intervals.
type gopMeter struct {
	kept  [gopsKept]media.Ticks
	n     int
	last  media.Ticks
	begun bool
}

func (g *gopMeter) key(dts media.Ticks) (interval media.Ticks) {
	if g.begun {
		interval = dts - g.last
		g.kept[g.n%gopsKept] = interval
		g.n++
	}
	g.last, g.begun = dts, true
	return interval
}

// since is the interval that a key frame at dts would end.
func (g *gopMeter) since(dts media.Ticks) media.Ticks {
	if !g.begun {
		return 0
	}
	return dts - g.last
}

func (g *gopMeter) longest() media.Ticks {
	var longest media.Ticks
	for _, v := range g.kept {
		longest = max(longest, v)
	}
	return longest
}
