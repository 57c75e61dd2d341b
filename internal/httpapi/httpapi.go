// Package httpapi is the HTTP API of docs/contract.md: each operation decodes
// its request, makes one call of control and encodes the answer. Errors are
// problem documents; errors.go holds the only map from codes to statuses.
package httpapi

import (
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Options are what the API needs; all but OperatorToken and Log are required.
type Options struct {
	Service Service
	// TokenKeys answers those of member tokens (HS256), each at least 32 random
	// bytes that stay the same over restarts: the first signs, all verify. So a
	// key is replaced without logging anybody out: the new one is first added
	// everywhere, then put first, and the old one dropped after 24 hours. It is
	// asked at every request, and safe for concurrent use.
	TokenKeys func() [][]byte
	// OperatorToken opens /v2/admin; "" = nobody may.
	OperatorToken string
	// Rates bound the requests of apps and addresses.
	Rates Rates
	Now   func() time.Time
	// IDs makes an id for each request that brings none of its own; safe for
	// concurrent use.
	IDs func() string
	// Log gets one line per request; nil = slog's default.
	Log *slog.Logger
}

type api struct {
	Options
	auth   *authenticator
	tokens *tokens
	mux    *http.ServeMux
	huma   huma.API
	calls  *underWay
	rates  *limiter
}

// Huma's only way to be strict about names is a variable of its package.
var strictCasing sync.Once

// New makes the handler of /v2/**, /openapi.json and /docs; every other path
// is a 404 problem. Safe for concurrent use. An error names a missing or
// unusable option.
func New(o Options) (http.Handler, error) {
	if o.Service == nil || o.TokenKeys == nil || o.Now == nil || o.IDs == nil {
		return nil, errors.New("http api: Service, TokenKeys, Now and IDs are required")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	tokens, err := newTokens(o.TokenKeys, o.Now)
	if err != nil {
		return nil, err
	}
	a := newAPI(o)
	a.tokens = tokens
	a.rates = newLimiter(o.Rates, o.Now, o.Log)
	a.auth = newAuthenticator(o.Service, tokens, o.OperatorToken)
	if err := a.serveDocs(); err != nil {
		return nil, err
	}
	a.serveRest()
	return a.observed(a.mux), nil
}

// newAPI registers every operation. The result serves nothing yet that needs
// a credential.
func newAPI(o Options) *api {
	strictCasing.Do(func() { huma.ValidateStrictCasing = true })
	a := &api{Options: o, mux: http.NewServeMux(), calls: newUnderWay()}
	config := describe()
	config.Transformers = []huma.Transformer{a.asProblem}
	a.huma = humago.New(a.mux, config)
	a.registerApps()
	a.registerAPIKeys()
	a.registerMembers()
	a.registerStreamKeys()
	a.registerVideoRooms()
	a.registerVideoPosts()
	a.registerProfiles()
	a.registerEvents()
	a.registerWebhooks()
	a.registerAdmin()
	a.registerDeadEvents()
	finish(a.huma.OpenAPI())
	return a
}

// Server is an HTTP server for h with limits that no caller can wear down.
// Long answers (live streams) lift the write limit for themselves with
// http.ResponseController.
func Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      60 * time.Second, // a segment over a slow line
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    32 << 10,
	}
}
