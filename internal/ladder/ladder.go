// Package ladder turns a profile and a source into the renditions that are
// made: never larger, never faster than the source. Pure.
package ladder

import "math"

// Source is what there is to make renditions from; 0 and false mean that it
// is not known or not there.
type Source struct {
	WidthPixels, HeightPixels int
	FrameRate                 float64
	HasVideo, HasAudio        bool
}

// Step is one line of a profile: a picture whose shorter side has at most
// ShortPixels.
type Step struct {
	Name        string
	ShortPixels int
	BitrateBPS  int64
}

// Profile is a ladder of video and one audio rendition.
type Profile struct {
	Steps           []Step // the largest first
	MaxFrameRate    float64
	SegmentSeconds  int
	AudioBitrateBPS int64
}

// Rendition is one video rendition to make. Sides are even.
type Rendition struct {
	Name                      string
	WidthPixels, HeightPixels int
	FrameRate                 float64
	BitrateBPS                int64
}

// VODDefault is the shipped profile of recordings.
func VODDefault() Profile {
	return Profile{
		Steps: []Step{
			{"1080p", 1080, 5_000_000}, {"720p", 720, 2_800_000}, {"480p", 480, 1_400_000}, {"360p", 360, 800_000},
		},
		MaxFrameRate: 60, SegmentSeconds: 4, AudioBitrateBPS: 128_000,
	}
}

// minBitrate is the least that a small picture gets.
const minBitrate = 150_000

// Video answers the video renditions of a source, the largest first. Steps
// above the source are left out; a source below all of them, or between two by
// more than a tenth, gets one of its own size on top. Portrait stays portrait.
func Video(p Profile, s Source) []Rendition {
	if !s.HasVideo || s.WidthPixels < 2 || s.HeightPixels < 2 {
		return nil
	}
	fps := s.FrameRate
	if p.MaxFrameRate > 0 {
		fps = min(fps, p.MaxFrameRate)
	}
	short := min(s.WidthPixels, s.HeightPixels)
	var list []Rendition
	var above *Step // the step just above the source
	for i, step := range p.Steps {
		if step.ShortPixels > short {
			above = &p.Steps[i]
			continue
		}
		list = append(list, rendition(s, step, fps))
	}
	if above != nil && (len(list) == 0 || float64(short) > 1.1*float64(min(list[0].WidthPixels, list[0].HeightPixels))) {
		own := *above
		scale := float64(short) / float64(above.ShortPixels)
		own.Name, own.ShortPixels = "source", short
		own.BitrateBPS = max(int64(float64(own.BitrateBPS)*scale*scale), minBitrate)
		list = append([]Rendition{rendition(s, own, fps)}, list...)
	}
	return list
}

func rendition(s Source, step Step, fps float64) Rendition {
	r := Rendition{Name: step.Name, FrameRate: fps, BitrateBPS: step.BitrateBPS}
	short := min(s.WidthPixels, s.HeightPixels)
	scale := float64(min(step.ShortPixels, short)) / float64(short)
	r.WidthPixels, r.HeightPixels = even(float64(s.WidthPixels)*scale), even(float64(s.HeightPixels)*scale)
	return r
}

// even rounds down to an even number, at least 2: nothing is made larger.
func even(v float64) int { return max(int(math.Floor(v+1e-6))/2*2, 2) }
