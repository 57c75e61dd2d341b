package httpapi

import (
	"context"
	"net/http"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// Operators see resources of every app, and no stream key string.

type adminKey struct {
	AppID     string `json:"appId" example:"app_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	AppUserID string `json:"appUserId" example:"user-42"`
	MemberID  string `json:"memberId" example:"mem_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	StreamKey
}

func adminKeyOf(k broadcast.StreamKey) adminKey {
	return adminKey{
		AppID: string(k.AppID), AppUserID: k.AppUserID, MemberID: string(k.MemberID),
		StreamKey: streamKeyOf(control.KeyView{Key: k}),
	}
}

type adminRoom struct {
	AppID string `json:"appId" example:"app_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	VideoRoom
}

func adminRoomOf(v control.RoomView) adminRoom {
	return adminRoom{AppID: string(v.Room.AppID), VideoRoom: videoRoomOf(v)}
}

// Credential is an API key, shown this once.
type Credential struct {
	APIKey    string    `json:"apiKey" doc:"User name of HTTP Basic" example:"ak_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	APISecret string    `json:"apiSecret" doc:"Password of HTTP Basic; never shown again" example:"as_…"`
	CreatedAt timestamp `json:"createdAt"`
}

type newApp struct {
	App app `json:"app"`
	Credential
}

type appCreate struct {
	Name string `json:"name" minLength:"1" maxLength:"128" example:"Acme Live"`
}

type AppPath struct {
	ID broadcast.AppID `path:"id" doc:"The app's id" example:"app_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
}

func adminEndpoint(id, method, path, summary, description string, codes ...broadcast.Code) endpoint {
	e := endpoint{
		side: operatorAPI, id: id, method: method, path: path, tag: "Operator",
		summary: summary, description: description, codes: codes,
	}
	if method == http.MethodPatch {
		e.body = true
	}
	if method == http.MethodPost {
		e.body, e.secret, e.status = true, true, http.StatusCreated
	}
	return e
}

func (a *api) registerAdmin() {
	register(a, adminEndpoint("listApps", http.MethodGet, "/apps", "List apps", "Newest first.", broadcast.CodeInvalidCursor),
		func(ctx context.Context, _ control.Caller, in *Page) (*listed[app], error) {
			l, err := a.Service.Apps(ctx, in.of())
			return listOf(l, appOf), err
		})
	register(a, adminEndpoint("createApp", http.MethodPost, "/apps", "Create an app", "With its first API key, whose secret is shown this once."),
		func(ctx context.Context, c control.Caller, in *struct{ Body appCreate }) (*one[newApp], error) {
			v, key, secret, err := a.Service.CreateApp(ctx, c.Actor, in.Body.Name)
			return &one[newApp]{etag(v.Version), newApp{appOf(v), credentialOf(key, secret)}}, err
		})
	register(a, adminEndpoint("getAppById", http.MethodGet, "/apps/{id}", "Get an app", "Any app of the installation, by its id.", broadcast.CodeAppNotFound),
		func(ctx context.Context, _ control.Caller, in *AppPath) (*one[app], error) {
			return oneApp(a.Service.AppByID(ctx, in.ID))
		})
	a.registerAdminApp()
	register(a, adminEndpoint("createApiKey", http.MethodPost, "/apps/{id}/api-keys", "Make a new API key",
		"Its secret is shown this once. Older keys stay valid until they are revoked.", broadcast.CodeAppNotFound),
		func(ctx context.Context, c control.Caller, in *struct {
			AppPath
			Body *empty
		},
		) (*struct{ Body Credential }, error) {
			key, secret, err := a.Service.RotateAPIKey(ctx, c.Actor, in.ID)
			return &struct{ Body Credential }{credentialOf(key, secret)}, err
		})
	register(a, adminEndpoint("listAllStreamKeys", http.MethodGet, "/stream-keys", "List the stream keys of all apps",
		"Without their strings.", broadcast.CodeInvalidCursor),
		func(ctx context.Context, _ control.Caller, in *keyQuery) (*listed[adminKey], error) {
			l, err := a.Service.AllKeys(ctx, in.State, in.of())
			return listOf(l, adminKeyOf), err
		})
	register(a, adminEndpoint("listAllVideoRooms", http.MethodGet, "/video-rooms", "List the video rooms of all apps",
		"Newest first.", broadcast.CodeInvalidCursor),
		func(ctx context.Context, _ control.Caller, in *struct {
			Page
			RoomState
		},
		) (*listed[adminRoom], error) {
			l, err := a.Service.AllRooms(ctx, in.State, in.of())
			return listOf(l, adminRoomOf), err
		})
}

// worker is an ingest worker that has a publisher now.
type worker struct {
	ID       string  `json:"id" example:"worker-1"`
	Address  *string `json:"address" doc:"Private host:port for relays; null on one machine" example:"10.0.1.17:1936"`
	Sessions int     `json:"sessions" doc:"Publishers that it has now" example:"12"`
	Bitrate  int64   `json:"bitrate" doc:"Bits per second of all of them" example:"36000000"`
}

func workerOf(w control.Worker) worker {
	return worker{string(w.ID), orNull(w.Address), w.Sessions, w.BitrateBPS}
}

func (a *api) registerAdminApp() {
	register(a, adminEndpoint("updateAppById", http.MethodPatch, "/apps/{id}", "Change an app", "JSON Merge Patch, as the app itself may.",
		broadcast.CodeAppNotFound, broadcast.CodeVersionMismatch, broadcast.CodeProfileNotFound),
		func(ctx context.Context, c control.Caller, in *struct {
			AppPath
			Guarded
			Body appPatch
		},
		) (*one[app], error) {
			return oneApp(a.Service.UpdateAppByID(ctx, c.Actor, in.ID, in.Body.of(in.IfMatch)))
		})
	register(a, adminEndpoint("deleteAppById", http.MethodDelete, "/apps/{id}", "Delete an app",
		"Only one without members, video rooms and video posts. Its API keys, webhook endpoints and profiles go with it.",
		broadcast.CodeAppNotFound, broadcast.CodeAppNotEmpty),
		func(ctx context.Context, c control.Caller, in *AppPath) (*none, error) {
			return &none{}, a.Service.DeleteApp(ctx, c.Actor, in.ID)
		})
	register(a, adminEndpoint("getAnyVideoRoomJournal", http.MethodGet, "/video-rooms/{id}/journal", "Why a room is in its state",
		"Of any app. Every transition, refusal and event, oldest first.", broadcast.CodeRoomNotFound, broadcast.CodeInvalidCursor),
		func(ctx context.Context, _ control.Caller, in *journalQuery) (*listed[entry], error) {
			l, err := a.Service.AnyJournal(ctx, in.ID, in.of())
			return listOf(l, entryOf), err
		})
	register(a, adminEndpoint("listEventsOfApp", http.MethodGet, "/apps/{id}/events", "Read an app's feed of events",
		"As the app reads it.", broadcast.CodeAppNotFound, broadcast.CodeInvalidCursor),
		func(ctx context.Context, c control.Caller, in *struct {
			AppPath
			EventsQuery
		},
		) (*struct{ Body eventList }, error) {
			if _, err := a.Service.AppByID(ctx, in.ID); err != nil {
				return nil, err
			}
			c.AppID = in.ID
			return a.listEvents(ctx, c, &in.EventsQuery)
		})
	register(a, adminEndpoint("listWorkers", http.MethodGet, "/workers", "List ingest workers",
		"Those that have a publisher now, by id, all on one page."),
		func(ctx context.Context, _ control.Caller, _ *struct{}) (*listed[worker], error) {
			l, err := a.Service.Workers(ctx)
			return listOf(control.List[control.Worker]{Items: l}, workerOf), err
		})
}

func credentialOf(k control.APIKey, secret string) Credential {
	return Credential{APIKey: k.ID, APISecret: secret, CreatedAt: timestamp{k.CreatedAt}}
}
