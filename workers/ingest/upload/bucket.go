package upload

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/roomcast/roomcast/internal/control"
)

// bucket is one play id's folder, with retries. Safe for concurrent use.
type bucket struct {
	objects control.Objects
	prefix  string
	opt     Options
}

// differs is what a conditional write met instead of what it expected. ETag
// is "" where there is no object.
type differs struct {
	body []byte
	etag string
}

func (*differs) Error() string { return "another body is there" }

// get reads an object; a missing one is control.ErrNotFound, at once.
func (b *bucket) get(ctx context.Context, name string) (body []byte, etag string, err error) {
	err = b.retry(ctx, func(ctx context.Context) error {
		var info control.ObjectInfo
		body, info, err = b.objects.Get(ctx, b.prefix+name)
		etag = info.ETag
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", name, err)
	}
	return body, etag, nil
}

// put writes when the object is still as etag says; "" = must not exist.
// Where a try's answer was lost and the next one finds the object changed, the
// body tells whose it is. Anything else that is there is a *differs.
func (b *bucket) put(ctx context.Context, name string, body [][]byte, o control.PutOptions) (etag string, err error) {
	o.IfNoneMatch = o.IfMatch == ""
	err = b.retry(ctx, func(ctx context.Context) error {
		etag, err = b.objects.Put(ctx, b.prefix+name, body, o)
		if !errors.Is(err, control.ErrConflict) && !errors.Is(err, control.ErrNotFound) {
			return err
		}
		found, info, err := b.objects.Get(ctx, b.prefix+name)
		switch {
		case errors.Is(err, control.ErrNotFound):
			return &differs{}
		case err != nil:
			return err
		case !equal(found, body):
			return &differs{body: found, etag: info.ETag}
		}
		etag = info.ETag
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	return etag, nil
}

// remove deletes an object; a missing one is no error.
func (b *bucket) remove(ctx context.Context, name string) error {
	err := b.retry(ctx, func(ctx context.Context) error { return b.objects.Delete(ctx, b.prefix+name) })
	if err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}

// retry repeats what failed by an outage, with growing pauses.
func (b *bucket) retry(ctx context.Context, try func(context.Context) error) error {
	pause := firstBackOff
	for attempt := 1; ; attempt++ {
		err := b.once(ctx, try)
		var other *differs
		switch {
		case err == nil, errors.As(err, &other), errors.Is(err, control.ErrNotFound),
			errors.Is(err, control.ErrNoSpace), ctx.Err() != nil:
			return err
		case attempt >= b.opt.Attempts:
			return fmt.Errorf("storage is out after %d tries: %w", attempt, err)
		}
		if err := b.opt.Sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, maxBackOff)
	}
}

func (b *bucket) once(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, b.opt.AttemptTimeout)
	defer cancel()
	return try(ctx)
}

// equal compares an object with the pieces that it should consist of.
func equal(found []byte, pieces [][]byte) bool {
	for _, p := range pieces {
		var ok bool
		if found, ok = bytes.CutPrefix(found, p); !ok {
			return false
		}
	}
	return len(found) == 0
}
