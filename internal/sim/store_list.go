package sim

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

func find[K comparable, V any](ctx context.Context, m map[K]V, k K) (V, error) {
	var none V
	if err := ctx.Err(); err != nil {
		return none, err
	}
	v, ok := m[k]
	if !ok {
		return none, fmt.Errorf("%v: %w", k, control.ErrNotFound)
	}
	return v, nil
}

// App implements control.Store.
func (s *Store) App(ctx context.Context, id broadcast.AppID) (control.App, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return find(ctx, s.apps, id)
}

// APIKey implements control.Store.
func (s *Store) APIKey(ctx context.Context, id string) (control.APIKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return find(ctx, s.apiKeys, id)
}

// Member implements control.Store.
func (s *Store) Member(ctx context.Context, id broadcast.MemberID) (control.Member, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return find(ctx, s.members, id)
}

// MemberByUser implements control.Store.
func (s *Store) MemberByUser(ctx context.Context, app broadcast.AppID, id string) (control.Member, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return find(ctx, s.members, s.users[user{app, id}])
}

// Key implements control.Store.
func (s *Store) Key(ctx context.Context, id broadcast.KeyID) (broadcast.StreamKey, broadcast.Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, err := find(ctx, s.keys, id)
	if err != nil {
		return key, broadcast.Lease{}, err
	}
	return key, s.leases[id], nil
}

// KeyRecord implements control.Store.
func (s *Store) KeyRecord(ctx context.Context, id broadcast.KeyID) (control.KeyRecord, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, err := find(ctx, s.keys, id)
	if err != nil {
		return control.KeyRecord{}, err
	}
	return control.KeyRecord{Key: key, Lease: s.leases[id], String: s.strings[id]}, nil
}

// KeyOfUser implements control.Store.
func (s *Store) KeyOfUser(ctx context.Context, app broadcast.AppID, id string) (control.KeyRecord, error) {
	m, err := s.MemberByUser(ctx, app, id)
	if err != nil {
		return control.KeyRecord{}, err
	}
	return s.KeyRecord(ctx, m.KeyID)
}

// Room implements control.Store.
func (s *Store) Room(ctx context.Context, id broadcast.RoomID) (broadcast.VideoRoom, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return find(ctx, s.rooms, id)
}

// Post implements control.Store.
func (s *Store) Post(ctx context.Context, id broadcast.PostID) (broadcast.VideoPost, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return find(ctx, s.posts, id)
}

// page sorts items by their places and cuts the page that p asks for.
func page[K comparable, T any](list string, m map[K]T, p control.Page, match func(T) bool, place func(T) []string) (control.List[T], error) {
	var out control.List[T]
	from, err := parseCursor(list, p.Cursor)
	if err != nil {
		return out, err
	}
	compare := func(a, b []string) int {
		if p.Ascending {
			return slices.Compare(a, b)
		}
		return slices.Compare(b, a)
	}
	for _, v := range m {
		if match(v) && (from == nil || compare(place(v), from) > 0) {
			out.Items = append(out.Items, v)
		}
	}
	slices.SortFunc(out.Items, func(a, b T) int { return compare(place(a), place(b)) })
	if limit := max(p.Limit, 1); len(out.Items) > limit {
		out.Items = out.Items[:limit]
		b, err := json.Marshal(append([]string{list}, place(out.Items[limit-1])...))
		out.Next = base64.RawURLEncoding.EncodeToString(b)
		return out, err
	}
	return out, nil
}

func parseCursor(list, cursor string) ([]string, error) {
	if cursor == "" {
		return nil, nil
	}
	var place []string
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || json.Unmarshal(b, &place) != nil || len(place) < 2 || place[0] != list || slices.Contains(place, "") {
		return nil, &broadcast.Refusal{Code: broadcast.CodeInvalidCursor, Message: "the cursor is not one of this list"}
	}
	return place[1:], nil
}

func matches[T comparable](filter, v T) bool {
	var none T
	return filter == none || filter == v
}

// Apps implements control.Store.
func (s *Store) Apps(_ context.Context, p control.Page) (control.List[control.App], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return page("apps", s.apps, p, func(control.App) bool { return true },
		func(a control.App) []string { return []string{string(a.ID)} })
}

