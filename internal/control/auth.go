package control

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

var errCredentials = &broadcast.Refusal{Code: broadcast.CodeInvalidCredentials, Message: "the credentials are not valid"}

// AuthenticateApp checks an app's API key. An unknown key, a revoked one and a
// wrong secret are one answer, INVALID_CREDENTIALS, and take the same time.
func (s *Service) AuthenticateApp(ctx context.Context, apiKey, secret string) (Caller, error) {
	got := HashSecret(secret)
	key, err := s.apiKey(ctx, apiKey)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Caller{}, err
	}
	same := subtle.ConstantTimeCompare(got[:], key.SecretHash[:]) == 1
	if err != nil || !same || key.RevokedAt != nil {
		return Caller{}, errCredentials
	}
	s.noteUse(ctx, key)
	return Caller{AppID: key.AppID, Actor: Actor{Kind: "api_key", ID: key.ID}}, nil
}

// lastUseEvery is how often the last use of an API key is written at most.
const lastUseEvery = time.Minute

// noteUse writes when a key was used last, now and then; nothing depends on
// it: who loses the race against another use or a revocation leaves it.
func (s *Service) noteUse(ctx context.Context, key APIKey) {
	now := s.Now()
	if key.LastUsedAt != nil && now.Sub(*key.LastUsedAt) < lastUseEvery {
		return
	}
	key.LastUsedAt = &now
	err := s.Store.Commit(ctx, Changes{ID: s.IDs.New("tx"), APIKeys: []APIKey{key}})
	switch {
	case err == nil:
		key.Version++
		s.knownKeys.note(key.ID, key, now)
	case errors.Is(err, ErrConflict):
		s.knownKeys.forget(key.ID)
	default:
		s.Log.WarnContext(ctx, "use of an api key not noted", "key", key.ID, "err", err)
	}
}

// CallerOfMember answers the caller that a verified member token stands for.
// A member that is gone is INVALID_CREDENTIALS; one that was deleted elsewhere
// may be a caller for knownFor, without a record and a key of its own.
func (s *Service) CallerOfMember(ctx context.Context, app broadcast.AppID, id broadcast.MemberID) (Caller, error) {
	now := s.Now()
	if c, ok := s.knownMembers.find(string(id), now); ok && c.AppID == app {
		return c, nil
	}
	m, err := s.Store.Member(ctx, id)
	if errors.Is(err, ErrNotFound) || err == nil && m.AppID != app {
		return Caller{}, errCredentials
	}
	if err != nil {
		return Caller{}, err
	}
	c := Caller{AppID: app, MemberID: id, KeyID: m.KeyID, Actor: Actor{Kind: "member", ID: string(id)}}
	s.knownMembers.note(string(id), c, now)
	return c, nil
}
