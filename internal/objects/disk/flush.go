package disk

import (
	"errors"
	"os"
	"sync"
	"time"
)

// flushAfter is how long an acknowledged object that is not control.Durable
// may wait for its way to the disk.
const flushAfter = time.Second

// flusher makes everything that was written durable at once: one call for all
// objects of all streams, off their way. Safe for concurrent use.
type flusher struct {
	root    *os.File // of the file system
	mu      sync.Mutex
	dirty   bool        // something was written since the last flush began
	timer   *time.Timer // set while a flush is due
	current *pass       // on its way
	next    *pass       // waits for current; whoever comes joins it
	lost    error       // of a flush that nobody waited for
	idle    sync.WaitGroup
}

// pass is one flush of the file system.
type pass struct {
	done chan struct{}
	err  error
}

// later is told that something was written which may wait.
func (f *flusher) later() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dirty = true
	if f.timer != nil {
		return
	}
	f.idle.Add(1)
	f.timer = time.AfterFunc(flushAfter, func() {
		defer f.idle.Done()
		f.mu.Lock()
		f.timer = nil
		f.mu.Unlock()
		if err := f.flush(); err != nil {
			f.mu.Lock()
			f.lost = err // the next Durable object says so
			f.mu.Unlock()
		}
	})
}

// pending says whether something waits, so that one file alone is not enough.
func (f *flusher) pending() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dirty || f.current != nil
}

// flush returns when everything that was written before the call is durable.
// Those who call while one is on its way share the next.
func (f *flusher) flush() error {
	f.mu.Lock()
	p, mine := f.next, false
	if p == nil {
		p, mine = &pass{done: make(chan struct{})}, true
		f.next = p
	}
	before := f.current
	f.mu.Unlock()
	if !mine {
		<-p.done
		return p.err
	}
	if before != nil {
		<-before.done
	}
	f.mu.Lock()
	f.current, f.next, f.dirty = p, nil, false
	f.mu.Unlock()
	err := syncFS(f.root)
	f.mu.Lock()
	p.err, f.lost, f.current = errors.Join(f.lost, err), nil, nil
	f.dirty = f.dirty || p.err != nil
	f.mu.Unlock()
	close(p.done)
	return p.err
}

// close flushes what waits.
func (f *flusher) close() error {
	f.mu.Lock()
	if f.timer != nil && f.timer.Stop() {
		f.timer = nil
		f.idle.Done()
	}
	f.mu.Unlock()
	f.idle.Wait()
	var err error
	if f.pending() {
		err = f.flush()
	}
	return errors.Join(err, f.root.Close())
}
