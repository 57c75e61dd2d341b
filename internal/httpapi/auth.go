package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// side is one of the three APIs; its name is that of its security scheme.
type side string

const (
	serverAPI   side = "apiKey"
	clientAPI   side = "memberToken"
	operatorAPI side = "operatorToken"
)

// prefix is the path that every operation of the side begins with.
func (s side) prefix() string {
	switch s {
	case serverAPI:
		return "/v2/apps/me"
	case clientAPI:
		return "/v2/members/me"
	case operatorAPI:
		return "/v2/admin"
	}
	return ""
}

// challenge is the WWW-Authenticate of a 401 (RFC 9110, 11.6.1).
func (s side) challenge() string {
	if s == serverAPI {
		return `Basic realm="roomcast", charset="UTF-8"`
	}
	return `Bearer realm="roomcast"`
}

// asks says which credential the API takes, in the detail of a 401.
func (s side) asks() string {
	switch s {
	case serverAPI:
		return "HTTP Basic with apiKey:apiSecret"
	case clientAPI:
		return "Authorization: Bearer with a member's token"
	case operatorAPI:
		return "Authorization: Bearer with the operator's token"
	}
	return ""
}

// authenticator knows all three kinds of credential.
type authenticator struct {
	service  callers
	tokens   *tokens
	operator *[sha256.Size]byte // nil = nobody is the operator
}

func newAuthenticator(s callers, t *tokens, operatorToken string) *authenticator {
	a := &authenticator{service: s, tokens: t}
	if operatorToken != "" {
		sum := sha256.Sum256([]byte(operatorToken))
		a.operator = &sum
	}
	return a
}

// identify says which API the request's credential is for, and who calls. A
// *broadcast.Refusal means that the credential is missing or wrong.
func (a *authenticator) identify(r *http.Request) (side, control.Caller, error) {
	wrong := &broadcast.Refusal{Code: broadcast.CodeInvalidCredentials, Message: "the credential is missing or wrong"}
	if len(r.Header.Values("Authorization")) != 1 {
		return "", control.Caller{}, wrong
	}
	if key, secret, ok := r.BasicAuth(); ok {
		c, err := a.service.AuthenticateApp(r.Context(), key, secret)
		return serverAPI, c, masked(err, wrong)
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); token == "" || !strings.EqualFold(scheme, "Bearer") {
		return "", control.Caller{}, wrong
	}
	// Hashes are compared, so that the time says nothing of the length either.
	if sum := sha256.Sum256([]byte(token)); a.operator != nil && subtle.ConstantTimeCompare(sum[:], a.operator[:]) == 1 {
		return operatorAPI, control.Caller{Actor: control.Actor{Kind: "operator"}}, nil
	}
	app, member, err := a.tokens.verify(token)
	if err != nil {
		return "", control.Caller{}, wrong
	}
	c, err := a.service.CallerOfMember(r.Context(), app, member)
	return clientAPI, c, masked(err, wrong)
}

// masked makes every refusal of a credential the same: which part was wrong is
// nobody's business. Outages pass.
func masked(err, wrong error) error {
	var refusal *broadcast.Refusal
	if errors.As(err, &refusal) && refusal.Code == broadcast.CodeInvalidCredentials {
		return wrong
	}
	return err
}

// isWrong reports whether the credential was refused, and not an outage.
func isWrong(err error) bool {
	var refusal *broadcast.Refusal
	return errors.As(err, &refusal)
}

type callerKey struct{}

// authenticate admits callers of one side to the operations behind it.
func (a *api) authenticate(want side) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		if p := a.stopped(w, r); p != nil {
			p.write(w, r)
			return
		}
		got, caller, err := a.auth.identify(r)
		state := stateOf(r.Context())
		state.app, state.member = caller.AppID, caller.MemberID
		if p := a.limited(w, r, got, caller.AppID, isWrong(err)); p != nil {
			p.write(w, r)
			return
		}
		if err == nil && got != want {
			err = newProblem(codeForbidden, "this credential is for another API: "+got.prefix())
		}
		if err != nil {
			p, internal := problemOf(err)
			state.cause = internal
			if p.Status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", want.challenge())
				p.Detail += "; " + want.prefix() + " takes " + want.asks()
			}
			p.write(w, r)
			return
		}
		caller.Actor.RequestID = state.id
		next(huma.WithValue(ctx, callerKey{}, caller))
	}
}

// callerOf is who calls: authenticate has put it there.
func callerOf(ctx context.Context) control.Caller {
	c, _ := ctx.Value(callerKey{}).(control.Caller)
	return c
}
