package control_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

var errCut = errors.New("the line was cut")

// faults fails one call: the n-th, before or after it had its effect.
type faults struct {
	mu    sync.Mutex
	calls int
	at    int // 0 = never
	late  bool
	then  func() // what happens instead, before that call
}

func (f *faults) run(do func() error) error {
	f.mu.Lock()
	f.calls++
	hit := f.calls == f.at
	f.mu.Unlock()
	if hit && f.then != nil {
		f.then()
		return do()
	}
	if hit && !f.late {
		return errCut
	}
	err := do()
	if hit {
		return errCut
	}
	return err
}

// memory is a bucket that can fail.
type memory struct {
	*faults
	lag     time.Duration // of each call
	mu      sync.Mutex
	objects map[string][]byte
	written map[string]bool
}

func newMemory() *memory {
	return &memory{faults: &faults{}, objects: map[string][]byte{}, written: map[string]bool{}}
}

func (m *memory) Put(_ context.Context, key string, body [][]byte, opt control.PutOptions) (string, error) {
	time.Sleep(m.lag)
	all := slices.Concat(body...)
	err := m.run(func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		old, ok := m.objects[key]
		if ok && opt.IfNoneMatch || opt.IfMatch != "" && (!ok || opt.IfMatch != tag(old)) {
			return control.ErrConflict
		}
		m.objects[key] = all
		m.written[key] = true
		return nil
	})
	return tag(all), err
}

func tag(b []byte) string { return fmt.Sprintf("%x", control.HashSecret(string(b))) }

func (m *memory) Get(_ context.Context, key string) (b []byte, i control.ObjectInfo, err error) {
	time.Sleep(m.lag)
	err = m.run(func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		var ok bool
		if b, ok = m.objects[key]; !ok {
			return control.ErrNotFound
		}
		i = control.ObjectInfo{Key: key, ETag: tag(b), SizeBytes: int64(len(b))}
		return nil
	})
	return b, i, err
}

func (m *memory) Delete(_ context.Context, key string) error {
	return m.run(func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.objects, key)
		return nil
	})
}

func (m *memory) List(_ context.Context, prefix, after string, limit int) (list []control.ObjectInfo, err error) {
	err = m.run(func() error {
		for _, key := range m.keys(prefix) {
			if key > after && len(list) < limit {
				list = append(list, control.ObjectInfo{Key: key})
			}
		}
		return nil
	})
	return list, err
}

func (m *memory) keys(prefix string) (keys []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.objects {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	return keys
}

// failing is a store whose writes and reads of posts can fail.
type failing struct {
	control.Store
	*faults
}

func (f failing) Commit(ctx context.Context, c control.Changes) error {
	return f.run(func() error { return f.Store.Commit(ctx, c) })
}

func (f failing) Post(ctx context.Context, id broadcast.PostID) (p broadcast.VideoPost, err error) {
	err = f.run(func() error { p, err = f.Store.Post(ctx, id); return err })
	return p, err
}

func (f failing) FinishJob(ctx context.Context, id string) error {
	return f.run(func() error { return f.Store.FinishJob(ctx, id) })
}

func (f failing) DueJobs(ctx context.Context, now time.Time, limit int) (j []control.Job, err error) {
	err = f.run(func() error { j, err = f.Store.DueJobs(ctx, now, limit); return err })
	return j, err
}
