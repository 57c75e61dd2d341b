package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/objects"
)

// unhurried lets a body take as long as it has to.
func (b *Bucket) unhurried(o *s3.Options) { o.HTTPClient = b.stream }

// What goes up in parts: S3 takes 5 MiB to 5 GiB in each and 10,000 of them.
// Memory is partsAtOnce and one of them: 40 MiB up to an object of 16 GiB, of
// which the parts of longer ones are twice as large, and so on.
const (
	partBytes   = 8 << 20
	partsAtOnce = 4
	partsGrow   = 2000 // parts of one size
)

// PutFrom writes an object of any size from r, in parts where it is longer than
// one: it appears when it is whole. Conditions are not possible, and the ETag
// of what went up in parts is not a hash of its content.
func (b *Bucket) PutFrom(ctx context.Context, key string, r io.Reader, opt control.PutOptions) (string, error) {
	etag, err := b.putFrom(ctx, key, r, opt)
	if err != nil {
		return "", fmt.Errorf("put object %q: %w", key, err)
	}
	return etag, nil
}

func (b *Bucket) putFrom(ctx context.Context, key string, r io.Reader, opt control.PutOptions) (string, error) {
	if err := objects.CheckKey(key); err != nil {
		return "", err
	}
	if opt.IfMatch != "" || opt.IfNoneMatch {
		return "", errors.New("a streamed object has no condition")
	}
	first, more, err := nextPart(r, partBytes)
	if err != nil {
		return "", err
	}
	var contentType, cacheControl *string
	if opt.ContentType != "" {
		contentType = &opt.ContentType
	}
	if opt.CacheControl != "" {
		cacheControl = &opt.CacheControl
	}
	if !more {
		out, err := b.api.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &b.name, Key: &key, Body: bytes.NewReader(first), ContentType: contentType, CacheControl: cacheControl,
		}, b.unhurried)
		if err != nil {
			return "", mapError(err)
		}
		return aws.ToString(out.ETag), nil
	}
	made, err := b.api.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &b.name, Key: &key, ContentType: contentType, CacheControl: cacheControl,
	})
	if err != nil {
		return "", mapError(err)
	}
	etag, err := b.putParts(ctx, key, made.UploadId, first, r)
	if err != nil {
		// What cannot be aborted a lifecycle rule removes (infra/data.yaml).
		_, abortErr := b.api.AbortMultipartUpload(context.WithoutCancel(ctx), &s3.AbortMultipartUploadInput{Bucket: &b.name, Key: &key, UploadId: made.UploadId})
		return "", errors.Join(mapError(err), abortErr)
	}
	return etag, nil
}

// putParts uploads first and what follows in r, some parts at once.
func (b *Bucket) putParts(ctx context.Context, key string, upload *string, first []byte, r io.Reader) (string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		under  sync.WaitGroup
		mu     sync.Mutex
		done   []types.CompletedPart
		places = make(chan struct{}, partsAtOnce)
	)
	put := func(number int32, body []byte) {
		under.Go(func() {
			defer func() { <-places }()
			out, err := b.api.UploadPart(ctx, &s3.UploadPartInput{
				Bucket: &b.name, Key: &key, UploadId: upload, PartNumber: &number, Body: bytes.NewReader(body),
			}, b.unhurried)
			if err != nil {
				cancel(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			done = append(done, types.CompletedPart{PartNumber: &number, ETag: out.ETag})
		})
	}
	places <- struct{}{}
	put(1, first)
	for number, more := int32(2), true; more && ctx.Err() == nil; number++ {
		places <- struct{}{}
		body, goesOn, err := nextPart(r, partBytes<<((number-1)/partsGrow))
		if err != nil {
			cancel(err)
		}
		if more = goesOn; err != nil || len(body) == 0 {
			<-places
			break
		}
		put(number, body)
	}
	under.Wait()
	if err := context.Cause(ctx); err != nil {
		return "", err
	}
	slices.SortFunc(done, func(a, b types.CompletedPart) int { return int(*a.PartNumber - *b.PartNumber) })
	out, err := b.api.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &b.name, Key: &key, UploadId: upload, MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
	}, b.unhurried)
	if err != nil {
		return "", err
	}
	return aws.ToString(out.ETag), nil
}

// nextPart reads the next part, and reports whether more may follow.
func nextPart(r io.Reader, size int) (body []byte, more bool, err error) {
	body = make([]byte, size)
	n := 0
	for n < size {
		m, err := r.Read(body[n:])
		if n += m; errors.Is(err, io.EOF) {
			return body[:n], false, nil
		}
		if err != nil { // also io.ErrUnexpectedEOF: the source broke off
			return nil, false, err
		}
	}
	return body, true, nil
}

// GetRange answers up to size bytes of an object from a place on, none where
// it ends before, and how long the object is.
func (b *Bucket) GetRange(ctx context.Context, key string, from, size int64) ([]byte, int64, error) {
	err := objects.CheckKey(key)
	for attempt := 1; err == nil; attempt++ {
		body, total, readErr := b.getRange(ctx, key, from, size)
		var broken *brokenBody
		if readErr == nil {
			return body, total, nil
		}
		if !errors.As(readErr, &broken) || attempt == maxAttempts || ctx.Err() != nil {
			err = readErr
		}
	}
	return nil, 0, fmt.Errorf("get %d bytes of object %q: %w", size, key, err)
}

func (b *Bucket) getRange(ctx context.Context, key string, from, size int64) ([]byte, int64, error) {
	out, err := b.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: &key, Range: aws.String(fmt.Sprintf("bytes=%d-%d", from, from+size-1))})
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "InvalidRange" {
		info, err := b.head(ctx, key)
		return nil, info.SizeBytes, err
	}
	if err != nil {
		return nil, 0, mapError(err)
	}
	defer func() { _ = out.Body.Close() }() // all that matters was read
	_, after, _ := strings.Cut(aws.ToString(out.ContentRange), "/")
	total, err := strconv.ParseInt(after, 10, 64)
	if err != nil || total < from {
		return nil, 0, fmt.Errorf("a range that is %q", aws.ToString(out.ContentRange))
	}
	body := make([]byte, min(size, total-from))
	if _, err := io.ReadFull(out.Body, body); err != nil {
		return nil, 0, &brokenBody{err}
	}
	return body, total, nil
}

// GetTo copies an object of any size to w. Where it breaks off it goes on from
// there, with the same version of the object.
func (b *Bucket) GetTo(ctx context.Context, key string, w io.Writer) error {
	err := objects.CheckKey(key)
	in := &s3.GetObjectInput{Bucket: &b.name, Key: &key}
	done := int64(0)
	for attempt := 1; err == nil; attempt++ {
		var out *s3.GetObjectOutput
		if out, err = b.api.GetObject(ctx, in, b.unhurried); err != nil {
			err = mapError(err)
			break
		}
		n, copyErr := io.Copy(w, out.Body)
		_ = out.Body.Close() // all that matters was read
		if copyErr == nil {
			return nil
		}
		if done += n; attempt == maxAttempts || ctx.Err() != nil {
			err = copyErr
		}
		in.IfMatch, in.Range = out.ETag, aws.String(fmt.Sprintf("bytes=%d-", done))
	}
	return fmt.Errorf("get object %q: %w", key, err)
}
