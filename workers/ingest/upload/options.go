// Package upload writes a session's segments and manifests in the order that
// viewers need (docs/adr/0009). What is published is its only state: it goes
// on where any worker before it stopped, and fences that worker.
package upload

import (
	"context"
	"errors"
	"time"
)

// Why an Output stops for good, besides an outage that outlasts the retries
// and control.ErrNoSpace. Test with errors.Is.
var (
	// ErrFenced: a newer session owns the play id. Nothing of it was overwritten.
	ErrFenced = errors.New("a newer session publishes under this play id")
	// ErrEnded: the presentation has its ENDLIST, or was deleted.
	ErrEnded = errors.New("the presentation has ended")
	// ErrQueueFull: storage is slower than the publisher.
	ErrQueueFull = errors.New("uploads fall behind the publisher")
)

// Options tune an Output. Now and Sleep are required.
type Options struct {
	// Now is the wall clock: MPD@publishTime.
	Now func() time.Time
	// Sleep waits, or answers ctx's error when that ends first.
	Sleep func(ctx context.Context, d time.Duration) error
	// RecordOnly writes segments, the record and index objects, and nothing
	// that a player could open; manifests of an earlier session are removed.
	RecordOnly bool
	// Window is how much media a playlist keeps at least; default 30 s, never
	// less than 3 target durations and 15 segments. A resumed presentation
	// keeps the one that it began with.
	Window time.Duration
	// TimeURL answers the time as xs:dateTime for UTCTiming; "" = none.
	TimeURL string
	// Attempts is how often a write is tried while the storage is out; default
	// 8, with 100 ms to 2 s between them: about 8 s of patience.
	Attempts int
	// AttemptTimeout ends a single try; default 10 s.
	AttemptTimeout time.Duration
}

const (
	defaultWindow         = 30 * time.Second
	defaultAttempts       = 8
	defaultAttemptTimeout = 10 * time.Second
	firstBackOff          = 100 * time.Millisecond
	maxBackOff            = 2 * time.Second
	// maxTakeovers bounds how often a write is adapted to what an older
	// session still managed to write: it has one write in flight at most for
	// each object.
	maxTakeovers = 5
)

func (o Options) withDefaults() (Options, error) {
	if o.Now == nil || o.Sleep == nil {
		return o, errors.New("upload: Options need Now and Sleep")
	}
	if o.Window <= 0 {
		o.Window = defaultWindow
	}
	if o.Attempts <= 0 {
		o.Attempts = defaultAttempts
	}
	if o.AttemptTimeout <= 0 {
		o.AttemptTimeout = defaultAttemptTimeout
	}
	return o, nil
}
