package s3

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/roomcast/roomcast/internal/control"
)

// unhurried lets a body take as long as it has to.
func (b *Bucket) unhurried(o *s3.Options) { o.HTTPClient = b.stream }

// PutFrom writes an object of up to 5 GB (S3's limit for one request) from r,
// which must be an io.ReadSeeker, as a file is: an attempt may have to begin
// anew. Conditions are not possible.
func (b *Bucket) PutFrom(ctx context.Context, key string, r io.Reader, opt control.PutOptions) (string, error) {
	etag, err := b.putFrom(ctx, key, r, opt)
	if err != nil {
		return "", fmt.Errorf("put object %q: %w", key, err)
	}
	return etag, nil
}

func (b *Bucket) putFrom(ctx context.Context, key string, r io.Reader, opt control.PutOptions) (string, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	if opt.IfMatch != "" || opt.IfNoneMatch {
		return "", errors.New("a streamed object has no condition")
	}
	body, ok := r.(io.ReadSeeker)
	if !ok {
		return "", errors.New("S3 takes only a body that can be read again")
	}
	in := &s3.PutObjectInput{Bucket: &b.name, Key: &key, Body: body}
	if opt.ContentType != "" {
		in.ContentType = &opt.ContentType
	}
	if opt.CacheControl != "" {
		in.CacheControl = &opt.CacheControl
	}
	out, err := b.api.PutObject(ctx, in, b.unhurried)
	if err != nil {
		return "", mapError(err)
	}
	return aws.ToString(out.ETag), nil
}

// GetTo copies an object of any size to w. Where it breaks off it goes on from
// there, with the same version of the object.
func (b *Bucket) GetTo(ctx context.Context, key string, w io.Writer) error {
	err := checkKey(key)
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
