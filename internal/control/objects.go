// Package control holds the use cases and declares the interfaces that they
// need of the outside. No AWS, no net/http, no SQL.
package control

import (
	"context"
	"errors"
	"time"
)

// What every adapter says in the same words. Any other error is an outage:
// nobody knows whether the write happened.
var (
	// ErrNotFound: there is no such record or object.
	ErrNotFound = errors.New("not found")
	// ErrConflict: a condition of the write did not hold; nothing was written.
	ErrConflict = errors.New("conflict")
	// ErrUnavailable: the storage does not answer now, and surely wrote nothing.
	ErrUnavailable = errors.New("unavailable")
	// ErrNoSpace: the storage is full; nothing was written.
	ErrNoSpace = errors.New("no space left")
)

// PutOptions are the headers and the condition of one Put. At most one of
// IfMatch and IfNoneMatch is set.
type PutOptions struct {
	ContentType  string
	CacheControl string
	// IfMatch is the ETag that the object must have; "" = no condition. A
	// missing object is ErrNotFound, another ETag ErrConflict.
	IfMatch string
	// IfNoneMatch makes the Put fail with ErrConflict when the object exists.
	IfNoneMatch bool
	Durability  Durability
}

// Durability says what a power cut of the machine may take from an object
// whose Put was acknowledged. The end of the process takes nothing, whatever
// it is; and a store over several machines, as S3, keeps everything.
type Durability int

// The durabilities, from the strongest to the cheapest.
const (
	// Durable: nothing, and nothing of what was acknowledged before it.
	Durable Durability = iota
	// Whole: for about a second a power cut may bring back an earlier version,
	// or none; never a part.
	Whole
	// Fleeting: for about a second a power cut may take the object or cut it
	// short. Who writes it can tell so and do without (RepairShow).
	Fleeting
)

// ObjectInfo is what a store says of an object.
type ObjectInfo struct {
	Key          string
	ETag         string
	SizeBytes    int64
	ContentType  string
	CacheControl string
	ModifiedAt   time.Time
}

// Objects is the bucket: S3 or a directory. Safe for concurrent use. A key is
// relative, /-separated, without "." and ".." elements. A reader sees an
// object whole or not at all, and an acknowledged Put survives a crash, as far
// as its Durability says also that of the machine.
type Objects interface {
	// Put writes the pieces of body one after the other as one object and
	// answers its ETag, a hash of the content. It keeps no piece.
	Put(ctx context.Context, key string, body [][]byte, opt PutOptions) (etag string, err error)
	// Get answers the whole object, or ErrNotFound.
	Get(ctx context.Context, key string) ([]byte, ObjectInfo, error)
	// Delete removes the object; a missing one is no error.
	Delete(ctx context.Context, key string) error
	// List answers up to limit objects whose key has the prefix and sorts
	// after the key after, in key order.
	List(ctx context.Context, prefix, after string, limit int) ([]ObjectInfo, error)
}

// CDN is what stands between viewers and the bucket. Safe for concurrent use.
type CDN interface {
	// Forget drops what is kept of objects whose keys begin so, from now on and
	// soon. The same reference with the same prefixes is the same request.
	Forget(ctx context.Context, reference string, prefixes []string) error
}
