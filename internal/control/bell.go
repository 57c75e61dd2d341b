package control

import "sync"

// Bell wakes who waits in this process. A nil Bell never rings. Safe for
// concurrent use; the zero value is ready.
type Bell struct {
	mu sync.Mutex
	ch chan struct{}
}

// Wait answers a channel that is closed at the next ring.
func (b *Bell) Wait() <-chan struct{} {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

// Ring wakes everybody who waits.
func (b *Bell) Ring() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
