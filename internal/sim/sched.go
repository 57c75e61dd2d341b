package sim

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"time"
)

// An event of the loop: what happens at a moment of simulated time.
type happening struct {
	at    time.Duration
	order uint64
	do    func()
}

type happenings []happening

func (h happenings) Len() int { return len(h) }
func (h happenings) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].order < h[j].order
}
func (h happenings) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is for package heap.
func (h *happenings) Push(x any) { *h = append(*h, x.(happening)) } //nolint:forcetypeassert // only ours

// Pop is for package heap.
func (h *happenings) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1].do = nil
	*h = old[:len(old)-1]
	return last
}

// loop is simulated time. Exactly one process runs at a time, as a coroutine;
// it gives way only where it sleeps or parks, so that a seed decides every
// order.
type loop struct {
	now     time.Duration
	queue   happenings
	order   uint64
	current *proc
	procs   map[*proc]struct{}
	// broken is what a process panicked with.
	broken error
}

// after lets do happen d from now.
func (l *loop) after(d time.Duration, do func()) {
	l.order++
	heap.Push(&l.queue, happening{l.now + max(d, 0), l.order, do})
}

// run lets everything happen that happens before until, while ok.
func (l *loop) run(until time.Duration, ok func() bool) {
	for len(l.queue) > 0 && l.queue[0].at <= until && ok() {
		h := heap.Pop(&l.queue).(happening) //nolint:forcetypeassert // only ours
		l.now = h.at
		h.do()
	}
	if ok() {
		l.now = max(l.now, until)
	}
}

// machine is what can crash and stand still: its processes with it. A nil
// machine does neither.
type machine struct {
	name  string
	dead  bool
	until time.Duration // it stands still until then
	procs map[*proc]struct{}
	// late are the wake-ups that came while it stood still.
	late []func()
}

// pause makes m stand still for d, as SIGSTOP does.
func (m *machine) pause(l *loop, d time.Duration) {
	m.until = l.now + d
	l.after(d, func() {
		if m.until == l.now {
			m.thaw(l)
		}
	})
}

// thaw lets m go on where it stood.
func (m *machine) thaw(l *loop) {
	m.until = 0
	for _, resume := range m.late {
		l.after(0, resume)
	}
	m.late = nil
}

// proc is one thread of what a machine does.
type proc struct {
	loop *loop
	m    *machine
	next func() (struct{}, bool)
	stop func()
	give func(struct{}) bool
	// turn tells a wake-up that was overtaken from the one that counts.
	turn uint64
	over bool
}

// errCrashed unwinds a process that is killed between two steps.
var errCrashed = errors.New("crashed")

// spawn starts a process of m.
func (l *loop) spawn(m *machine, f func(p *proc)) *proc {
	p := &proc{loop: l, m: m}
	p.next, p.stop = iter.Pull(func(give func(struct{}) bool) {
		p.give = give
		defer p.end()
		f(p)
	})
	l.procs[p] = struct{}{}
	if m != nil {
		m.procs[p] = struct{}{}
	}
	p.wakeIn(0)
	return p
}

func (p *proc) end() {
	if r := recover(); r != nil && r != errCrashed { //nolint:errorlint // the very value
		p.loop.broken = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
	}
	p.forget()
}

func (p *proc) forget() {
	p.over = true
	delete(p.loop.procs, p)
	if p.m != nil {
		delete(p.m.procs, p)
	}
}

// wakeIn lets p go on after d, unless something wakes it before.
func (p *proc) wakeIn(d time.Duration) {
	p.turn++
	turn := p.turn
	p.loop.after(d, func() { p.resume(turn) })
}

// wake lets a parked or sleeping process go on now.
func (p *proc) wake() { p.wakeIn(0) }

func (p *proc) resume(turn uint64) {
	l := p.loop
	if p.over || turn != p.turn {
		return
	}
	if p.m != nil && p.m.until > l.now {
		p.m.late = append(p.m.late, func() { p.resume(turn) })
		return
	}
	l.current = p
	p.next()
	l.current = nil
}

// sleep gives way for d.
func (p *proc) sleep(d time.Duration) {
	p.wakeIn(d)
	p.park()
}

// park gives way until somebody wakes p.
func (p *proc) park() {
	if p.over || !p.give(struct{}{}) {
		panic(errCrashed)
	}
}

// kill ends p where it stands. Called by p itself it does not return.
func (p *proc) kill() {
	if p == p.loop.current {
		panic(errCrashed)
	}
	p.stop()
	p.forget() // it may never have begun
}

// crash ends all processes of m for good; called by one of them it does not
// return.
func (m *machine) crash() {
	m.dead = true
	var self *proc
	for p := range m.procs {
		if p == p.loop.current {
			self = p
			continue
		}
		p.kill()
	}
	if self != nil {
		panic(errCrashed)
	}
}

// close ends every process of a history that is over.
func (l *loop) close() {
	for p := range l.procs {
		p.stop()
		p.forget()
	}
}

// stopper is a context that a process can end; who sleeps under it wakes up.
type stopper struct {
	context.Context
	ended   bool
	sleeper *proc // one process at a time
}

func newStopper() *stopper { return &stopper{Context: context.Background()} }

// Err is context.Canceled after end.
func (s *stopper) Err() error {
	if s.ended {
		return context.Canceled
	}
	return nil
}

func (s *stopper) end() {
	if s.ended {
		return
	}
	s.ended = true
	if s.sleeper != nil && !s.sleeper.over {
		s.sleeper.wake()
	}
}

// nap is a Sleep for code that runs as the current process.
func (l *loop) nap(ctx context.Context, d time.Duration) error {
	p := l.current
	if s, ok := ctx.(*stopper); ok {
		if s.ended {
			return context.Canceled
		}
		s.sleeper = p
		defer func() { s.sleeper = nil }()
	}
	p.sleep(d)
	return ctx.Err()
}
