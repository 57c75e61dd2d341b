package control

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// What a profile may say; internal/httpapi has the same bounds in its schemas.
const (
	maxSegmentSeconds = 10
	maxLiveSegment    = 6 // as the segmenter
	maxVideoStreams   = 6
	minSide, maxSide  = 64, 4096
	minVideoBitrate   = 100_000
	maxVideoBitrate   = 50_000_000
	minAudioBitrate   = 32_000
	maxAudioBitrate   = 320_000
)

// streamName becomes part of object names.
var streamName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$`)

// reservedStreams are names that renditions have of their own.
var reservedStreams = [...]string{"audio", "video", "source", "picture"}

// check lists everything that is wrong with a profile of an app, each field by
// its JSON path.
func (p TranscodingProfile) check() []broadcast.FieldError {
	var v invalid
	if p.Name == "" {
		v.add(broadcast.CodeInvalidField, "name", "must not be empty")
	}
	v.text("name", p.Name, maxName)
	switch p.Type {
	case ProfileLive, ProfileVideo:
	case ProfileThumbnail, ProfilePreview:
		p.Content.checkPicture(&v)
		return v.fields
	default:
		v.add(broadcast.CodeInvalidField, "type", "must be BROADCAST_RTMP, VIDEO, THUMBNAIL or PREVIEW")
	}
	c := p.Content
	longest := int64(maxSegmentSeconds)
	if p.Type == ProfileLive {
		longest = maxLiveSegment
	}
	v.between("profile.segmentDuration", int64(c.SegmentSeconds), 1, longest)
	v.between("profile.audioStream.bitrate", c.AudioBitrateBPS, minAudioBitrate, maxAudioBitrate)
	if n := len(c.VideoStreams); n < 1 || n > maxVideoStreams {
		v.add(broadcast.CodeInvalidField, "profile.videoStreams", "must have 1 to %d entries", maxVideoStreams)
	}
	seen := map[string]bool{}
	for _, name := range reservedStreams {
		seen[name] = true
	}
	for i, s := range c.VideoStreams {
		at := fmt.Sprintf("profile.videoStreams[%d].", i)
		switch {
		case !streamName.MatchString(s.Name):
			v.add(broadcast.CodeInvalidField, at+"name", "must match %s", streamName)
		case seen[s.Name]:
			v.add(broadcast.CodeInvalidField, at+"name", "must be unique and none of %v", reservedStreams)
		}
		seen[s.Name] = true
		v.side(at+"width", s.WidthPixels)
		v.side(at+"height", s.HeightPixels)
		v.between(at+"bitrate", s.BitrateBPS, minVideoBitrate, maxVideoBitrate)
	}
	return v.fields
}

// checkPicture: a picture has a size and nothing else.
func (c ProfileContent) checkPicture(v *invalid) {
	const none = "has no place in a profile of pictures"
	if c.SegmentSeconds != 0 {
		v.add(broadcast.CodeInvalidField, "profile.segmentDuration", none)
	}
	if c.AudioBitrateBPS != 0 {
		v.add(broadcast.CodeInvalidField, "profile.audioStream", none)
	}
	if len(c.VideoStreams) != 1 {
		v.add(broadcast.CodeInvalidField, "profile.videoStreams", "must have one entry in a profile of pictures")
		return
	}
	s := c.VideoStreams[0]
	if !streamName.MatchString(s.Name) {
		v.add(broadcast.CodeInvalidField, "profile.videoStreams[0].name", "must match %s", streamName)
	}
	v.side("profile.videoStreams[0].width", s.WidthPixels)
	if s.HeightPixels != 0 {
		v.side("profile.videoStreams[0].height", s.HeightPixels)
	}
	if s.BitrateBPS != 0 {
		v.add(broadcast.CodeInvalidField, "profile.videoStreams[0].bitrate", none)
	}
}

func (v *invalid) between(field string, n, low, high int64) {
	if n < low || n > high {
		v.add(broadcast.CodeInvalidField, field, "must be between %d and %d", low, high)
	}
}

func (v *invalid) side(field string, n int) {
	if n < minSide || n > maxSide || n%2 != 0 {
		v.add(broadcast.CodeInvalidField, field, "must be an even number between %d and %d", minSide, maxSide)
	}
}

// checkProfile checks that a field names a profile of the caller's app, of that
// type. The error is an outage.
func (s *Service) checkProfile(ctx context.Context, v *invalid, c Caller, field string, f Field[broadcast.ProfileID], want ProfileType) error {
	if f.Value == nil {
		return nil
	}
	p, err := s.ownProfile(ctx, c, *f.Value)
	var refusal *broadcast.Refusal
	switch {
	case errors.As(err, &refusal):
		v.add(broadcast.CodeProfileNotFound, field, "there is no such transcoding profile")
	case err != nil:
		return err
	case p.Type != want:
		v.add(broadcast.CodeInvalidField, field, "must be a profile of type %s, not %s", want, p.Type)
	}
	return nil
}

// moved are the uses that change where a field goes from one profile to
// another. Shipped ones are not counted.
func moved(from, to broadcast.ProfileID) []UseOfProfile {
	if from == to {
		return nil
	}
	var list []UseOfProfile
	for id, by := range map[broadcast.ProfileID]int{from: -1, to: 1} {
		if _, shipped := ShippedProfile(id); id != "" && !shipped {
			list = append(list, UseOfProfile{id, by})
		}
	}
	return list
}
