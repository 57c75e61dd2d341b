package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/roomcast/roomcast/internal/media"
)

// ParseIndex reads an index object. It believes nothing: what it answers can
// be rendered.
func ParseIndex(body []byte) (Index, error) {
	if len(body) > maxBodyBytes {
		return Index{}, fmt.Errorf("read an index: %d bytes are too many", len(body))
	}
	var x Index
	if err := json.Unmarshal(body, &x); err != nil {
		return Index{}, fmt.Errorf("read an index: %w", err)
	}
	if x.Version != 1 {
		return Index{}, fmt.Errorf("read an index: version %d is not known", x.Version)
	}
	if x.First < 1 || x.First > maxNumber || len(x.Segments) > maxSegments {
		return Index{}, errors.New("read an index: a number is out of range")
	}
	for i := range x.Segments {
		s := &x.Segments[i]
		if s.Number < x.First || i > 0 && s.Number <= x.Segments[i-1].Number {
			return Index{}, fmt.Errorf("read an index: segment %d is out of order", s.Number)
		}
		if err := s.validate(); err != nil {
			return Index{}, fmt.Errorf("read an index: segment %d: %w", s.Number, err)
		}
	}
	return x, nil
}

// validate checks what a recording renders, and fills in Kind.
func (s *IndexSegment) validate() error {
	s.StartedAt = s.StartedAt.UTC()
	if _, _, err := s.folder(); err != nil {
		return err
	}
	if s.Number > maxNumber || s.Period > maxNumber || !sane(s.StartedAt) {
		return errors.New("a number is out of range")
	}
	if len(s.Tracks) == 0 || len(s.Tracks) > maxTracks {
		return fmt.Errorf("%d tracks", len(s.Tracks))
	}
	seen := map[string]bool{}
	for i := range s.Tracks {
		t := &s.Tracks[i]
		if t.Kind == 0 {
			t.Kind = media.Video
			if strings.HasPrefix(t.Codecs, "mp4a") {
				t.Kind = media.Audio
			}
		}
		if err := t.rendition().validate(); err != nil {
			return err
		}
		if seen[t.Name] {
			return fmt.Errorf("track %s twice", t.Name)
		}
		seen[t.Name] = true
		if t.Timescale < 1000 || t.Timescale > 10_000_000 || t.PTS < 0 || t.PTS > maxTicks ||
			t.Duration <= 0 || t.Duration > 3600*media.Ticks(t.Timescale) || t.SizeBytes < 0 || t.SizeBytes > maxSizeBytes {
			return fmt.Errorf("track %s is out of range", t.Name)
		}
		if i == 0 {
			continue
		}
		if o := s.Tracks[i-1]; t.Kind < o.Kind || t.Kind == o.Kind && (t.Timescale != o.Timescale || t.PTS != o.PTS || t.Duration != o.Duration) {
			return fmt.Errorf("track %s is not cut as %s", t.Name, o.Name)
		}
	}
	return nil
}

// folder reads Run, s<epoch>-<run>.
func (s IndexSegment) folder() (epoch uint64, run int, err error) {
	if _, err = fmt.Sscanf(s.Run, "s%d-%d", &epoch, &run); err != nil || s.Run != Folder(epoch, run) || run < 0 {
		return 0, 0, fmt.Errorf("%.40q is no run", s.Run)
	}
	return epoch, run, nil
}

func (t IndexTrack) rendition() Rendition {
	return Rendition{
		Name: t.Name, Kind: t.Kind, Codecs: t.Codecs, WidthPixels: t.WidthPixels, HeightPixels: t.HeightPixels,
		SampleRateHz: t.SampleRateHz, Channels: t.Channels,
	}
}

// Object answers the keys of a track's init segment and of its media segment,
// relative to the play id's folder.
func (s IndexSegment) Object(track string) (init, segment string) {
	return s.Run + "/" + track + "-init.mp4", fmt.Sprintf("%s/%s/%d%s", s.Run, track, s.Number, ending(s.Opening))
}
