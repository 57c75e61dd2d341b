package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// TranscodingProfile says what a stream or a recording is encoded to.
type TranscodingProfile struct {
	ID        string         `json:"id" example:"prof_720p_360p"`
	Type      string         `json:"type" enum:"BROADCAST_RTMP,VIDEO,THUMBNAIL,PREVIEW" doc:"BROADCAST_RTMP for live streams, VIDEO for recordings, the others for their pictures"`
	Name      string         `json:"name" example:"720p+360p"`
	CreatedBy string         `json:"createdBy" enum:"SYSTEM,APP" doc:"SYSTEM = shipped: every app has it, and it is read-only"`
	Profile   profileContent `json:"profile"`
	Revision  int64          `json:"revision" doc:"Rises with every change; what was begun with a revision stays with it" example:"1"`
}

type profileContent struct {
	SegmentDuration *int          `json:"segmentDuration" doc:"Seconds that segments aim at; null for pictures" example:"2"`
	VideoStreams    []profileRung `json:"videoStreams" nullable:"false" doc:"Renditions; none = the video passes as it is"`
	AudioStream     *profileAudio `json:"audioStream" doc:"null = the audio passes as it is"`
}

type profileRung struct {
	Name    string `json:"name" example:"720p"`
	Width   int    `json:"width" doc:"Pixels; the picture fits into width × height, keeps its shape and is never larger than the source" example:"1280"`
	Height  *int   `json:"height" doc:"Pixels; null = follows the source" example:"720"`
	Bitrate *int64 `json:"bitrate" doc:"Bits per second; null for pictures" example:"2800000"`
}

type profileAudio struct {
	_       struct{} `nullable:"true"`
	Bitrate int64    `json:"bitrate" doc:"Bits per second" example:"128000"`
}

func transcodingProfileOf(p control.TranscodingProfile) TranscodingProfile {
	out := TranscodingProfile{
		ID: string(p.ID), Type: string(p.Type), Name: p.Name, CreatedBy: "APP", Revision: int64(p.Version), // #nosec G115 -- a count
		Profile: profileContent{SegmentDuration: known(p.Content.SegmentSeconds), VideoStreams: []profileRung{}},
	}
	if p.AppID == "" {
		out.CreatedBy = "SYSTEM"
	}
	for _, v := range p.Content.VideoStreams {
		out.Profile.VideoStreams = append(out.Profile.VideoStreams, profileRung{v.Name, v.WidthPixels, known(v.HeightPixels), known(v.BitrateBPS)})
	}
	if p.Content.AudioBitrateBPS > 0 {
		out.Profile.AudioStream = &profileAudio{Bitrate: p.Content.AudioBitrateBPS}
	}
	return out
}

// The bounds are control's, for the document.
type (
	newRung struct {
		Name    string     `json:"name" pattern:"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$" doc:"Unique in the profile; not audio, video, source or picture" example:"720p"`
		Width   whole      `json:"width" minimum:"64" maximum:"4096" multipleOf:"2" example:"1280"`
		Height  opt[whole] `json:"height" required:"false" minimum:"64" maximum:"4096" multipleOf:"2" doc:"null = follows the width, in profiles of pictures only" example:"720"`
		Bitrate opt[whole] `json:"bitrate" required:"false" minimum:"100000" maximum:"50000000" doc:"Bits per second; null in profiles of pictures, needed in others" example:"2800000"`
	}
	newAudio struct {
		Bitrate whole `json:"bitrate" minimum:"32000" maximum:"320000" doc:"Bits per second" example:"128000"`
	}
	newContent struct {
		SegmentDuration opt[whole]    `json:"segmentDuration" required:"false" minimum:"1" maximum:"10" doc:"Seconds, at most 6 for live streams; null in profiles of pictures, needed in others" example:"2"`
		VideoStreams    []newRung     `json:"videoStreams" minItems:"1" maxItems:"6" nullable:"false" doc:"One in profiles of pictures"`
		AudioStream     opt[newAudio] `json:"audioStream" required:"false" doc:"null = 128 kbit/s, and in profiles of pictures"`
	}
	profileCreate struct {
		Type    string     `json:"type" enum:"BROADCAST_RTMP,VIDEO,THUMBNAIL,PREVIEW"`
		Name    string     `json:"name" minLength:"1" maxLength:"128" example:"mobile first"`
		Profile newContent `json:"profile"`
	}
	contentPatch struct {
		SegmentDuration opt[whole]     `json:"segmentDuration" required:"false" nullable:"false" minimum:"1" maximum:"10" doc:"Cannot be cleared"`
		VideoStreams    opt[[]newRung] `json:"videoStreams" required:"false" nullable:"false" minItems:"1" maxItems:"6" doc:"Replaces the whole; cannot be cleared"`
		AudioStream     opt[newAudio]  `json:"audioStream" required:"false" doc:"null = 128 kbit/s"`
	}
	profilePatch struct {
		Name    opt[string]       `json:"name" required:"false" nullable:"false" minLength:"1" maxLength:"128" doc:"Cannot be cleared"`
		Profile opt[contentPatch] `json:"profile" required:"false" nullable:"false" doc:"Merged field by field; cannot be cleared"`
	}
)

func rungs(list []newRung) []control.VideoStream {
	out := make([]control.VideoStream, 0, len(list))
	for _, r := range list {
		out = append(out, control.VideoStream{Name: r.Name, WidthPixels: int(r.Width), HeightPixels: int(r.Height.or(0)), BitrateBPS: int64(r.Bitrate.or(0))})
	}
	return out
}

func audioBitrate(a newAudio) int64 { return int64(a.Bitrate) }

