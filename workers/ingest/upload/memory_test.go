package upload_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"sync"

	"github.com/roomcast/roomcast/internal/control"
)

// memory is the least that satisfies control.Objects, for the tests that put on
// the same show hundreds of times: the directory syncs every file.
type memory struct {
	mu     sync.Mutex
	bodies map[string][]byte
}

func etag(b []byte) string { h := sha256.Sum256(b); return hex.EncodeToString(h[:8]) }

func (m *memory) Put(_ context.Context, key string, body [][]byte, o control.PutOptions) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.bodies[key]
	switch {
	case o.IfMatch != "" && !ok:
		return "", control.ErrNotFound
	case o.IfMatch != "" && etag(old) != o.IfMatch, o.IfNoneMatch && ok:
		return "", control.ErrConflict
	}
	m.bodies[key] = bytes.Join(body, nil)
	return etag(m.bodies[key]), nil
}

func (m *memory) Get(_ context.Context, key string) ([]byte, control.ObjectInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.bodies[key]
	if !ok {
		return nil, control.ObjectInfo{}, control.ErrNotFound
	}
	return bytes.Clone(b), control.ObjectInfo{Key: key, ETag: etag(b)}, nil
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.bodies, key)
	return nil
}

func (m *memory) List(context.Context, string, string, int) ([]control.ObjectInfo, error) {
	return nil, errors.ErrUnsupported
}
