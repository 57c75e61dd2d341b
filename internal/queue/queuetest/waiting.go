package queuetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/control"
)

// soon is how long a waiting receiver may take to notice.
const soon = 5 * time.Second

func woken(f *fixture) {
	wait := func(what, body string, attempts int, wake func()) control.Delivery {
		f.Helper()
		got := make(chan []control.Delivery, 1)
		failed := make(chan error, 1)
		go func() {
			ds, err := f.q.Receive(f.ctx, 10, long)
			failed <- err
			got <- ds
		}()
		time.Sleep(200 * time.Millisecond) // nobody says when a receiver waits
		wake()
		began := time.Now()
		f.must(<-failed)
		ds := <-got
		if took := time.Since(began); took > soon {
			f.Errorf("%s woke the receiver after %s", what, took)
		}
		if len(ds) != 1 || string(ds[0].Body) != body || ds[0].Attempts != attempts {
			f.Fatalf("%s: received %s, want %s", what, show(ds), body)
		}
		return ds[0]
	}
	d := wait("a send", "one", 1, func() { f.send("g", "one") })
	f.send("g", "two")
	d = wait("an acknowledgement", "two", 1, func() { f.must(f.q.Ack(f.ctx, d)) })
	wait("a return", "two", 2, func() { f.must(f.q.Return(f.ctx, d, 0)) })
}

func overdue(f *fixture) {
	f.send("g", "late")
	f.next("late", 1)
	f.next("late", 2) // waits until the first delivery is over
}

func nothing(f *fixture) {
	f.none("empty")
	began := time.Now()
	if got := f.receive(time.Second); len(got) != 0 {
		f.Errorf("received %s", show(got))
	}
	if took := time.Since(began); took < 900*time.Millisecond {
		f.Errorf("a wait of 1 s took %s", took)
	}
	ctx, cancel := context.WithCancel(f.ctx)
	done := make(chan error, 1)
	go func() {
		_, err := f.q.Receive(ctx, 1, long)
		done <- err
	}()
	cancel()
	select {
	case err := <-done:
		f.is("a receive that was cancelled", err, context.Canceled)
	case <-time.After(soon):
		f.Error("a receive that was cancelled goes on")
	}
}

func bounds(f *fixture) {
	largest := strings.Repeat("x", 64<<10)
	for what, m := range map[string]control.QueueMessage{
		"no group":            {DedupID: "d", Body: []byte("x")},
		"no deduplication id": {Group: "g", Body: []byte("x")},
		"a body too large":    {Group: "g", DedupID: "d", Body: []byte(largest + "x")},
	} {
		if err := f.q.Send(f.ctx, m); err == nil {
			f.Errorf("a message with %s was accepted", what)
		}
	}
	f.none("refused")
	f.send("g", largest)
	if got := f.receive(long); len(got) != 1 || string(got[0].Body) != largest {
		f.Errorf("the largest body came back otherwise")
	}
}

func limit(f *fixture) {
	for i := range 5 {
		f.send(strconv.Itoa(i), "x")
	}
	seen := map[string]bool{}
	for len(seen) < 5 {
		got, err := f.q.Receive(f.ctx, 2, long)
		f.must(err)
		if len(got) == 0 || len(got) > 2 {
			f.Fatalf("received %s by 2", show(got))
		}
		for _, d := range got {
			if seen[d.Group] {
				f.Errorf("group %s came twice", d.Group)
			}
			seen[d.Group] = true
		}
	}
}

func foreign(f *fixture) {
	f.send("g", "one")
	d := f.next("one", 1)
	f.must(f.q.Ack(f.ctx, d))
	f.send("g", "two")
	f.next("two", 1)
	f.is("return what was acknowledged", f.q.Return(f.ctx, d, 0), control.ErrConflict)
	f.none("on its way")
	for _, receipt := range []string{"", "garbage", "1", "1.x", "-1.-1", "9223372036854775808.1"} {
		d.Receipt = receipt
		f.is("acknowledge by "+strconv.Quote(receipt), f.q.Ack(f.ctx, d), control.ErrConflict)
		f.is("return by "+strconv.Quote(receipt), f.q.Return(f.ctx, d, 0), control.ErrConflict)
	}
}

func exclusive(f *fixture) {
	const groups = 20
	for g := range groups {
		f.send(strconv.Itoa(g), "x")
	}
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				got, err := f.q.Receive(f.ctx, 3, 0)
				if err != nil {
					f.Error(err)
				}
				if len(got) == 0 {
					return
				}
				mu.Lock()
				for _, d := range got {
					seen[d.Group]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for g, n := range seen {
		if n != 1 {
			f.Errorf("group %s was delivered to %d receivers", g, n)
		}
	}
	if len(seen) != groups {
		f.Errorf("%d of %d groups were delivered", len(seen), groups)
	}
}

// crowd lets many senders and receivers loose, some of which return what they
// got: every group arrives whole and in order, one message at a time.
func crowd(f *fixture) {
	const groups, each, receivers = 100, 5, 6
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	var senders, takers sync.WaitGroup
	for g := range groups {
		senders.Go(func() {
			for i := range each {
				m := control.QueueMessage{Group: fmt.Sprintf("group-%d", g), DedupID: strconv.Itoa(i), Body: []byte(strconv.Itoa(i))}
				if err := f.q.Send(f.ctx, m); err != nil {
					f.Error(err)
				}
			}
		})
	}
	c := &counter{next: map[string]int{}, busy: map[string]bool{}, left: groups * each, done: cancel}
	for range receivers {
		takers.Go(func() {
			for {
				got, err := f.q.Receive(ctx, 10, long)
				if errors.Is(err, context.Canceled) {
					return
				}
				if err != nil {
					f.Error(err)
					return
				}
				for _, d := range got {
					c.take(f, d)
				}
			}
		})
	}
	senders.Wait()
	takers.Wait()
	if c.left != 0 {
		f.Errorf("%d messages did not arrive", c.left)
	}
}

type counter struct {
	mu   sync.Mutex
	next map[string]int
	busy map[string]bool
	left int
	done func()
}

// take checks a delivery and acknowledges it, or returns it at its first time.
func (c *counter) take(f *fixture, d control.Delivery) {
	c.mu.Lock()
	if c.busy[d.Group] {
		f.Errorf("group %s has two messages on their way", d.Group)
	}
	c.busy[d.Group] = true
	if want := strconv.Itoa(c.next[d.Group]); string(d.Body) != want {
		f.Errorf("group %s: received %s, want %s", d.Group, d.Body, want)
	}
	again := d.Attempts == 1 && rand.IntN(8) == 0 // #nosec G404 -- a test
	if !again {
		c.next[d.Group]++
		c.left--
	}
	last := c.left == 0
	c.busy[d.Group] = false // before the queue may deliver the next one
	c.mu.Unlock()
	err := error(nil)
	if again {
		err = f.q.Return(f.ctx, d, 0)
	} else {
		err = f.q.Ack(f.ctx, d)
	}
	if err != nil {
		f.Error(err)
	}
	if last {
		c.done()
	}
}
