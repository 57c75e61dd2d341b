package segment

import (
	"errors"
	"time"

	"github.com/roomcast/roomcast/internal/media"
)

// ErrTooLarge means that a segment outgrew what is kept in memory: the
// publisher sends far more than any live picture needs.
var ErrTooLarge = errors.New("bit rate too high: one segment is larger than 64 MiB")

// Limits of cmaf.md, trap 9, and others of our own.
const (
	defaultSegment = 2 * time.Second
	minSegment     = time.Second
	maxSegment     = 6 * time.Second
	minTarget      = 2 * time.Second
	maxTarget      = 10 * time.Second
	targetSlack    = 490 * time.Millisecond
	cutSlack       = 100 * time.Millisecond
	// longestPicture is what a variable frame rate may show one picture for; what
	// is longer is a hole.
	longestPicture = time.Second
	shortestCut    = 450 * time.Millisecond
	// audioPatience is how far audio may be behind a cut before silence takes
	// its place; a publisher that is always later gets up to maxPatience.
	audioPatience = 500 * time.Millisecond
	maxPatience   = 3 * time.Second
	// audioLead is how much audio from before a run's first picture is kept.
	audioLead    = 100 * time.Millisecond
	maxOpenBytes = 64 << 20
	sampleBytes  = 64 // what an empty sample costs in memory, about
	gopsKept     = 16
	videoHz      = media.VideoTimescale
	frameGuess   = media.Ticks(videoHz / 30)
	audioFrame   = media.Ticks(media.AACFrameSamples)
)

// Sink takes what the Segmenter makes. An error ends the publisher; it comes
// out of the call that made the segment.
type Sink interface {
	Init(Init) error
	Segment(Segment) error
	// Warn is told what viewers suffer from and the publisher can change.
	Warn(Warning)
}

// Warning is one sentence for ingest.warnings. A later one with the same Code
// replaces it.
type Warning struct {
	Code string
	Text string
}

// The codes of warnings.
const (
	WarnKeyFrames   = "KEY_FRAME_INTERVAL"
	WarnNoAudio     = "AUDIO_MISSING"
	WarnNoVideo     = "VIDEO_STOPPED"
	WarnTimestamps  = "TIMESTAMPS"
	WarnBrokenUnits = "BROKEN_ACCESS_UNITS"
)

// Options configure a Segmenter.
type Options struct {
	// Epoch is the lease epoch of the ingest session; it names the runs.
	Epoch uint64
	// SegmentDuration is the profile's: 1 s to 6 s, default (0) 2 s.
	SegmentDuration time.Duration
	// TargetDuration is that of the playlist that is resumed (at most 10 s);
	// 0 lets the first segment decide.
	TargetDuration time.Duration
	// Silence is the sound of a run with pictures whose publisher has announced
	// none by the first cut: a presentation that had sound keeps its tracks, as
	// players give up a rendition of which nothing comes any more. nil = no sound.
	Silence *media.Config
	Sink    Sink
	// Picture is told every picture of a run, with its configuration, when it
	// becomes part of the open segment. A run's first one is a key frame, and
	// told after the last segment of the run before. nil = nobody asks.
	Picture func(media.Config, media.AccessUnit)
}

// mode is what the open segment consists of.
type mode uint8

const (
	modeIdle  mode = iota // waiting for a first key frame
	modeVideo             // pictures, and audio where there is a track
	modeAudio             // an audio-only run
	modeGap               // pictures stopped, audio goes on: the last key frame stands still
)

// Segmenter cuts the access units of one publisher into segments. Every call
// is made on one goroutine; it is not safe for concurrent use. It takes
// ownership of the units' Data.
type Segmenter struct {
	sink       Sink
	picture    func(media.Config, media.AccessUnit)
	silence    *media.Config
	segmentDur media.Ticks // in video ticks, as all times here unless said
	target     time.Duration

	run          Run
	mode         mode
	frozen       bool // Init was given out, the run's tracks stand
	video, audio track
	still        still         // of the latest key frame
	nextVideo    *media.Config // takes effect with the next run
	nextAudio    *media.Config
	renew        bool // a new run is wanted at the next key frame
	independent  bool // the open segment begins with a key frame
	openBytes    int64
	shift        media.Ticks // how far video DTS is moved so that no offset is negative
	shiftFloor   media.Ticks
	patience     time.Duration
	runStart     media.Ticks // DTS of the run's first picture
	clock        anchor
	gops         gopMeter
	health       Health
	warned       map[string]string
}

