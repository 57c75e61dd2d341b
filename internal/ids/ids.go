// Package ids makes ids and secrets.
package ids

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
)

// Source makes ids that sort by the time they were made, within one process
// strictly. Safe for concurrent use.
type Source struct {
	now     func() time.Time
	mu      sync.Mutex
	entropy *ulid.MonotonicEntropy
}

// New makes a Source on a clock.
func New(now func() time.Time) *Source {
	return &Source{now: now, entropy: ulid.Monotonic(rand.Reader, 0)}
}

// New answers prefix_ and a lower-case ULID.
func (s *Source) New(prefix string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := ulid.MustNew(ulid.Timestamp(s.now()), s.entropy)
	return prefix + "_" + strings.ToLower(id.String())
}

var alphabet = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Secret answers n random bytes in letters and digits that nobody has to
// escape in a URL, a shell or a form.
func (*Source) Secret(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return alphabet.EncodeToString(b)
}
