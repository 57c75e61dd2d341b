package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/objects"
)

const (
	// maxObjectBytes is more than any object that is read whole: a bug or a
	// stranger's object must not eat the memory.
	maxObjectBytes = 256 << 20
	// maxPage is S3's.
	maxPage = 1000
	// headers is how many objects are asked for their headers at once.
	headers = 8
)

// Get answers the whole object. One that breaks off while its body is read is
// read again from the start: the SDK's own retries end with the headers.
func (b *Bucket) Get(ctx context.Context, key string) ([]byte, control.ObjectInfo, error) {
	err := objects.CheckKey(key)
	for attempt := 1; err == nil; attempt++ {
		body, info, readErr := b.get(ctx, key)
		var broken *brokenBody
		if readErr == nil {
			return body, info, nil
		}
		if !errors.As(readErr, &broken) || attempt == maxAttempts || ctx.Err() != nil {
			err = readErr
		}
	}
	return nil, control.ObjectInfo{}, fmt.Errorf("get object %q: %w", key, err)
}

// brokenBody is an object that did not come whole.
type brokenBody struct{ err error }

func (e *brokenBody) Error() string { return "its body broke off: " + e.err.Error() }
func (e *brokenBody) Unwrap() error { return e.err }

func (b *Bucket) get(ctx context.Context, key string) ([]byte, control.ObjectInfo, error) {
	out, err := b.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &key})
	if err != nil {
		return nil, control.ObjectInfo{}, mapError(err)
	}
	defer func() { _ = out.Body.Close() }() // all that matters was read
	size := aws.ToInt64(out.ContentLength)
	if size < 0 || size > maxObjectBytes {
		return nil, control.ObjectInfo{}, fmt.Errorf("it has %d bytes, at most %d are read", size, maxObjectBytes)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(out.Body, body); err != nil {
		return nil, control.ObjectInfo{}, &brokenBody{err}
	}
	return body, control.ObjectInfo{
		Key: key, ETag: aws.ToString(out.ETag), SizeBytes: size,
		ContentType: aws.ToString(out.ContentType), CacheControl: aws.ToString(out.CacheControl),
		ModifiedAt: aws.ToTime(out.LastModified).UTC(),
	}, nil
}

// List answers objects in key order. S3 lists no headers: each object costs
// one request besides.
func (b *Bucket) List(ctx context.Context, prefix, after string, limit int) ([]control.ObjectInfo, error) {
	infos, err := b.list(ctx, prefix, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list objects %q: %w", prefix, err)
	}
	return infos, nil
}

func (b *Bucket) list(ctx context.Context, prefix, after string, limit int) ([]control.ObjectInfo, error) {
	var infos []control.ObjectInfo
	for len(infos) < limit {
		page := min(limit-len(infos), maxPage)
		in := &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: &prefix, MaxKeys: aws.Int32(int32(page))} //nolint:gosec // at most maxPage
		if after != "" {
			in.StartAfter = &after
		}
		out, err := b.api.ListObjectsV2(ctx, in)
		if err != nil {
			return nil, mapError(err)
		}
		keys := make([]string, len(out.Contents))
		for i, o := range out.Contents {
			keys[i] = aws.ToString(o.Key)
		}
		found, err := b.describe(ctx, keys)
		if err != nil {
			return nil, err
		}
		infos = append(infos, found...)
		if !aws.ToBool(out.IsTruncated) || len(keys) == 0 {
			break
		}
		after = keys[len(keys)-1]
	}
	return infos, nil
}

// describe answers what is known of the keys; one deleted meanwhile is left out.
func (b *Bucket) describe(ctx context.Context, keys []string) ([]control.ObjectInfo, error) {
	infos, errs := make([]control.ObjectInfo, len(keys)), make([]error, len(keys))
	var all sync.WaitGroup
	turns := make(chan struct{}, headers)
	for i, key := range keys {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			infos[i], errs[i] = b.head(ctx, key)
		})
	}
	all.Wait()
	var found []control.ObjectInfo
	for i, err := range errs {
		switch {
		case errors.Is(err, control.ErrNotFound):
		case err != nil:
			return nil, err
		default:
			found = append(found, infos[i])
		}
	}
	return found, nil
}

func (b *Bucket) head(ctx context.Context, key string) (control.ObjectInfo, error) {
	out, err := b.api.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: &key})
	if err != nil {
		return control.ObjectInfo{}, mapError(err)
	}
	return control.ObjectInfo{
		Key: key, ETag: aws.ToString(out.ETag), SizeBytes: aws.ToInt64(out.ContentLength),
		ContentType: aws.ToString(out.ContentType), CacheControl: aws.ToString(out.CacheControl),
		ModifiedAt: aws.ToTime(out.LastModified).UTC(),
	}, nil
}
