package chaos

import (
	"io"
	"net"
	"sync"
	"testing"
)

// wire is the line between one publisher and a worker. It can break, or fall
// silent: then the worker is told nothing, not even a FIN. Safe for concurrent
// use.
type wire struct {
	ln net.Listener

	mu     sync.Mutex
	to     string        // the worker's address
	pairs  [][2]net.Conn // publisher's end, worker's end
	silent []net.Conn    // worker's ends that nobody speaks on any more
	copies sync.WaitGroup
}

func newWire(t *testing.T) *wire {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{ln: ln}
	w.copies.Go(w.serve)
	t.Cleanup(func() {
		_ = ln.Close()
		w.cut()
		w.mu.Lock()
		for _, c := range w.silent {
			_ = c.Close()
		}
		w.mu.Unlock()
		w.copies.Wait()
	})
	return w
}

// lead says where new connections go.
func (w *wire) lead(to string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to = to
}

func (w *wire) serve() {
	for {
		c, err := w.ln.Accept()
		if err != nil {
			return
		}
		w.mu.Lock()
		up, err := net.Dial("tcp", w.to)
		if err != nil {
			_ = c.Close()
			w.mu.Unlock()
			continue
		}
		w.pairs = append(w.pairs, [2]net.Conn{c, up})
		w.mu.Unlock()
		w.copies.Go(func() { w.copy(up, c) })
		w.copies.Go(func() { w.copy(c, up) })
	}
}

// copy carries one direction; its end is that of the line, unless it is silent.
func (w *wire) copy(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.silent {
		if s == to {
			return
		}
	}
	_, _ = to.Close(), from.Close()
}

// cut breaks the line: both ends notice.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.pairs {
		_, _ = p[0].Close(), p[1].Close()
	}
	w.pairs = nil
}

// silence takes the publisher away: its end is closed, the worker's stays open
// without a word.
func (w *wire) silence() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.pairs {
		w.silent = append(w.silent, p[1])
		_ = p[0].Close()
	}
	w.pairs = nil
}
