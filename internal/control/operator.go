package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// deletePage is how much of an app's own records one transaction removes.
const deletePage = 20

// UpdateAppByID is UpdateApp for operators.
func (s *Service) UpdateAppByID(ctx context.Context, who Actor, id broadcast.AppID, p AppPatch) (App, error) {
	return s.UpdateApp(ctx, Caller{AppID: id, Actor: who}, p)
}

// DeleteApp removes an app that has no member, room or recording left, with
// its keys, webhook endpoints and profiles. Its keys go first: from then on
// nobody adds to it. What is broken off half-way is finished by the next call.
func (s *Service) DeleteApp(ctx context.Context, who Actor, id broadcast.AppID) error {
	app, err := s.AppByID(ctx, id)
	if err != nil {
		return err
	}
	for _, step := range []func(context.Context, App) error{
		s.mustBeEmpty, s.deleteKeysOf, s.mustBeEmpty, s.deleteEndpointsOf, s.deleteProfilesOf, s.deleteAppRecord,
	} {
		if err := step(ctx, app); err != nil {
			return err
		}
	}
	s.Log.InfoContext(ctx, "app deleted", "app", id, "by", who.Kind)
	return nil
}

func (s *Service) mustBeEmpty(ctx context.Context, app App) error {
	one := Page{Limit: 1}
	members, err := s.Store.Members(ctx, app.ID, one)
	if err != nil {
		return err
	}
	rooms, err := s.Store.Rooms(ctx, RoomFilter{AppID: app.ID}, one)
	if err != nil {
		return err
	}
	posts, err := s.Store.Posts(ctx, PostFilter{AppID: app.ID}, one)
	if err != nil {
		return err
	}
	if len(members.Items)+len(rooms.Items)+len(posts.Items) > 0 {
		return refuse(broadcast.CodeAppNotEmpty, "the app has members, video rooms or video posts; delete them first")
	}
	return nil
}

// eachPage hands the pages of a list that gets shorter to remove.
func eachPage[T any](list func(Page) (List[T], error), remove func([]T) error) error {
	for cursor := ""; ; {
		page, err := list(Page{Limit: deletePage, Cursor: cursor})
		if err != nil {
			return err
		}
		if len(page.Items) > 0 {
			err = remove(page.Items)
		}
		if cursor = page.Next; err != nil || cursor == "" {
			return err
		}
	}
}

func (s *Service) deleteKeysOf(ctx context.Context, app App) error {
	return eachPage(func(p Page) (List[APIKey], error) { return s.Store.APIKeys(ctx, app.ID, p) }, func(keys []APIKey) error {
		err := s.Store.Commit(ctx, Changes{ID: s.IDs.New("tx"), DeleteAPIKeys: keys})
		for _, k := range keys {
			s.knownKeys.forget(k.ID)
		}
		return err
	})
}

func (s *Service) deleteEndpointsOf(ctx context.Context, app App) error {
	err := eachPage(func(p Page) (List[Endpoint], error) { return s.Webhooks.Endpoints(ctx, app.ID, p) }, func(list []Endpoint) error {
		for _, e := range list {
			if err := s.DeleteEndpoint(ctx, Caller{AppID: app.ID}, e.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if errors.Is(err, ErrUnavailable) {
		return nil // this installation has none
	}
	return err
}

// deleteProfilesOf also takes them out of the app's defaults.
func (s *Service) deleteProfilesOf(ctx context.Context, app App) error {
	none := Field[broadcast.ProfileID]{Set: true}
	if _, err := s.UpdateApp(ctx, Caller{AppID: app.ID}, AppPatch{
		DefaultTranscodingProfileID: none, VODTranscodingProfileID: none, ThumbnailTranscodingProfileID: none, PreviewTranscodingProfileID: none,
	}); err != nil {
		return err
	}
	return eachPage(func(p Page) (List[TranscodingProfile], error) { return s.Store.Profiles(ctx, app.ID, p) }, func(list []TranscodingProfile) error {
		return s.Store.Commit(ctx, Changes{ID: s.IDs.New("tx"), DeleteProfiles: list})
	})
}

func (s *Service) deleteAppRecord(ctx context.Context, app App) error {
	return s.retry(ctx, func() error {
		now, err := s.AppByID(ctx, app.ID)
		if err != nil {
			return err
		}
		return s.Store.Commit(ctx, Changes{ID: s.IDs.New("tx"), DeleteApps: []App{now}})
	})
}

// Worker is an ingest worker as its held leases show it.
type Worker struct {
	ID broadcast.WorkerID
	// Address is its private host:port for relays; "" on one machine.
	Address string
	// Sessions are the publishers that it has now.
	Sessions   int
	BitrateBPS int64
}

// Workers lists the workers that have a publisher now, by id.
func (s *Service) Workers(ctx context.Context) ([]Worker, error) {
	const page = 200
	workers := map[broadcast.WorkerID]Worker{}
	for after := broadcast.KeyID(""); ; {
		leases, err := s.Store.HeldLeases(ctx, after, page)
		if err != nil {
			return nil, fmt.Errorf("list workers: %w", err)
		}
		for _, l := range leases {
			after = l.KeyID
			if l.Holder == nil {
				continue // its end is on the way to the key
			}
			w := workers[l.Holder.Worker]
			w.ID, w.Address = l.Holder.Worker, l.Holder.Address
			w.Sessions++
			if l.Health != nil {
				w.BitrateBPS += l.Health.BitrateBPS
			}
			workers[w.ID] = w
		}
		if len(leases) < page {
			break
		}
	}
	list := make([]Worker, 0, len(workers))
	for _, w := range workers {
		list = append(list, w)
	}
	slices.SortFunc(list, func(a, b Worker) int { return cmp.Compare(a.ID, b.ID) })
	return list, nil
}
