package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/ladder"
)

// ProfileType says what a transcoding profile is for.
type ProfileType string

// The types of transcoding profile.
const (
	ProfileLive      ProfileType = "BROADCAST_RTMP"
	ProfileVideo     ProfileType = "VIDEO"
	ProfileThumbnail ProfileType = "THUMBNAIL"
	ProfilePreview   ProfileType = "PREVIEW"
)

func (t ProfileType) picture() bool { return t == ProfileThumbnail || t == ProfilePreview }

// The shipped profiles: every app has them, none is stored.
const (
	// PassthroughProfile is the live profile that encodes nothing anew.
	PassthroughProfile  broadcast.ProfileID = "prof_passthrough"
	LadderProfile       broadcast.ProfileID = "prof_720p_360p"
	LadderUprightID     broadcast.ProfileID = "prof_720p_360p_portrait"
	VODProfile          broadcast.ProfileID = "prof_vod_default"
	ThumbnailProfile    broadcast.ProfileID = "prof_thumbnail_default"
	PreviewProfile      broadcast.ProfileID = "prof_preview_default"
	shippedRevision                         = 1
	defaultAudioBitrate                     = 128_000
	liveSegment                             = 2 // seconds
)

// TranscodingProfile says what is made of a stream, a recording or a picture.
type TranscodingProfile struct {
	ID broadcast.ProfileID
	// AppID is whose it is; "" = shipped.
	AppID   broadcast.AppID
	Type    ProfileType
	Name    string
	Content ProfileContent
	// Uses counts the keys and apps that name it. The store keeps it by
	// Changes.ProfileUses; what a commit hands in is not looked at.
	Uses       int `json:"-"`
	CreatedAt  time.Time
	ModifiedAt time.Time
	// Version is also the revision that the API shows: every change makes a
	// new one, and each stays readable for good (ProfileReader).
	Version uint64
}

// ProfileContent is what a revision says.
type ProfileContent struct {
	// SegmentSeconds is the length that segments aim at; 0 in profiles of pictures.
	SegmentSeconds int
	// VideoStreams are the renditions; none = the video passes as it is.
	VideoStreams []VideoStream
	// AudioBitrateBPS is that of the one audio rendition; 0 = it passes as it is.
	AudioBitrateBPS int64
}

// VideoStream is one rendition: its picture fits into width × height, keeps
// the source's shape and is never larger than the source.
type VideoStream struct {
	Name string
	// WidthPixels and HeightPixels are even; a height of 0 follows the source.
	WidthPixels, HeightPixels int
	BitrateBPS                int64 // 0 in profiles of pictures
}

// Passthrough reports whether nothing is encoded.
func (c ProfileContent) Passthrough() bool { return len(c.VideoStreams) == 0 }

// Ladder is the content in the form that renditions are made from: upright and
// lying sources alike, by the shorter side.
func (c ProfileContent) Ladder() ladder.Profile {
	p := ladder.Profile{MaxFrameRate: ladder.VODDefault().MaxFrameRate, SegmentSeconds: c.SegmentSeconds, AudioBitrateBPS: c.AudioBitrateBPS}
	for _, v := range c.VideoStreams {
		p.Steps = append(p.Steps, ladder.Step{Name: v.Name, ShortPixels: min(v.WidthPixels, v.HeightPixels), BitrateBPS: v.BitrateBPS})
	}
	slices.SortStableFunc(p.Steps, func(a, b ladder.Step) int { return b.ShortPixels - a.ShortPixels })
	return p
}

// UseOfProfile changes how many keys and apps name a profile. A positive By
// needs the profile to be there: else ErrConflict.
type UseOfProfile struct {
	ID broadcast.ProfileID
	By int
}

// ProfileReader reads the profiles of apps. Both reads are consistent, and
// ErrNotFound where there is none. Safe for concurrent use.
type ProfileReader interface {
	// Profile answers the newest revision.
	Profile(ctx context.Context, id broadcast.ProfileID) (TranscodingProfile, error)
	// ProfileRevision answers a revision as it was made, also of a profile that
	// is deleted. Uses is 0.
	ProfileRevision(ctx context.Context, id broadcast.ProfileID, revision uint64) (TranscodingProfile, error)
}

