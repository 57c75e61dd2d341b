// Package check verifies a run of packaging from the outside: every version of
// every manifest against the ones before it, against the other manifests and
// against the boxes of the segments that it names (docs/cmaf.md, "What proves
// it"). It shares no code with what writes them, except for the parser of the
// playlist syntax.
package check

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"github.com/roomcast/roomcast/internal/control"
)

// Write is one acknowledged Put or Delete.
type Write struct {
	Key     string
	Body    []byte
	Options control.PutOptions
	Deleted bool
	// Before is how many writes had been acknowledged when this one began:
	// only those may be named by it.
	Before int
}

// Recorder keeps every version of every object that is written through it, in
// memory, in the order of the acknowledgements. Put faults outside of it, so
// that a write whose answer is lost is recorded. Safe for concurrent use.
type Recorder struct {
	control.Objects
	mu  sync.Mutex
	log []Write
}

// NewRecorder records what goes to objects.
func NewRecorder(objects control.Objects) *Recorder { return &Recorder{Objects: objects} }

// Put writes to the objects behind and records what was acknowledged.
func (r *Recorder) Put(ctx context.Context, key string, body [][]byte, opt control.PutOptions) (string, error) {
	before := r.len()
	etag, err := r.Objects.Put(ctx, key, body, opt)
	if err == nil {
		r.add(Write{Key: key, Body: bytes.Join(body, nil), Options: opt, Before: before})
	}
	return etag, err
}

// Delete deletes and records.
func (r *Recorder) Delete(ctx context.Context, key string) error {
	before := r.len()
	err := r.Objects.Delete(ctx, key)
	if err == nil {
		r.add(Write{Key: key, Deleted: true, Before: before})
	}
	return err
}

// Log answers everything that was written so far.
func (r *Recorder) Log() []Write {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.log)
}

func (r *Recorder) add(w Write) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, w)
}

func (r *Recorder) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.log)
}
