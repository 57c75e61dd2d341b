package control

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// DefaultMaxLive ends a show that nobody ends (docs/states.md, "Timers").
const DefaultMaxLive = 43_200 * time.Second

// maxSeconds bounds the settings that are given in seconds: 30 days.
const maxSeconds = 30 * 86_400

// CreateApp makes an app and its first API key; the secret is shown this once.
func (s *Service) CreateApp(ctx context.Context, who Actor, name string) (App, APIKey, string, error) {
	var v invalid
	if name == "" {
		v.add(broadcast.CodeInvalidField, "name", "must not be empty")
	}
	v.text("name", name, maxName)
	if err := v.err(); err != nil {
		return App{}, APIKey{}, "", err
	}
	now, limit := s.Now(), DefaultMaxLive
	app := App{
		ID: broadcast.AppID(s.IDs.New("app")), Name: name, DefaultOutputMode: broadcast.ModeCMAF,
		DefaultTranscodingProfileID: PassthroughProfile, MaxLive: &limit, CreatedAt: now, ModifiedAt: now,
	}
	key, secret := s.newAPIKey(app.ID, "", now)
	err := s.Store.Commit(ctx, Changes{ID: s.IDs.New("tx"), Apps: []App{app}, APIKeys: []APIKey{key}})
	if err != nil {
		return App{}, APIKey{}, "", err
	}
	app.Version, key.Version = 1, 1
	s.Log.InfoContext(ctx, "app created", "app", app.ID, "by", who.Kind)
	return app, key, secret, nil
}

func (s *Service) newAPIKey(app broadcast.AppID, name string, now time.Time) (APIKey, string) {
	secret := s.IDs.Secret(32)
	return APIKey{ID: s.IDs.New("ak"), AppID: app, Name: name, SecretHash: HashSecret(secret), CreatedAt: now}, secret
}

// RotateAPIKey makes a further API key of an app; the secret is shown this
// once. Older keys stay valid until they are revoked.
func (s *Service) RotateAPIKey(ctx context.Context, who Actor, id broadcast.AppID) (APIKey, string, error) {
	if _, err := s.AppByID(ctx, id); err != nil {
		return APIKey{}, "", err
	}
	return s.makeAPIKey(ctx, who, id, "")
}

// AppByID is for operators.
func (s *Service) AppByID(ctx context.Context, id broadcast.AppID) (App, error) {
	app, err := s.Store.App(ctx, id)
	return app, notFound(err, broadcast.CodeAppNotFound, "app")
}

// Apps is for operators.
func (s *Service) Apps(ctx context.Context, p Page) (List[App], error) { return s.Store.Apps(ctx, p) }

// App answers the caller's own app.
func (s *Service) App(ctx context.Context, c Caller) (App, error) { return s.AppByID(ctx, c.AppID) }

// UpdateApp changes the caller's own app. What is live keeps its mode.
func (s *Service) UpdateApp(ctx context.Context, c Caller, p AppPatch) (App, error) {
	var app App
	err := s.retry(ctx, func() error {
		if err := s.checkAppPatch(ctx, c, p); err != nil {
			return err
		}
		var err error
		if app, err = s.App(ctx, c); err != nil {
			return err
		}
		if err := checkVersion(p.IfVersion, app.Version); err != nil {
			return err
		}
		was := app
		p.apply(&app)
		app.ModifiedAt = s.Now()
		err = s.Store.Commit(ctx, Changes{
			ID: s.IDs.New("tx"), Apps: []App{app},
			ProfileUses: slices.Concat(
				moved(was.DefaultTranscodingProfileID, app.DefaultTranscodingProfileID), moved(was.VODTranscodingProfileID, app.VODTranscodingProfileID),
				moved(was.ThumbnailTranscodingProfileID, app.ThumbnailTranscodingProfileID), moved(was.PreviewTranscodingProfileID, app.PreviewTranscodingProfileID),
			),
		})
		return lostUpdate(err, p.IfVersion)
	})
	if err != nil {
		return App{}, err
	}
	app.Version++
	return app, nil
}

// lostUpdate turns a lost race into the answer that If-Match asks for.
func lostUpdate(err error, ifVersion uint64) error {
	if ifVersion != 0 && errors.Is(err, ErrConflict) {
		return checkVersion(ifVersion, ifVersion+1)
	}
	return err
}

// checkAppPatch lists everything that is wrong with it.
func (s *Service) checkAppPatch(ctx context.Context, c Caller, p AppPatch) error {
	var v invalid
	if p.Name.Set && (p.Name.Value == nil || *p.Name.Value == "") {
		v.add(broadcast.CodeInvalidField, "name", "must not be empty")
	}
	if p.Name.Value != nil {
		v.text("name", *p.Name.Value, maxName)
	}
	if p.DefaultOutputMode.Value != nil {
		v.mode("defaultOutputMode", *p.DefaultOutputMode.Value)
	}
	profiles := []struct {
		name  string
		id    Field[broadcast.ProfileID]
		want  ProfileType
		wrong invalid
	}{
		{name: "defaultTranscodingProfileId", id: p.DefaultTranscodingProfileID, want: ProfileLive},
		{name: "vodTranscodingProfileId", id: p.VODTranscodingProfileID, want: ProfileVideo},
		{name: "thumbnailTranscodingProfileId", id: p.ThumbnailTranscodingProfileID, want: ProfileThumbnail},
		{name: "previewTranscodingProfileId", id: p.PreviewTranscodingProfileID, want: ProfilePreview},
	}
	err := inParallel(len(profiles), len(profiles), func(i int) error {
		f := &profiles[i]
		return s.checkProfile(ctx, &f.wrong, c, f.name, f.id, f.want)
	})
	if err != nil {
		return err
	}
	for _, f := range profiles {
		v.fields, v.codes = append(v.fields, f.wrong.fields...), append(v.codes, f.wrong.codes...)
	}
	v.seconds("reconnectWindowSeconds", p.ReconnectWindowSeconds)
	v.seconds("maxLiveSeconds", p.MaxLiveSeconds)
	return v.err()
}

func (v *invalid) seconds(field string, f Field[int]) {
	if f.Value != nil && (*f.Value < 1 || *f.Value > maxSeconds) {
		v.add(broadcast.CodeInvalidField, field, "must be between 1 and %d, or null for no limit", maxSeconds)
	}
}

func (p AppPatch) apply(app *App) {
	set(&app.Name, p.Name)
	set(&app.DefaultOutputMode, p.DefaultOutputMode)
	if app.DefaultOutputMode == "" {
		app.DefaultOutputMode = broadcast.ModeCMAF
	}
	set(&app.DefaultTranscodingProfileID, p.DefaultTranscodingProfileID)
	if app.DefaultTranscodingProfileID == "" {
		app.DefaultTranscodingProfileID = PassthroughProfile
	}
	set(&app.VODTranscodingProfileID, p.VODTranscodingProfileID)
	set(&app.ThumbnailTranscodingProfileID, p.ThumbnailTranscodingProfileID)
	set(&app.PreviewTranscodingProfileID, p.PreviewTranscodingProfileID)
	setSeconds(&app.ReconnectWindow, p.ReconnectWindowSeconds)
	setSeconds(&app.MaxLive, p.MaxLiveSeconds)
}

func setSeconds(to **time.Duration, f Field[int]) {
	if !f.Set {
		return
	}
	*to = nil
	if f.Value != nil {
		d := time.Duration(*f.Value) * time.Second
		*to = &d
	}
}