// ResolveProfile answers what a profile says: shipped or an app's. revision 0
// is the newest; whoever works with it for longer notes its Version and asks
// for that from then on. An empty id is the shipped one that passes all.
func ResolveProfile(ctx context.Context, r ProfileReader, id broadcast.ProfileID, revision uint64) (TranscodingProfile, error) {
	if id == "" {
		id = PassthroughProfile
	}
	if p, ok := ShippedProfile(id); ok {
		return p, nil
	}
	if revision == 0 {
		return r.Profile(ctx, id)
	}
	return r.ProfileRevision(ctx, id, revision)
}

// ShippedProfile answers the shipped profile of that id.
func ShippedProfile(id broadcast.ProfileID) (TranscodingProfile, bool) {
	list := ShippedProfiles()
	i := slices.IndexFunc(list, func(p TranscodingProfile) bool { return p.ID == id })
	if i < 0 {
		return TranscodingProfile{}, false
	}
	return list[i], true
}

// ShippedProfiles lists what every app has, in the order of ids, newest first:
// all of them sort after the ids that apps' profiles get.
func ShippedProfiles() []TranscodingProfile {
	live := func(id broadcast.ProfileID, name string, streams ...VideoStream) TranscodingProfile {
		return TranscodingProfile{
			ID: id, Type: ProfileLive, Name: name, Version: shippedRevision,
			Content: ProfileContent{SegmentSeconds: liveSegment, VideoStreams: streams, AudioBitrateBPS: defaultAudioBitrate},
		}
	}
	picture := func(id broadcast.ProfileID, t ProfileType, name string, width int) TranscodingProfile {
		return TranscodingProfile{
			ID: id, Type: t, Name: name, Version: shippedRevision,
			Content: ProfileContent{VideoStreams: []VideoStream{{Name: "picture", WidthPixels: width}}},
		}
	}
	vod := ladder.VODDefault()
	recording := TranscodingProfile{
		ID: VODProfile, Type: ProfileVideo, Name: "vod-default", Version: shippedRevision,
		Content: ProfileContent{SegmentSeconds: vod.SegmentSeconds, AudioBitrateBPS: vod.AudioBitrateBPS},
	}
	for _, s := range vod.Steps {
		recording.Content.VideoStreams = append(recording.Content.VideoStreams, VideoStream{
			Name: s.Name, WidthPixels: (s.ShortPixels*16/9 + 1) / 2 * 2, HeightPixels: s.ShortPixels, BitrateBPS: s.BitrateBPS,
		})
	}
	return []TranscodingProfile{
		recording,
		picture(ThumbnailProfile, ProfileThumbnail, "thumbnail-default", 1280),
		picture(PreviewProfile, ProfilePreview, "preview-default", 320),
		{ID: PassthroughProfile, Type: ProfileLive, Name: "passthrough", Version: shippedRevision, Content: ProfileContent{SegmentSeconds: liveSegment}},
		live(LadderUprightID, "720p+360p portrait", VideoStream{"720p", 720, 1280, 2_800_000}, VideoStream{"360p", 360, 640, 800_000}),
		live(LadderProfile, "720p+360p", VideoStream{"720p", 1280, 720, 2_800_000}, VideoStream{"360p", 640, 360, 800_000}),
	}
}

// ownProfile reads an app's own profile; another app's is not there.
func (s *Service) ownProfile(ctx context.Context, c Caller, id broadcast.ProfileID) (TranscodingProfile, error) {
	if p, ok := ShippedProfile(id); ok {
		return p, nil
	}
	p, err := s.Store.Profile(ctx, id)
	if err == nil && p.AppID != c.AppID {
		err = fmt.Errorf("profile %s of another app: %w", id, ErrNotFound)
	}
	return p, notFound(err, broadcast.CodeProfileNotFound, "transcoding profile")
}