// APIKeys implements control.Store.
func (s *Store) APIKeys(_ context.Context, app broadcast.AppID, p control.Page) (control.List[control.APIKey], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return page("api keys", s.apiKeys, p, func(k control.APIKey) bool { return k.AppID == app },
		func(k control.APIKey) []string { return []string{k.ID} })
}

// Members implements control.Store.
func (s *Store) Members(_ context.Context, app broadcast.AppID, p control.Page) (control.List[control.Member], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return page("members", s.members, p, func(m control.Member) bool { return m.AppID == app },
		func(m control.Member) []string { return []string{string(m.ID)} })
}

// Keys implements control.Store.
func (s *Store) Keys(_ context.Context, f control.KeyFilter, p control.Page) (list control.List[control.KeyRecord], err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, err := page("keys", s.keys, p,
		func(k broadcast.StreamKey) bool { return matches(f.AppID, k.AppID) && matches(f.State, k.State) },
		func(k broadcast.StreamKey) []string { return []string{string(k.ID)} })
	list.Next = keys.Next
	for _, k := range keys.Items {
		list.Items = append(list.Items, control.KeyRecord{Key: k, Lease: s.leases[k.ID], String: s.strings[k.ID]})
	}
	return list, err
}

// Rooms implements control.Store.
func (s *Store) Rooms(_ context.Context, f control.RoomFilter, p control.Page) (control.List[broadcast.VideoRoom], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return page("rooms", s.rooms, p,
		func(r broadcast.VideoRoom) bool {
			return matches(f.AppID, r.AppID) && matches(f.MemberID, r.MemberID) && matches(f.State, r.State)
		},
		func(r broadcast.VideoRoom) []string { return []string{string(r.ID)} })
}

// Posts implements control.Store.
func (s *Store) Posts(_ context.Context, f control.PostFilter, p control.Page) (control.List[broadcast.VideoPost], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return page("posts", s.posts, p,
		func(v broadcast.VideoPost) bool {
			return matches(f.AppID, v.AppID) && matches(f.MemberID, v.MemberID) && matches(f.State, v.State)
		},
		func(v broadcast.VideoPost) []string { return []string{string(v.ID)} })
}

// LiveRooms implements control.Store.
func (s *Store) LiveRooms(_ context.Context, p control.Page) (control.List[broadcast.VideoRoom], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.Ascending = true
	return page("live", s.rooms, p,
		func(r broadcast.VideoRoom) bool { return r.State.Carried() },
		func(r broadcast.VideoRoom) []string {
			at := int64(0)
			if r.LiveStartedAt != nil {
				at = r.LiveStartedAt.UnixNano()
			}
			return []string{fmt.Sprintf("%020d", at), string(r.ID)}
		})
}

// Journal implements control.Store.
func (s *Store) Journal(_ context.Context, aggregate string, p control.Page) (control.List[control.JournalEntry], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return page("journal", s.journal, p,
		func(e control.JournalEntry) bool { return e.Aggregate == aggregate },
		func(e control.JournalEntry) []string {
			version := strconv.FormatUint(e.Version, 10)
			return []string{fmt.Sprintf("%020s", version), e.ID}
		})
}

// DueJobs implements control.Store.
func (s *Store) DueJobs(ctx context.Context, now time.Time, limit int) ([]control.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []control.Job
	for _, j := range s.jobs {
		if !j.DueAt.After(now) {
			due = append(due, j)
		}
	}
	slices.SortFunc(due, func(a, b control.Job) int {
		return cmp.Or(a.DueAt.Compare(b.DueAt), cmp.Compare(a.ID, b.ID))
	})
	return due[:min(limit, len(due))], ctx.Err()
}

// Job implements control.Store.
func (s *Store) Job(ctx context.Context, id string) (control.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return find(ctx, s.jobs, id)
}

// FinishJob implements control.Store.
func (s *Store) FinishJob(ctx context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.jobs, id)
	return ctx.Err()
}

// ClaimJob implements control.Store.
func (s *Store) ClaimJob(ctx context.Context, was time.Time, j control.Job) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if there, err := find(ctx, s.jobs, j.ID); err != nil || !there.DueAt.Equal(was) {
		return errors.Join(control.ErrConflict, err)
	}
	s.jobs[j.ID] = j
	return ctx.Err()
}

// RetryJob implements control.Store.
func (s *Store) RetryJob(ctx context.Context, j control.Job) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := find(ctx, s.jobs, j.ID); err != nil {
		return err
	}
	s.jobs[j.ID] = j
	return nil
}
