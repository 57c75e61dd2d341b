package control

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// ProfileInput makes a profile.
type ProfileInput struct {
	Type    ProfileType
	Name    string
	Content ProfileContent
}

func (in ProfileInput) profile() TranscodingProfile {
	p := TranscodingProfile{Type: in.Type, Name: in.Name, Content: in.Content}
	p.fill()
	return p
}

// Check lists everything that is wrong with it, each field by its JSON path.
func (in ProfileInput) Check() []broadcast.FieldError { return in.profile().check() }

// ProfilePatch changes one; the type stays.
type ProfilePatch struct {
	Name            Field[string]
	SegmentSeconds  Field[int]
	VideoStreams    Field[[]VideoStream]
	AudioBitrateBPS Field[int64]
	IfVersion       uint64
}

func (p ProfilePatch) apply(to *TranscodingProfile) {
	set(&to.Name, p.Name)
	set(&to.Content.SegmentSeconds, p.SegmentSeconds)
	set(&to.Content.VideoStreams, p.VideoStreams)
	set(&to.Content.AudioBitrateBPS, p.AudioBitrateBPS)
	to.fill()
}

// fill puts the defaults in the place of what is not said.
func (p *TranscodingProfile) fill() {
	if p.Content.AudioBitrateBPS == 0 && !p.Type.picture() {
		p.Content.AudioBitrateBPS = defaultAudioBitrate
	}
}

func refuseFields(fields []broadcast.FieldError) error {
	if len(fields) == 0 {
		return nil
	}
	r := refuse(broadcast.CodeInvalidField, "%s: %s", fields[0].Field, fields[0].Message)
	r.Fields = fields
	return r
}

// CreateProfile makes a transcoding profile of the caller's app.
func (s *Service) CreateProfile(ctx context.Context, c Caller, in ProfileInput) (TranscodingProfile, error) {
	now := s.Now()
	if err := refuseFields(in.Check()); err != nil {
		return TranscodingProfile{}, err
	}
	p := in.profile()
	p.ID, p.AppID, p.CreatedAt, p.ModifiedAt = broadcast.ProfileID(s.IDs.New("prof")), c.AppID, now, now
	if err := s.Store.Commit(ctx, Changes{ID: s.IDs.New("tx"), Profiles: []TranscodingProfile{p}}); err != nil {
		return TranscodingProfile{}, err
	}
	p.Version = 1
	return p, nil
}

// Profile answers a shipped profile or one of the caller's app.
func (s *Service) Profile(ctx context.Context, c Caller, id broadcast.ProfileID) (TranscodingProfile, error) {
	return s.ownProfile(ctx, c, id)
}

// writable is ownProfile for those that may be changed.
func (s *Service) writable(ctx context.Context, c Caller, id broadcast.ProfileID) (TranscodingProfile, error) {
	p, err := s.ownProfile(ctx, c, id)
	if err == nil && p.AppID == "" {
		err = refuse(broadcast.CodeProfileReadOnly, "shipped profiles cannot be changed; make one of your own")
	}
	return p, err
}

// UpdateProfile makes a new revision. Sessions and recordings that work with
// an older one stay with it.
func (s *Service) UpdateProfile(ctx context.Context, c Caller, id broadcast.ProfileID, patch ProfilePatch) (TranscodingProfile, error) {
	var p TranscodingProfile
	err := s.retry(ctx, func() error {
		var err error
		if p, err = s.writable(ctx, c, id); err != nil {
			return err
		}
		if err := checkVersion(patch.IfVersion, p.Version); err != nil {
			return err
		}
		p.Content.VideoStreams = slices.Clone(p.Content.VideoStreams)
		patch.apply(&p)
		if err := refuseFields(p.check()); err != nil {
			return err
		}
		p.ModifiedAt = s.Now()
		return lostUpdate(s.Store.Commit(ctx, Changes{ID: s.IDs.New("tx"), Profiles: []TranscodingProfile{p}}), patch.IfVersion)
	})
	if err != nil {
		return TranscodingProfile{}, err
	}
	p.Version++
	return p, nil
}

// DeleteProfile removes a profile that no key and no app names. Its revisions
// stay readable for what was begun with them.
func (s *Service) DeleteProfile(ctx context.Context, c Caller, id broadcast.ProfileID) error {
	return s.retry(ctx, func() error {
		p, err := s.writable(ctx, c, id)
		if err != nil {
			return err
		}
		if p.Uses > 0 {
			return refuse(broadcast.CodeProfileInUse, "%d stream keys or defaults of the app name this profile", p.Uses)
		}
		return s.Store.Commit(ctx, Changes{ID: s.IDs.New("tx"), DeleteProfiles: []TranscodingProfile{p}})
	})
}

// shippedCursor is the cursor of a place among the shipped profiles; the
// stores' cursors have no such character.
const shippedCursor = "shipped."

// Profiles lists the shipped profiles and those of the caller's app, by id.
func (s *Service) Profiles(ctx context.Context, c Caller, p Page) (List[TranscodingProfile], error) {
	shipped := ShippedProfiles()
	if p.Ascending {
		slices.Reverse(shipped)
	}
	at, inShipped := 0, !p.Ascending && p.Cursor == ""
	if n, ok := strings.CutPrefix(p.Cursor, shippedCursor); ok {
		var err error
		if at, err = strconv.Atoi(n); err != nil || at < 0 || at > len(shipped) {
			return List[TranscodingProfile]{}, refuse(broadcast.CodeInvalidCursor, "the cursor is not one of this list")
		}
		inShipped, p.Cursor = true, ""
	}
	var list List[TranscodingProfile]
	if inShipped {
		n := min(max(p.Limit, 1), len(shipped)-at)
		list.Items = append(list.Items, shipped[at:at+n]...)
		if at += n; at < len(shipped) {
			list.Next = shippedCursor + strconv.Itoa(at)
			return list, nil
		}
		if p.Ascending {
			return list, nil // the shipped ones come last
		}
		if p.Limit -= n; p.Limit <= 0 {
			list.Next = shippedCursor + strconv.Itoa(at) // the app's own follow, if any
			return list, nil
		}
	}
	own, err := s.Store.Profiles(ctx, c.AppID, p)
	if err != nil {
		return List[TranscodingProfile]{}, err
	}
	list.Items, list.Next = append(list.Items, own.Items...), own.Next
	if room := p.Limit - len(own.Items); p.Ascending && own.Next == "" {
		if n := min(room, len(shipped)); n == len(shipped) {
			list.Items = append(list.Items, shipped...)
		} else {
			list.Items = append(list.Items, shipped[:n]...)
			list.Next = shippedCursor + strconv.Itoa(n)
		}
	}
	return list, nil
}
