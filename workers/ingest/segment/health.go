package segment

import (
	"time"

	"github.com/roomcast/roomcast/internal/media"
)

const healthSegments = 5

// Health is what the owner of a stream key is shown of an ingest.
type Health struct {
	VideoCodecs, AudioCodecs  string // RFC 6381; "" without such a track
	WidthPixels, HeightPixels int
	SampleRateHz, Channels    int
	// BitrateBPS, VideoBitrateBPS and FrameRate are means over the last five
	// segments; 0 before the first.
	BitrateBPS, VideoBitrateBPS int64
	FrameRate                   float64
	// KeyFrameInterval is the latest; 0 before the second key frame.
	KeyFrameInterval time.Duration
	// Dropped are the access units that are in no segment: pictures before a key
	// frame, sound that came when silence had its place or that is of no run.
	Dropped int64

	frame media.Ticks // duration of the latest picture
	past  [healthSegments]measured
	n     int
}

type measured struct {
	frames            int
	duration          media.Ticks
	video, everything int64
}

// Health returns the current figures.
func (s *Segmenter) Health() Health {
	h := s.health
	if g := &s.gops; g.n > 0 {
		h.KeyFrameInterval = g.kept[(g.n-1)%gopsKept].Duration(videoHz)
	}
	return h
}

// configure notes a track; nil forgets them all.
func (h *Health) configure(c *media.Config) {
	switch {
	case c == nil:
		h.VideoCodecs, h.AudioCodecs = "", ""
		h.WidthPixels, h.HeightPixels, h.SampleRateHz, h.Channels = 0, 0, 0, 0
	case c.Kind == media.Video:
		h.VideoCodecs, h.WidthPixels, h.HeightPixels = c.Codecs, c.WidthPixels, c.HeightPixels
	default:
		h.AudioCodecs, h.SampleRateHz, h.Channels = c.Codecs, c.SampleRateHz, c.Channels
	}
}

// segment takes the figures of one segment in; duration in video ticks.
func (h *Health) segment(frames int, duration media.Ticks, tracks []TrackSegment) {
	m := measured{frames: frames, duration: duration}
	for i := range tracks {
		m.everything += tracks[i].SizeBytes
		if tracks[i].Name == "v" {
			m.video += tracks[i].SizeBytes
		}
	}
	h.past[h.n%healthSegments] = m
	h.n++
	var sum measured
	for _, p := range h.past {
		sum.frames += p.frames
		sum.duration += p.duration
		sum.video += p.video
		sum.everything += p.everything
	}
	if sum.duration == 0 {
		return
	}
	h.FrameRate = float64(sum.frames) * videoHz / float64(sum.duration)
	h.BitrateBPS = sum.everything * 8 * videoHz / int64(sum.duration)
	h.VideoBitrateBPS = sum.video * 8 * videoHz / int64(sum.duration)
}
