package job

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/manifest"
	"github.com/roomcast/roomcast/internal/media"
)

// lead is where a file's presentation begins while it is made: decode times
// begin earlier by the reorder delay, and none may be negative.
const lead = 10 * time.Second

// stretch is a piece of one run without a hole: within it, media time goes on.
type stretch struct {
	run     string
	from    uint64
	until   uint64 // its last number
	opening bool   // its first segment is a recording's Opening
	// start is where it begins in its file, origin what its segments call
	// that moment.
	start, origin, end time.Duration
	// has says of each number whether a track has a segment of it.
	has map[string][]bool
}

// file is one original under way: stretches that share their init segments.
type file struct {
	inits     map[string][]byte // by track
	scales    map[string]uint32
	order     []string // tracks, video first
	kinds     map[string]media.Kind
	stretches []stretch
}

func (f *file) end() time.Duration {
	if len(f.stretches) == 0 {
		return lead
	}
	last := f.stretches[len(f.stretches)-1]
	return last.start + last.end - last.origin
}

// plan groups a recording's segments into as few files as their codec
// parameters allow. It keeps a few bytes of each segment.
func (t *Transcoder) plan(ctx context.Context, task control.SourceTask) (files []*file, err error) {
	inits := map[string][]byte{} // by object, of the last runs
	err = task.Segments(ctx, func(s manifest.IndexSegment) error {
		tracks := map[string][]byte{}
		s.Tracks = originals(s.Tracks)
		for _, track := range s.Tracks {
			key, _ := s.Object(track.Name)
			if inits[key] == nil {
				if len(inits) > 64 {
					clear(inits)
				}
				body, _, err := t.Objects.Get(ctx, task.Live+key)
				if err != nil {
					return fmt.Errorf("init segment of run %s: %w", s.Run, err)
				}
				inits[key] = body
			}
			tracks[track.Name] = inits[key]
		}
		if n := len(files); n == 0 || !files[n-1].takes(tracks) {
			files = append(files, &file{inits: map[string][]byte{}, scales: map[string]uint32{}, kinds: map[string]media.Kind{}})
		}
		files[len(files)-1].add(s, tracks)
		return nil
	})
	return files, err
}

// originals leaves one track of each kind: of a live ladder's renditions the
// best, which comes first (docs/adr/0013).
func originals(tracks []manifest.IndexTrack) (list []manifest.IndexTrack) {
	for _, t := range tracks {
		if len(list) == 0 || t.Kind != list[len(list)-1].Kind {
			list = append(list, t)
		}
	}
	return list
}

// takes reports whether segments with these init segments can follow.
func (f *file) takes(tracks map[string][]byte) bool {
	for name, init := range tracks {
		if have, ok := f.inits[name]; ok && !bytes.Equal(have, init) {
			return false
		}
	}
	return true
}

func (f *file) add(s manifest.IndexSegment, inits map[string][]byte) {
	n := len(f.stretches)
	if n == 0 || f.stretches[n-1].run != s.Run || f.stretches[n-1].until+1 != s.Number {
		origin := at(s.Tracks[0])
		for _, t := range s.Tracks {
			origin = min(origin, at(t))
		}
		f.stretches = append(f.stretches, stretch{run: s.Run, from: s.Number, opening: s.Opening, start: f.end(), origin: origin, end: origin, has: map[string][]bool{}})
	}
	d := &f.stretches[len(f.stretches)-1]
	d.until = s.Number
	for _, t := range s.Tracks {
		if _, ok := f.inits[t.Name]; !ok {
			f.inits[t.Name], f.scales[t.Name], f.kinds[t.Name] = inits[t.Name], t.Timescale, t.Kind
			f.order = append(f.order, t.Name)
			slices.SortStableFunc(f.order, func(a, b string) int { return int(f.kinds[a]) - int(f.kinds[b]) })
		}
		d.end = max(d.end, at(t)+ticks(t.Duration, t.Timescale))
		list := d.has[t.Name]
		for uint64(len(list)) <= s.Number-d.from {
			list = append(list, false)
		}
		list[s.Number-d.from] = true
		d.has[t.Name] = list
	}
}

func at(t manifest.IndexTrack) time.Duration { return ticks(t.PTS, t.Timescale) }

func ticks(n media.Ticks, scale uint32) time.Duration {
	s := int64(scale)
	return time.Duration(int64(n)/s)*time.Second + time.Duration(int64(n)%s*int64(time.Second)/s)
}

// delta is what a stretch's segments of a track are moved by, in its ticks:
// the same time for every track, to within one of them.
func (d stretch) delta(scale uint32) int64 {
	move := d.start - d.origin
	return int64(move/time.Second)*int64(scale) + int64(move%time.Second)*int64(scale)/int64(time.Second)
}
