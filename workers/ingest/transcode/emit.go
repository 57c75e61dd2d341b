package transcode

import (
	"reflect"
	"slices"

	"github.com/roomcast/roomcast/internal/cmaf"
	"github.com/roomcast/roomcast/internal/ffmpeg"
	"github.com/roomcast/roomcast/internal/media"
	"github.com/roomcast/roomcast/workers/ingest/segment"
)

// brokenError says that a child has not, or never will have, what is wanted.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return e.err.Error() }

// emitter numbers runs anew, as a source's run may become several, and keeps
// every rendition that was ever published alive.
type emitter struct {
	sink  Sink
	names []string // of video renditions, the best first
	begun bool
	run   segment.Run
	// What the open run is made of.
	source  segment.Run
	configs []media.Config // of the renditions; nil = the source's own segments
}

// know adds renditions to those that are published from now on.
func (e *emitter) know(names []string) {
	for _, n := range names {
		if !slices.Contains(e.names, n) {
			e.names = append(e.names, n)
		}
	}
}

// begin opens a run unless the open one is alike. Renditions that it does not
// have are given its last one: no playlist of a rendition may stand still.
func (e *emitter) begin(in segment.Init, source segment.Run, configs []media.Config) error {
	if e.begun && e.source == source && reflect.DeepEqual(e.configs, configs) {
		return nil
	}
	if e.begun {
		e.run.Index++
	}
	e.begun, e.run.Epoch, e.source, e.configs = true, source.Epoch, source, configs
	in.Run = e.run
	video := videos(len(in.Tracks), func(i int) bool { return in.Tracks[i].Config.Kind == media.Video })
	tracks := slices.Clone(in.Tracks[:video])
	if video > 0 {
		for _, name := range e.names[min(video, len(e.names)):] {
			more := in.Tracks[video-1]
			more.Name = name
			tracks = append(tracks, more)
		}
	}
	for i := range tracks {
		tracks[i].Name = e.names[i]
	}
	in.Tracks = append(tracks, in.Tracks[video:]...)
	return e.sink.Init(in)
}

// segment gives out a segment of the open run; its first tracks are video.
func (e *emitter) segment(s segment.Segment, video, audio []segment.TrackSegment) error {
	tracks := make([]segment.TrackSegment, 0, len(e.names)+len(audio))
	for i := 0; len(video) > 0 && i < len(e.names); i++ {
		t := video[min(i, len(video)-1)]
		t.Name = e.names[i]
		tracks = append(tracks, t)
	}
	s.Run, s.Tracks = e.run, append(tracks, audio...)
	return e.sink.Segment(s)
}

func videos(n int, is func(i int) bool) int {
	for i := range n {
		if !is(i) {
			return i
		}
	}
	return n
}

// give gives out a segment's renditions with the source's audio. A *brokenError
// is the child's; any other is the sink's.
func (l *Ladder) give(p *pending) error {
	configs, err := p.child.configs()
	if err != nil {
		return &brokenError{err}
	}
	video, err := p.child.take(p.segment, p.pictures[0].DTS+p.pictures[0].CTS)
	if err != nil {
		return &brokenError{err}
	}
	in := segment.Init{TargetDuration: p.init.TargetDuration}
	for i, c := range configs {
		body, err := cmaf.Init(c)
		if err != nil {
			return &brokenError{err}
		}
		in.Tracks = append(in.Tracks, segment.TrackInit{Config: c, Body: body, BandwidthBPS: ffmpeg.LivePeakBPS(p.child.renditions[i])})
	}
	in.Tracks = append(in.Tracks, p.init.Tracks[1:]...)
	l.out.know(names(p.child.renditions))
	if err := l.out.begin(in, p.segment.Run, configs); err != nil {
		return err
	}
	return l.out.segment(p.segment, video, p.segment.Tracks[1:])
}

// pass gives out a segment as it is, its pictures once for every rendition.
func (l *Ladder) pass(p *pending) error {
	video := 0
	if v := p.init.Tracks[0].Config; v.Kind == media.Video {
		video = 1
		l.out.know(names(l.renditions(v)))
	}
	if err := l.out.begin(*p.init, p.segment.Run, nil); err != nil {
		return err
	}
	return l.out.segment(p.segment, p.segment.Tracks[:video], p.segment.Tracks[video:])
}
