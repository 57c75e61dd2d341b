package disk

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// digest makes a strong ETag of a small body: its size and 64 bits of xxHash,
// which tell the versions of one object apart. Nobody has to be kept from making
// two bodies of one hash: whose object it is writes both.
type digest struct {
	hash xxhash.Digest
	size int64
}

func newDigest() *digest {
	d := &digest{}
	d.hash.Reset()
	return d
}

// Write never fails.
func (d *digest) Write(p []byte) (int, error) {
	if d.size += int64(len(p)); d.size > hashedBytes {
		return len(p), nil // nobody will ask
	}
	return d.hash.Write(p)
}

// hashedBytes is how large an object may be whose ETag is a hash of it: every
// playlist, manifest and record, which are written again and on conditions. A
// larger one is a segment or a recording, written once: when that was tells its
// versions apart. To hash segments took a quarter of the CPU of packaging, and to
// read gigabytes for their ETag would let a recording's first viewer after a
// restart wait for half a minute.
const hashedBytes = 128 << 10

// versionOf is the ETag of a file; hash is asked where it is one.
func versionOf(info fs.FileInfo, hash func() (string, error)) (string, error) {
	if info.Size() <= hashedBytes {
		return hash()
	}
	return fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()), nil
}

func (d *digest) etag() string { return fmt.Sprintf(`"%016x-%x"`, d.hash.Sum64(), d.size) }

// hashOf answers "" for a body that is too large to be hashed.
func hashOf(body [][]byte) string {
	size := 0
	for _, piece := range body {
		size += len(piece)
	}
	if size > hashedBytes {
		return ""
	}
	d := newDigest()
	for _, piece := range body {
		_, _ = d.Write(piece) // never fails
	}
	return d.etag()
}

func hashFile(f *os.File) (string, error) {
	d := newDigest()
	if _, err := io.Copy(d, f); err != nil {
		return "", err
	}
	_, err := f.Seek(0, io.SeekStart)
	return d.etag(), err
}

// maxETags bounds the memory of ETags; forgetting costs reading the object.
const maxETags = 20_000

// etags remembers the hashes of files.
type etags struct {
	mu sync.Mutex
	m  map[string]etagOf
}

type etagOf struct {
	info fs.FileInfo
	etag string
}

func (e *etags) get(key string, info fs.FileInfo) (string, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	known, ok := e.m[key]
	ok = ok && os.SameFile(known.info, info) && known.info.Size() == info.Size() && known.info.ModTime().Equal(info.ModTime())
	return known.etag, ok
}

func (e *etags) set(key string, info fs.FileInfo, etag string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.m == nil || len(e.m) >= maxETags {
		e.m = map[string]etagOf{}
	}
	e.m[key] = etagOf{info, etag}
}

func (e *etags) forget(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.m, key)
}
