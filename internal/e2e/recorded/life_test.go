package recorded

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/objects/disk"
)

var errKilled = errors.New("killed")

// death is where in a call a process dies.
type death int

const (
	before death = iota
	amid         // what is written from a stream is written half
	after
)

// life is a process as far as others see it: after its death nothing of it
// reaches the store or the bucket.
type life struct {
	at  int // the call that it dies in; 0 = it lives
	how death
	// end stops what does not call, such as ffmpeg.
	end context.CancelFunc

	mu    sync.Mutex
	calls int
	dead  bool
}

func (l *life) call(do func(half bool) error) error {
	l.mu.Lock()
	l.calls++
	hit := l.calls == l.at
	l.dead = l.dead || hit
	dead, waits := l.dead, hit && l.how != before
	l.mu.Unlock()
	if !dead {
		return do(false)
	}
	if waits {
		_ = do(l.how == amid) // nobody is left to hear of it
	}
	l.end()
	return errKilled
}

// died reports whether its call came.
func (l *life) died() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

func ask[T any](l *life, do func() (T, error)) (v T, err error) {
	err = l.call(func(bool) error { v, err = do(); return err })
	return v, err
}

// records are a store of a process.
type records struct {
	control.Store
	life *life
}

func (r records) Commit(ctx context.Context, c control.Changes) error {
	return r.life.call(func(bool) error { return r.Store.Commit(ctx, c) })
}

func (r records) Post(ctx context.Context, id broadcast.PostID) (broadcast.VideoPost, error) {
	return ask(r.life, func() (broadcast.VideoPost, error) { return r.Store.Post(ctx, id) })
}

func (r records) Room(ctx context.Context, id broadcast.RoomID) (broadcast.VideoRoom, error) {
	return ask(r.life, func() (broadcast.VideoRoom, error) { return r.Store.Room(ctx, id) })
}

func (r records) Key(ctx context.Context, id broadcast.KeyID) (k broadcast.StreamKey, l broadcast.Lease, err error) {
	err = r.life.call(func(bool) error { k, l, err = r.Store.Key(ctx, id); return err })
	return k, l, err
}

func (r records) DueJobs(ctx context.Context, now time.Time, limit int) ([]control.Job, error) {
	return ask(r.life, func() ([]control.Job, error) { return r.Store.DueJobs(ctx, now, limit) })
}

func (r records) FinishJob(ctx context.Context, id string) error {
	return r.life.call(func(bool) error { return r.Store.FinishJob(ctx, id) })
}

func (r records) ClaimJob(ctx context.Context, was time.Time, j control.Job) error {
	return r.life.call(func(bool) error { return r.Store.ClaimJob(ctx, was, j) })
}

// bucket is the bucket of a process.
type bucket struct {
	*disk.Disk
	life *life
}

func (b bucket) Put(ctx context.Context, key string, body [][]byte, opt control.PutOptions) (string, error) {
	return ask(b.life, func() (string, error) { return b.Disk.Put(ctx, key, body, opt) })
}

func (b bucket) PutFrom(ctx context.Context, key string, r io.Reader, opt control.PutOptions) (etag string, err error) {
	err = b.life.call(func(half bool) error {
		if half {
			r = io.MultiReader(io.LimitReader(r, 5000), torn{})
		}
		etag, err = b.Disk.PutFrom(ctx, key, r, opt)
		return err
	})
	return etag, err
}

type torn struct{}

func (torn) Read([]byte) (int, error) { return 0, errKilled }

func (b bucket) Get(ctx context.Context, key string) (body []byte, info control.ObjectInfo, err error) {
	err = b.life.call(func(bool) error { body, info, err = b.Disk.Get(ctx, key); return err })
	return body, info, err
}

func (b bucket) GetRange(ctx context.Context, key string, from, size int64) (body []byte, total int64, err error) {
	err = b.life.call(func(bool) error { body, total, err = b.Disk.GetRange(ctx, key, from, size); return err })
	return body, total, err
}

func (b bucket) GetTo(ctx context.Context, key string, w io.Writer) error {
	return b.life.call(func(bool) error { return b.Disk.GetTo(ctx, key, w) })
}

func (b bucket) Delete(ctx context.Context, key string) error {
	return b.life.call(func(bool) error { return b.Disk.Delete(ctx, key) })
}

func (b bucket) List(ctx context.Context, prefix, after string, limit int) ([]control.ObjectInfo, error) {
	return ask(b.life, func() ([]control.ObjectInfo, error) { return b.Disk.List(ctx, prefix, after, limit) })
}
