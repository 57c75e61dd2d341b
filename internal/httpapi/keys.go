package httpapi

import (
	"context"
	"net/http"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

type KeyPath struct {
	ID broadcast.KeyID `path:"id" doc:"The stream key's id, not the key itself" example:"key_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
}

// keyQuery narrows a list of stream keys.
type keyQuery struct {
	Page
	State broadcast.KeyState `query:"state" enum:"INACTIVE,ACTIVE_PREP,ACTIVE,ACTIVE_LIVE,INACTIVE_LIVE,ACTIVE_LIVE_PREP" doc:"Only keys in this state"`
}

type keyPatch struct {
	OutputMode           opt[string] `json:"outputMode" required:"false" enum:"RTMP,CMAF,RTMP_CMAF" example:"CMAF" doc:"null = the app's"`
	TranscodingProfileID opt[string] `json:"transcodingProfileId" required:"false" maxLength:"128" doc:"null = the app's"`
}

func (p keyPatch) of(ifMatch string) control.KeyPatch {
	return control.KeyPatch{
		OutputMode:           field(p.OutputMode, asMode),
		TranscodingProfileID: field(p.TranscodingProfileID, asProfile),
		IfVersion:            ifVersion(ifMatch),
	}
}

// termination is the body of force-terminate, which may be left out.
type termination struct {
	Recording opt[string] `json:"recording" required:"false" enum:"keep,discard" example:"keep" doc:"What becomes of the recording; null = keep"`
}

// empty is the body of calls that need none; {} is welcome.
type empty struct{}

func oneKey(v control.KeyView, err error) (*one[StreamKey], error) {
	return &one[StreamKey]{etag(v.Key.Version), streamKeyOf(v)}, err
}

func keyEndpoint(s side, id, method, path, summary, description string, codes ...broadcast.Code) endpoint {
	tag := "Stream keys"
	if s == clientAPI {
		tag = "Client API"
	}
	return endpoint{
		side: s, id: id, method: method, path: path, tag: tag, summary: summary, description: description,
		codes: append(codes, broadcast.CodeKeyNotFound),
		body:  method == http.MethodPost || method == http.MethodPatch,
	}
}

func (a *api) registerStreamKeys() {
	register(a, keyEndpoint(serverAPI, "getStreamKeyOfMember", http.MethodGet, "/members/{appUserId}/stream-key",
		"Get a member's stream key", "Its ingestURL and streamKey are what the encoder is given.", broadcast.CodeMemberNotFound),
		func(ctx context.Context, c control.Caller, in *MemberPath) (*one[StreamKey], error) {
			return oneKey(a.Service.KeyOfMember(ctx, c, in.AppUserID))
		})
	register(a, keyEndpoint(serverAPI, "listStreamKeys", http.MethodGet, "/stream-keys",
		"List stream keys", "Newest first.", broadcast.CodeInvalidCursor),
		func(ctx context.Context, c control.Caller, in *keyQuery) (*listed[StreamKey], error) {
			l, err := a.Service.Keys(ctx, c, in.State, in.of())
			return listOf(l, streamKeyOf), err
		})
	register(a, keyEndpoint(serverAPI, "forceTerminateStreamKey", http.MethodPost, "/stream-keys/{id}/force-terminate",
		"End whatever the key carries", "Cuts the publisher, ends the room with force, gives the key a new string. recording says whether the recording is kept."),
		func(ctx context.Context, c control.Caller, in *keyEnd) (*one[StreamKey], error) {
			discard := in.Body != nil && in.Body.Recording.or("keep") == "discard"
			return oneKey(a.Service.ForceTerminateKey(ctx, c, in.ID, discard))
		}, movedKey[keyEnd](a))
	registerKey[KeyPath, keyChange, keyCall](a, serverAPI, "", "/stream-keys/{id}")
	registerKey[ownKey, ownKeyChange, ownKeyCall](a, clientAPI, "Own", "/stream-key")
}

// movedKey answers the key that a repeated call changed.
func movedKey[I keyAt](a *api) replay[I, one[StreamKey]] {
	return func(ctx context.Context, c control.Caller, in *I, _ control.OnceRecord) (*one[StreamKey], error) {
		return oneKey(a.Service.Key(ctx, c, (*in).key()))
	}
}

// keyAt says which key a request is about.
type keyAt interface{ key() broadcast.KeyID }

func (p KeyPath) key() broadcast.KeyID { return p.ID }

// ownKey is the caller's own.
type ownKey struct{}

func (ownKey) key() broadcast.KeyID { return "" }

type (
	keyCall struct {
		KeyPath
		Body *empty
	}
	keyEnd struct {
		KeyPath
		Body *termination
	}
	ownKeyCall struct {
		ownKey
		Body *empty
	}
	keyChange struct {
		KeyPath
		Guarded
		Body keyPatch
	}
	ownKeyChange struct {
		ownKey
		Guarded
		Body keyPatch
	}
)

func (c keyChange) change() control.KeyPatch    { return c.Body.of(c.IfMatch) }
func (c ownKeyChange) change() control.KeyPatch { return c.Body.of(c.IfMatch) }

// registerKey serves the operations that both APIs have: they differ in where
// the key's id comes from.
func registerKey[Get keyAt, Patch interface {
	keyAt
	change() control.KeyPatch
}, Post keyAt](a *api, s side, who, path string) {
	register(a, keyEndpoint(s, "get"+who+"StreamKey", http.MethodGet, path, "Get a stream key",
		"With its secret string and, while a publisher is connected, the health of its ingest."),
		func(ctx context.Context, c control.Caller, in *Get) (*one[StreamKey], error) {
			return oneKey(a.Service.Key(ctx, c, (*in).key()))
		})
	register(a, keyEndpoint(s, "update"+who+"StreamKey", http.MethodPatch, path, "Change a stream key",
		"JSON Merge Patch; counts from the next publish on.", broadcast.CodeVersionMismatch, broadcast.CodeProfileNotFound),
		func(ctx context.Context, c control.Caller, in *Patch) (*one[StreamKey], error) {
			return oneKey(a.Service.UpdateKey(ctx, c, (*in).key(), (*in).change()))
		})
	register(a, keyEndpoint(s, "reissue"+who+"StreamKey", http.MethodPost, path+"/reissue", "Give the key a new string",
		"Only while it is INACTIVE; the old string leads nowhere from the answer on.", broadcast.CodeKeyNotInactive),
		func(ctx context.Context, c control.Caller, in *Post) (*one[StreamKey], error) {
			return oneKey(a.Service.ReissueKey(ctx, c, (*in).key()))
		}, movedKey[Post](a))
	register(a, keyEndpoint(s, "disconnect"+who+"StreamKey", http.MethodPost, path+"/disconnect", "Cut the publisher",
		"The publisher is refused for 30 seconds; the string stays. The way to end a running show without a new key: disconnect, then end."),
		func(ctx context.Context, c control.Caller, in *Post) (*one[StreamKey], error) {
			return oneKey(a.Service.DisconnectKey(ctx, c, (*in).key()))
		}, movedKey[Post](a))
}
