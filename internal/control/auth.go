package control

import (
	"context"
	"crypto/subtle"
	"errors"

	"github.com/roomcast/roomcast/internal/broadcast"
)

var errCredentials = &broadcast.Refusal{Code: broadcast.CodeInvalidCredentials, Message: "the credentials are not valid"}

// AuthenticateApp checks an app's API key. An unknown key, a revoked one and a
// wrong secret are one answer, INVALID_CREDENTIALS, and take the same time.
func (s *Service) AuthenticateApp(ctx context.Context, apiKey, secret string) (Caller, error) {
	got := HashSecret(secret)
	key, err := s.Store.APIKey(ctx, apiKey)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Caller{}, err
	}
	same := subtle.ConstantTimeCompare(got[:], key.SecretHash[:]) == 1
	if err != nil || !same || key.RevokedAt != nil {
		return Caller{}, errCredentials
	}
	return Caller{AppID: key.AppID, Actor: Actor{Kind: "api_key", ID: key.ID}}, nil
}

// CallerOfMember answers the caller that a verified member token stands for.
// A member that is gone is INVALID_CREDENTIALS.
func (s *Service) CallerOfMember(ctx context.Context, app broadcast.AppID, id broadcast.MemberID) (Caller, error) {
	m, err := s.Store.Member(ctx, id)
	if errors.Is(err, ErrNotFound) || err == nil && m.AppID != app {
		return Caller{}, errCredentials
	}
	if err != nil {
		return Caller{}, err
	}
	return Caller{AppID: app, MemberID: id, Actor: Actor{Kind: "member", ID: string(id)}}, nil
}