func (p profileCreate) of() control.ProfileInput {
	in := control.ProfileInput{Type: control.ProfileType(p.Type), Name: p.Name, Content: control.ProfileContent{
		SegmentSeconds: int(p.Profile.SegmentDuration.or(0)), VideoStreams: rungs(p.Profile.VideoStreams),
	}}
	if a := p.Profile.AudioStream.Value; a != nil {
		in.Content.AudioBitrateBPS = audioBitrate(*a)
	}
	return in
}

// Resolve adds what no schema can say, so that one answer lists every wrong field.
func (p *profileCreate) Resolve(huma.Context) []error {
	var errs []error
	for _, f := range p.of().Check() {
		errs = append(errs, &huma.ErrorDetail{Location: "body." + f.Field, Message: f.Message})
	}
	return errs
}

func (p profilePatch) of(ifMatch string) control.ProfilePatch {
	c := p.Profile.or(contentPatch{})
	patch := control.ProfilePatch{
		Name: p.Name.Field, SegmentSeconds: field(c.SegmentDuration, asInt), VideoStreams: field(c.VideoStreams, rungs),
		AudioBitrateBPS: field(c.AudioStream, audioBitrate), IfVersion: ifVersion(ifMatch),
	}
	if p.Profile.Set && p.Profile.Value == nil { // clearing all of it clears what cannot be cleared
		patch.SegmentSeconds.Set, patch.VideoStreams.Set = true, true
	}
	return patch
}

type profileService interface {
	CreateProfile(ctx context.Context, c control.Caller, in control.ProfileInput) (control.TranscodingProfile, error)
	Profile(ctx context.Context, c control.Caller, id broadcast.ProfileID) (control.TranscodingProfile, error)
	Profiles(ctx context.Context, c control.Caller, p control.Page) (control.List[control.TranscodingProfile], error)
	UpdateProfile(ctx context.Context, c control.Caller, id broadcast.ProfileID, p control.ProfilePatch) (control.TranscodingProfile, error)
	DeleteProfile(ctx context.Context, c control.Caller, id broadcast.ProfileID) error
}

type ProfilePath struct {
	ID broadcast.ProfileID `path:"id" doc:"The transcoding profile's id" example:"prof_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
}

func oneProfile(p control.TranscodingProfile, err error) (*one[TranscodingProfile], error) {
	return &one[TranscodingProfile]{etag(p.Version), transcodingProfileOf(p)}, err
}

func profileOp(s side, id, method, path, summary, description string, codes ...broadcast.Code) endpoint {
	e := endpoint{
		side: s, id: id, method: method, path: "/transcoding-profiles" + path, tag: "Transcoding profiles", summary: summary,
		description: description, codes: codes, body: method == http.MethodPost || method == http.MethodPatch,
	}
	if s == clientAPI {
		e.tag = "Client API"
	}
	if path != "" {
		e.codes = append(e.codes, broadcast.CodeProfileNotFound)
	}
	return e
}

func (a *api) registerProfiles() {
	create := profileOp(serverAPI, "createTranscodingProfile", http.MethodPost, "", "Make a transcoding profile",
		"For live streams (named by a stream key or as the app's default), for recordings (the app's vodTranscodingProfileId) or for their pictures (thumbnailTranscodingProfileId, previewTranscodingProfileId).")
	create.status = http.StatusCreated
	register(a, create, func(ctx context.Context, c control.Caller, in *struct{ Body profileCreate }) (*one[TranscodingProfile], error) {
		return oneProfile(a.Service.CreateProfile(ctx, c, in.Body.of()))
	}, func(ctx context.Context, c control.Caller, _ *struct{ Body profileCreate }, r control.OnceRecord) (*one[TranscodingProfile], error) {
		return oneProfile(a.Service.Profile(ctx, c, broadcast.ProfileID(r.Resource)))
	})
	register(a, profileOp(serverAPI, "getTranscodingProfile", http.MethodGet, "/{id}", "Get a transcoding profile", "The newest revision."),
		func(ctx context.Context, c control.Caller, in *ProfilePath) (*one[TranscodingProfile], error) {
			return oneProfile(a.Service.Profile(ctx, c, in.ID))
		})
	register(a, profileOp(serverAPI, "updateTranscodingProfile", http.MethodPatch, "/{id}", "Make a new revision of a transcoding profile",
		"JSON Merge Patch. What was begun with the revision before stays with it; the next publish and the next recording get the new one.",
		broadcast.CodeVersionMismatch, broadcast.CodeProfileReadOnly),
		func(ctx context.Context, c control.Caller, in *struct {
			ProfilePath
			Guarded
			Body profilePatch
		},
		) (*one[TranscodingProfile], error) {
			return oneProfile(a.Service.UpdateProfile(ctx, c, in.ID, in.Body.of(in.IfMatch)))
		})
	register(a, profileOp(serverAPI, "deleteTranscodingProfile", http.MethodDelete, "/{id}", "Delete a transcoding profile",
		"Refused while a stream key or a default of the app names it.", broadcast.CodeProfileInUse, broadcast.CodeProfileReadOnly),
		func(ctx context.Context, c control.Caller, in *ProfilePath) (*none, error) {
			return &none{}, a.Service.DeleteProfile(ctx, c, in.ID)
		})
	for s, id := range map[side]string{serverAPI: "listTranscodingProfiles", clientAPI: "ownListTranscodingProfiles"} {
		register(a, profileOp(s, id, http.MethodGet, "", "List transcoding profiles", "The shipped ones, then the app's, newest first.", broadcast.CodeInvalidCursor),
			func(ctx context.Context, c control.Caller, in *Page) (*listed[TranscodingProfile], error) {
				l, err := a.Service.Profiles(ctx, c, in.of())
				return listOf(l, transcodingProfileOf), err
			})
	}
}