// New makes a Segmenter; Options.Sink must be set.
func New(o Options) *Segmenter {
	dur := o.SegmentDuration
	if dur == 0 {
		dur = defaultSegment
	}
	dur = min(max(dur, minSegment), maxSegment)
	if o.TargetDuration > 0 {
		dur = min(dur, o.TargetDuration)
	}
	return &Segmenter{
		sink: o.Sink, picture: o.Picture, silence: o.Silence, target: min(o.TargetDuration, maxTarget),
		segmentDur: media.TicksOf(dur, videoHz),
		run:        Run{Epoch: o.Epoch},
		patience:   audioPatience,
		video:      newTrack("v"), audio: newTrack("a"),
		warned: make(map[string]string),
	}
}

// Config announces the configuration of the units that follow. A first one
// joins the run when no segment of it was cut yet; any other takes effect with
// a new run, at the next key frame.
func (s *Segmenter) Config(c media.Config) error {
	if c.Kind == media.Audio {
		return s.audioConfig(c)
	}
	if s.mode == modeIdle || (s.mode == modeVideo && len(s.video.samples) == 0 && !s.frozen) {
		s.video.configure(c)
		return nil
	}
	s.nextVideo = &c
	return nil
}

func (s *Segmenter) audioConfig(c media.Config) error {
	switch {
	case s.mode == modeIdle || (!s.frozen && !s.audio.known):
		s.openBytes -= s.audio.clear()
		s.audio.configure(c)
	case s.mode == modeVideo:
		s.nextAudio, s.renew = &c, true
	default:
		if err := s.finishAudio(nil); err != nil {
			return err
		}
		s.endRun()
		s.mode = modeIdle
		s.openBytes -= s.audio.clear()
		s.audio.configure(c)
	}
	return nil
}

// Unit takes one access unit with its place on the timeline.
func (s *Segmenter) Unit(u media.AccessUnit) error {
	if s.openBytes > maxOpenBytes {
		return ErrTooLarge
	}
	if u.Kind == media.Audio {
		return s.audioUnit(u)
	}
	return s.videoUnit(u)
}

// Anchor says which wall clock belongs to a time of the timeline (in video
// ticks). Once a run has begun it takes effect with the next one, at the next
// key frame.
func (s *Segmenter) Anchor(wall time.Time, at media.Ticks) {
	if s.clock.set && s.mode != modeIdle {
		s.renew = true
	}
	s.clock.anchor(wall, at)
}

// Break ends the run because the publisher's clock jumped; the next key frame
// begins a new one. Anchor has to follow.
func (s *Segmenter) Break() error {
	s.warn(WarnTimestamps, "timestamps jumped; the stream goes on behind a discontinuity")
	return s.Flush()
}

// Flush finishes the open segment, however short, and the run.
func (s *Segmenter) Flush() error {
	if err := s.finish(nil); err != nil {
		return err
	}
	s.endRun()
	s.mode = modeIdle
	s.openBytes -= s.audio.clear() + s.video.clear()
	s.applyNext()
	s.clock.forget()
	s.gops.begun = false
	return nil
}

func (s *Segmenter) warn(code, text string) {
	if s.warned[code] == text {
		return
	}
	s.warned[code] = text
	s.sink.Warn(Warning{Code: code, Text: text})
}

// limit is the longest that a segment may become.
func (s *Segmenter) limit() media.Ticks {
	target := s.target
	if target == 0 {
		target = maxTarget
	}
	return media.TicksOf(target+targetSlack, videoHz)
}

// tentativeTarget is the target duration, or what it would become now.
func (s *Segmenter) tentativeTarget(first media.Ticks) time.Duration {
	if s.target != 0 {
		return s.target
	}
	longest := max(s.segmentDur, s.gops.longest(), first).Duration(videoHz)
	return min(max(longest.Round(time.Second), minTarget), maxTarget)
}
