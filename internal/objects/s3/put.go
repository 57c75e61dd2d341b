package s3

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/objects"
)

// putMark is the name of the metadata that tells whose write an object is.
const putMark = "put"

// Put writes the object in one request. Where an attempt's answer was lost and
// the next one finds the condition broken, a random mark in the object's
// metadata tells whether it was broken by this very Put.
func (b *Bucket) Put(ctx context.Context, key string, body [][]byte, opt control.PutOptions) (string, error) {
	etag, err := b.put(ctx, key, body, opt)
	if err != nil {
		return "", fmt.Errorf("put object %q: %w", key, err)
	}
	return etag, nil
}

func (b *Bucket) put(ctx context.Context, key string, body [][]byte, opt control.PutOptions) (string, error) {
	if err := objects.CheckKey(key); err != nil {
		return "", err
	}
	if opt.IfMatch != "" && opt.IfNoneMatch {
		return "", errors.New("only one of IfMatch and IfNoneMatch can be set")
	}
	content := newPieces(body)
	in := &s3.PutObjectInput{Bucket: &b.name, Key: &key, Body: content, ContentLength: aws.Int64(content.size)}
	if opt.ContentType != "" {
		in.ContentType = &opt.ContentType
	}
	if opt.CacheControl != "" {
		in.CacheControl = &opt.CacheControl
	}
	if opt.IfMatch != "" {
		in.IfMatch = &opt.IfMatch
	}
	if opt.IfNoneMatch {
		in.IfNoneMatch = aws.String("*")
	}
	mark := ""
	if in.IfMatch != nil || in.IfNoneMatch != nil {
		mark = rand.Text()
		in.Metadata = map[string]string{putMark: mark}
	}
	sent := 0
	out, err := b.api.PutObject(ctx, in, counted(&sent))
	if err == nil {
		return aws.ToString(out.ETag), nil
	}
	if err = mapError(err); errors.Is(err, control.ErrConflict) && sent > 1 {
		return b.own(ctx, key, mark, err)
	}
	return "", err
}

// own answers the object's ETag where it carries the mark, else the refusal.
func (b *Bucket) own(ctx context.Context, key, mark string, refused error) (string, error) {
	out, err := b.api.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: &key})
	switch err = mapError(err); {
	case errors.Is(err, control.ErrNotFound):
		return "", refused
	case err != nil:
		return "", fmt.Errorf("look whose write it is: %w", err)
	case mark == "" || out.Metadata[putMark] != mark:
		return "", refused
	}
	return aws.ToString(out.ETag), nil
}

// Delete removes the object; a missing one is no error.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	err := objects.CheckKey(key)
	if err == nil {
		_, err = b.api.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: &key})
		err = mapError(err)
	}
	if err != nil && !errors.Is(err, control.ErrNotFound) {
		return fmt.Errorf("delete object %q: %w", key, err)
	}
	return nil
}

// pieces reads slices one after the other, without copying them together. It
// can seek, so that a request can be sent again.
type pieces struct {
	list [][]byte
	size int64
	at   int64 // = the pieces before next, and off
	next int
	off  int
}

func newPieces(list [][]byte) *pieces {
	p := &pieces{list: list}
	for _, b := range list {
		p.size += int64(len(b))
	}
	return p
}

// Read implements io.Reader. It fills to from as many pieces as it takes: what
// it gives becomes records of TLS.
func (p *pieces) Read(to []byte) (n int, err error) {
	for n < len(to) && p.next < len(p.list) {
		b := p.list[p.next][p.off:]
		c := copy(to[n:], b)
		n += c
		if p.off += c; c == len(b) {
			p.next, p.off = p.next+1, 0
		}
	}
	p.at += int64(n)
	if n == 0 && len(to) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Seek implements io.Seeker.
func (p *pieces) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += p.at
	case io.SeekEnd:
		offset += p.size
	}
	if offset < 0 || offset > p.size {
		return 0, errors.New("seek outside of the body")
	}
	p.at, p.next, p.off = offset, 0, 0
	for ; p.next < len(p.list) && offset >= int64(len(p.list[p.next])); p.next++ {
		offset -= int64(len(p.list[p.next]))
	}
	p.off = int(offset)
	return p.at, nil
}
