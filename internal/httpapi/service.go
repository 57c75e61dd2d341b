package httpapi

import (
	"context"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// Service is the use cases that the API offers; *control.Service is one. An
// error that callers may branch on is a *broadcast.Refusal. Safe for
// concurrent use.
type Service interface {
	callers
	apps
	members
	streamKeys
	videoRooms
	videoPosts
	profileService
	eventService
	webhookService
	deadEvents
	// Once runs do unless the same call took effect within 24 hours; then it
	// answers that call's record.
	Once(ctx context.Context, call control.OnceCall, do func(context.Context) error) (*control.OnceRecord, error)
}

// callers turns credentials into callers; a wrong one is CodeInvalidCredentials.
type callers interface {
	AuthenticateApp(ctx context.Context, apiKey, secret string) (control.Caller, error)
	CallerOfMember(ctx context.Context, app broadcast.AppID, member broadcast.MemberID) (control.Caller, error)
}

type apps interface {
	App(ctx context.Context, c control.Caller) (control.App, error)
	UpdateApp(ctx context.Context, c control.Caller, p control.AppPatch) (control.App, error)

	CreateApp(ctx context.Context, who control.Actor, name string) (app control.App, key control.APIKey, secret string, err error)
	Apps(ctx context.Context, p control.Page) (control.List[control.App], error)
	AppByID(ctx context.Context, id broadcast.AppID) (control.App, error)
	UpdateAppByID(ctx context.Context, who control.Actor, id broadcast.AppID, p control.AppPatch) (control.App, error)
	DeleteApp(ctx context.Context, who control.Actor, id broadcast.AppID) error
	Workers(ctx context.Context) ([]control.Worker, error)
	CreateAPIKey(ctx context.Context, c control.Caller, name string) (key control.APIKey, secret string, err error)
	APIKeys(ctx context.Context, c control.Caller, p control.Page) (control.List[control.APIKey], error)
	RevokeAPIKey(ctx context.Context, c control.Caller, id string) error
	RotateAPIKey(ctx context.Context, who control.Actor, app broadcast.AppID) (key control.APIKey, secret string, err error)
}

type members interface {
	PutMember(ctx context.Context, c control.Caller, in control.MemberInput) (m control.Member, created bool, err error)
	Member(ctx context.Context, c control.Caller, appUserID string) (control.Member, error)
	Members(ctx context.Context, c control.Caller, p control.Page) (control.List[control.Member], error)
	UpdateMember(ctx context.Context, c control.Caller, appUserID string, in control.MemberInput) (control.Member, error)
	DeleteMember(ctx context.Context, c control.Caller, appUserID string, force bool) error
	Self(ctx context.Context, c control.Caller) (control.Member, error)
}

// streamKeys: the id "" is the caller's own key, in the client API only.
type streamKeys interface {
	Key(ctx context.Context, c control.Caller, id broadcast.KeyID) (control.KeyView, error)
	KeyOfMember(ctx context.Context, c control.Caller, appUserID string) (control.KeyView, error)
	Keys(ctx context.Context, c control.Caller, state broadcast.KeyState, p control.Page) (control.List[control.KeyView], error)
	UpdateKey(ctx context.Context, c control.Caller, id broadcast.KeyID, p control.KeyPatch) (control.KeyView, error)
	ReissueKey(ctx context.Context, c control.Caller, id broadcast.KeyID) (control.KeyView, error)
	ForceTerminateKey(ctx context.Context, c control.Caller, id broadcast.KeyID, discard bool) (control.KeyView, error)
	DisconnectKey(ctx context.Context, c control.Caller, id broadcast.KeyID) (control.KeyView, error)
	AllKeys(ctx context.Context, state broadcast.KeyState, p control.Page) (control.List[broadcast.StreamKey], error)
}

type videoRooms interface {
	CreateRoom(ctx context.Context, c control.Caller, in control.RoomInput) (control.RoomView, error)
	Room(ctx context.Context, c control.Caller, id broadcast.RoomID) (control.RoomView, error)
	Rooms(ctx context.Context, c control.Caller, state broadcast.RoomState, appUserID string, p control.Page) (control.List[control.RoomView], error)
	UpdateRoom(ctx context.Context, c control.Caller, id broadcast.RoomID, p control.RoomPatch) (control.RoomView, error)
	CancelRoom(ctx context.Context, c control.Caller, id broadcast.RoomID) (control.RoomView, error)
	StartRoom(ctx context.Context, c control.Caller, id broadcast.RoomID) (control.RoomView, error)
	EndRoom(ctx context.Context, c control.Caller, id broadcast.RoomID, force bool) (control.RoomView, error)
	DeleteRoom(ctx context.Context, c control.Caller, id broadcast.RoomID) error
	Journal(ctx context.Context, c control.Caller, id broadcast.RoomID, p control.Page) (control.List[control.JournalEntry], error)
	AnyJournal(ctx context.Context, id broadcast.RoomID, p control.Page) (control.List[control.JournalEntry], error)
	AllRooms(ctx context.Context, state broadcast.RoomState, p control.Page) (control.List[control.RoomView], error)
}

type videoPosts interface {
	Post(ctx context.Context, c control.Caller, id broadcast.PostID) (control.PostView, error)
	Posts(ctx context.Context, c control.Caller, state broadcast.PostState, appUserID string, p control.Page) (control.List[control.PostView], error)
	UpdatePost(ctx context.Context, c control.Caller, id broadcast.PostID, p control.PostPatch) (control.PostView, error)
	DeletePost(ctx context.Context, c control.Caller, id broadcast.PostID) error
	RetryPost(ctx context.Context, c control.Caller, id broadcast.PostID) (control.PostView, error)
}
