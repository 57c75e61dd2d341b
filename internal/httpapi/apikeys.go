package httpapi

import (
	"context"
	"net/http"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// APIKey is one of an app's keys, without its secret.
type APIKey struct {
	ID         string     `json:"id" doc:"User name of HTTP Basic" example:"ak_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
	Name       *string    `json:"name" example:"billing service"`
	CreatedAt  timestamp  `json:"createdAt"`
	LastUsedAt *timestamp `json:"lastUsedAt" nullable:"true" doc:"Up to a minute old; null = never used"`
	RevokedAt  *timestamp `json:"revokedAt" nullable:"true" doc:"null = it is valid"`
}

func apiKeyOf(k control.APIKey) APIKey {
	return APIKey{
		ID: k.ID, Name: orNull(k.Name), CreatedAt: timestamp{k.CreatedAt},
		LastUsedAt: timestampOf(k.LastUsedAt), RevokedAt: timestampOf(k.RevokedAt),
	}
}

// newAPIKey shows the secret this once.
type newAPIKey struct {
	APIKey
	Secret string `json:"apiSecret" doc:"Password of HTTP Basic; never shown again" example:"…"`
}

type apiKeyCreate struct {
	Name opt[string] `json:"name" required:"false" maxLength:"128" doc:"For people" example:"billing service"`
}

type APIKeyPath struct {
	ID string `path:"id" doc:"The API key's id" example:"ak_01JD3Q7D9Y5Y3V7T6M5B8N2K4C"`
}

func (a *api) registerAPIKeys() {
	register(a, endpoint{
		side: serverAPI, id: "listApiKeys", method: http.MethodGet, path: "/api-keys", tag: "App", summary: "List API keys",
		description: "Newest first, revoked ones as well.", codes: []broadcast.Code{broadcast.CodeInvalidCursor},
	}, func(ctx context.Context, c control.Caller, in *Page) (*listed[APIKey], error) {
		l, err := a.Service.APIKeys(ctx, c, in.of())
		return listOf(l, apiKeyOf), err
	})
	register(a, endpoint{
		side: serverAPI, id: "createOwnApiKey", method: http.MethodPost, path: "/api-keys", tag: "App", summary: "Make a further API key",
		description: "Its secret is shown this once. The others stay valid until they are revoked.",
		body:        true, secret: true, status: http.StatusCreated,
	}, func(ctx context.Context, c control.Caller, in *struct{ Body *apiKeyCreate }) (*struct{ Body newAPIKey }, error) {
		name := ""
		if in.Body != nil {
			name = in.Body.Name.or("")
		}
		key, secret, err := a.Service.CreateAPIKey(ctx, c, name)
		return &struct{ Body newAPIKey }{newAPIKey{apiKeyOf(key), secret}}, err
	})
	register(a, endpoint{
		side: serverAPI, id: "revokeApiKey", method: http.MethodDelete, path: "/api-keys/{id}", tag: "App", summary: "Revoke an API key",
		description: "From the answer on, calls with it are refused; also where it is the one that calls. Revoking it again changes nothing.",
		codes:       []broadcast.Code{broadcast.CodeAPIKeyNotFound},
	}, func(ctx context.Context, c control.Caller, in *APIKeyPath) (*none, error) {
		return &none{}, a.Service.RevokeAPIKey(ctx, c, in.ID)
	})
}
