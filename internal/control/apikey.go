package control

import (
	"context"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// CreateAPIKey makes a further key of the caller's app; the secret is shown
// this once. The others stay valid.
func (s *Service) CreateAPIKey(ctx context.Context, c Caller, name string) (APIKey, string, error) {
	var v invalid
	v.text("name", name, maxName)
	if err := v.err(); err != nil {
		return APIKey{}, "", err
	}
	return s.makeAPIKey(ctx, c.Actor, c.AppID, name)
}

func (s *Service) makeAPIKey(ctx context.Context, who Actor, app broadcast.AppID, name string) (APIKey, string, error) {
	key, secret := s.newAPIKey(app, name, s.Now())
	if err := s.Store.Commit(ctx, Changes{ID: s.IDs.New("tx"), APIKeys: []APIKey{key}}); err != nil {
		return APIKey{}, "", err
	}
	key.Version = 1
	s.Log.InfoContext(ctx, "api key created", "app", app, "key", key.ID, "by", who.Kind, "by_id", who.ID)
	return key, secret, nil
}

// APIKeys lists the keys of the caller's app, revoked ones as well.
func (s *Service) APIKeys(ctx context.Context, c Caller, p Page) (List[APIKey], error) {
	return s.Store.APIKeys(ctx, c.AppID, p)
}

// RevokeAPIKey ends a key of the caller's app: the next call with it is
// refused, on other instances within 4 s. One that is revoked stays so.
func (s *Service) RevokeAPIKey(ctx context.Context, c Caller, id string) error {
	return s.retry(ctx, func() error {
		key, err := s.Store.APIKey(ctx, id)
		if err == nil && key.AppID != c.AppID {
			err = ErrNotFound
		}
		if err != nil {
			return notFound(err, broadcast.CodeAPIKeyNotFound, "API key")
		}
		if key.RevokedAt != nil {
			return nil
		}
		now := s.Now()
		key.RevokedAt = &now
		if err := s.Store.Commit(ctx, Changes{ID: s.IDs.New("tx"), APIKeys: []APIKey{key}}); err != nil {
			return err
		}
		s.knownKeys.forget(id)
		s.Log.InfoContext(ctx, "api key revoked", "app", c.AppID, "key", id, "by", c.Actor.Kind, "by_id", c.Actor.ID)
		return nil
	})
}
