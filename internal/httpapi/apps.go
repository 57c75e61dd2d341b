package httpapi

import (
	"context"
	"net/http"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// Guarded is the header of every PATCH.
type Guarded struct {
	IfMatch string `header:"If-Match" maxLength:"128" doc:"ETag that the resource must still have; else 412" example:"\"3\""`
}

type appPatch struct {
	Name                          opt[string] `json:"name" required:"false" nullable:"false" minLength:"1" maxLength:"128" doc:"Cannot be cleared" example:"Acme Live"`
	DefaultOutputMode             opt[string] `json:"defaultOutputMode" required:"false" enum:"RTMP,CMAF,RTMP_CMAF" doc:"null = CMAF"`
	DefaultTranscodingProfileID   opt[string] `json:"defaultTranscodingProfileId" required:"false" maxLength:"128"`
	VODTranscodingProfileID       opt[string] `json:"vodTranscodingProfileId" required:"false" maxLength:"128"`
	ThumbnailTranscodingProfileID opt[string] `json:"thumbnailTranscodingProfileId" required:"false" maxLength:"128"`
	PreviewTranscodingProfileID   opt[string] `json:"previewTranscodingProfileId" required:"false" maxLength:"128"`
	ReconnectWindowSeconds        opt[whole]  `json:"reconnectWindowSeconds" required:"false" minimum:"1" maximum:"2592000" doc:"null = no limit" example:"120"`
	MaxLiveSeconds                opt[whole]  `json:"maxLiveSeconds" required:"false" minimum:"1" maximum:"2592000" doc:"null = no limit" example:"43200"`
}

func (p appPatch) of(ifMatch string) control.AppPatch {
	return control.AppPatch{
		Name:                          p.Name.Field,
		DefaultOutputMode:             field(p.DefaultOutputMode, asMode),
		DefaultTranscodingProfileID:   field(p.DefaultTranscodingProfileID, asProfile),
		VODTranscodingProfileID:       field(p.VODTranscodingProfileID, asProfile),
		ThumbnailTranscodingProfileID: field(p.ThumbnailTranscodingProfileID, asProfile),
		PreviewTranscodingProfileID:   field(p.PreviewTranscodingProfileID, asProfile),
		ReconnectWindowSeconds:        field(p.ReconnectWindowSeconds, asInt),
		MaxLiveSeconds:                field(p.MaxLiveSeconds, asInt),
		IfVersion:                     ifVersion(ifMatch),
	}
}

func asMode(s string) broadcast.Mode         { return broadcast.Mode(s) }
func asProfile(s string) broadcast.ProfileID { return broadcast.ProfileID(s) }
func asInt(s whole) int                      { return int(s) }

func oneApp(v control.App, err error) (*one[app], error) {
	return &one[app]{etag(v.Version), appOf(v)}, err
}

func (a *api) registerApps() {
	register(a, endpoint{
		side: serverAPI, id: "getApp", method: http.MethodGet, tag: "App",
		summary: "Get the app", description: "The app that the API key belongs to.",
	}, func(ctx context.Context, c control.Caller, _ *struct{}) (*one[app], error) {
		return oneApp(a.Service.App(ctx, c))
	})

	register(a, endpoint{
		side: serverAPI, id: "updateApp", method: http.MethodPatch, tag: "App", body: true,
		summary:     "Change the app",
		description: "JSON Merge Patch: a field that is left out stays, null clears it. What is live keeps its mode.",
		codes:       []broadcast.Code{broadcast.CodeVersionMismatch, broadcast.CodeProfileNotFound},
	}, func(ctx context.Context, c control.Caller, in *struct {
		Guarded
		Body appPatch
	},
	) (*one[app], error) {
		return oneApp(a.Service.UpdateApp(ctx, c, in.Body.of(in.IfMatch)))
	})
}
