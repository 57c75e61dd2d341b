package control

import (
	"context"
	"sync"
	"time"
)

const (
	// knownFor is how long an API key that was read is believed: elsewhere a
	// revocation counts that much later, here at once.
	knownFor = 4 * time.Second
	maxKnown = 10_000
)

// knownKeys are API keys that were read a moment ago, so that a call waits for
// its own records only. The zero value knows none. Safe for concurrent use.
type knownKeys struct {
	mu   sync.Mutex
	keys map[string]knownKey
}

type knownKey struct {
	key   APIKey
	until time.Time
}

func (k *knownKeys) find(id string, now time.Time) (APIKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	known, ok := k.keys[id]
	return known.key, ok && now.Before(known.until)
}

func (k *knownKeys) note(key APIKey, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil || len(k.keys) >= maxKnown {
		k.keys = map[string]knownKey{}
	}
	k.keys[key.ID] = knownKey{key, now.Add(knownFor)}
}

func (k *knownKeys) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.keys, id)
}

// apiKey answers a key that may have been changed elsewhere within knownFor.
func (s *Service) apiKey(ctx context.Context, id string) (APIKey, error) {
	now := s.Now()
	if key, ok := s.known.find(id, now); ok {
		return key, nil
	}
	key, err := s.Store.APIKey(ctx, id)
	if err == nil {
		s.known.note(key, now)
	}
	return key, err
}
