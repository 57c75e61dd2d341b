package control

import (
	"context"
	"sync"
	"time"
)

const (
	// knownFor is how long an API key or a member that was read is believed:
	// elsewhere a revocation or deletion counts that much later, here at once.
	knownFor = 4 * time.Second
	maxKnown = 10_000
)

// known is who called a moment ago, so that a call waits for its own records
// only. The zero value knows nobody. Safe for concurrent use.
type known[T any] struct {
	mu  sync.Mutex
	all map[string]until[T]
}

type until[T any] struct {
	who T
	end time.Time
}

func (k *known[T]) find(id string, now time.Time) (T, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	found, ok := k.all[id]
	return found.who, ok && now.Before(found.end)
}

func (k *known[T]) note(id string, who T, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil || len(k.all) >= maxKnown {
		k.all = map[string]until[T]{}
	}
	k.all[id] = until[T]{who, now.Add(knownFor)}
}

func (k *known[T]) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.all, id)
}

// apiKey answers a key that may have been changed elsewhere within knownFor.
func (s *Service) apiKey(ctx context.Context, id string) (APIKey, error) {
	now := s.Now()
	if key, ok := s.knownKeys.find(id, now); ok {
		return key, nil
	}
	key, err := s.Store.APIKey(ctx, id)
	if err == nil {
		s.knownKeys.note(id, key, now)
	}
	return key, err
}
