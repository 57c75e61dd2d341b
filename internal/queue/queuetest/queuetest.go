// Package queuetest is the contract of control.Queue as tests: every
// implementation passes them unchanged.
//
// What they add to the words of the interface:
//   - The visibility timeout runs from each delivery. A receipt is over once
//     the message was acknowledged, returned or delivered again.
//   - A delayed or failing message holds up its own group, and only that.
//   - A duplicate is dropped also when the first one is acknowledged already.
//   - Replay puts a dead letter at the end of its group with Attempts at 1
//     again, whatever was sent before; of several at once one sends it. An
//     unknown dead letter is ErrNotFound.
//   - Send refuses an empty Group, an empty DedupID and a larger Body.
package queuetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/control"
)

// Config is what a test needs of the queue that it gets.
type Config struct {
	Visibility  time.Duration
	MaxReceives int
}

// Backend is an empty queue and its clock.
type Backend struct {
	Queue control.Queue
	// Pass lets d pass: a sleep, or a clock that the test can move. Time also
	// passes by itself.
	Pass func(d time.Duration)
	// Fast says that Pass does not sleep: tests may let minutes pass.
	Fast bool
}

// Open answers a new queue. What it opens it closes with t.Cleanup.
type Open func(t *testing.T, c Config) Backend

// Run runs every test of the contract.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*fixture){
		"groups are in order, one message at a time":    order,
		"what is not acknowledged comes again":          redelivery,
		"a duplicate is dropped":                        dedup,
		"what fails too often lies among the dead":      deadLetters,
		"a letter is replayed once and in order":        replayRace,
		"what is returned comes after its delay":        returns,
		"whoever waits is woken":                        woken,
		"an overdue message ends a wait":                overdue,
		"waiting for nothing ends":                      nothing,
		"messages out of bounds are refused":            bounds,
		"order holds with many senders and receivers":   crowd,
		"one receive takes at most what it asked for":   limit,
		"a receipt of something else is over":           foreign,
		"a message on its way is delivered to one only": exclusive,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := Config{Visibility: visibility, MaxReceives: maxReceives}
			if name == "order holds with many senders and receivers" {
				c.Visibility = 2 * long // no delivery is late, however busy the machine is
			}
			b := open(t, c)
			test(&fixture{T: t, b: b, q: b.Queue, ctx: t.Context()})
		})
	}
}

const (
	visibility  = 2 * time.Second
	maxReceives = 3
	// long is a wait that a test which passes never sits out.
	long = 15 * time.Second
)

type fixture struct {
	*testing.T
	b    Backend
	q    control.Queue
	ctx  context.Context // the test's own
	sent int
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) is(what string, err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Errorf("%s: %v, want %v", what, err, want)
	}
}

// send sends body to group under a new deduplication id.
func (f *fixture) send(group, body string) {
	f.Helper()
	f.sent++
	f.must(f.q.Send(f.ctx, control.QueueMessage{Group: group, DedupID: fmt.Sprintf("dedup-%d", f.sent), Body: []byte(body)}))
}

// receive answers what there is now: bodies and deliveries.
func (f *fixture) receive(wait time.Duration) []control.Delivery {
	f.Helper()
	got, err := f.q.Receive(f.ctx, 10, wait)
	f.must(err)
	return got
}

// next receives exactly the message of that body, waiting for it.
func (f *fixture) next(body string, attempts int) control.Delivery {
	f.Helper()
	got := f.receive(long)
	if len(got) != 1 || string(got[0].Body) != body || got[0].Attempts != attempts {
		f.Fatalf("received %s, want %s at attempt %d", show(got), body, attempts)
	}
	return got[0]
}

func (f *fixture) none(what string) {
	f.Helper()
	if got := f.receive(0); len(got) != 0 {
		f.Fatalf("%s: received %s, want nothing", what, show(got))
	}
}

func show(ds []control.Delivery) string {
	s := make([]string, len(ds))
	for i, d := range ds {
		s[i] = fmt.Sprintf("%s/%s (attempt %d)", d.Group, d.Body, d.Attempts)
	}
	return "[" + strings.Join(s, ", ") + "]"
}

func order(f *fixture) {
	for i := range 3 {
		f.send("a", fmt.Sprintf("a%d", i))
		f.send("b", fmt.Sprintf("b%d", i))
	}
	for i := range 3 {
		got := map[string]control.Delivery{}
		for len(got) < 2 {
			for _, d := range f.receive(long) {
				if want := fmt.Sprintf("%s%d", d.Group, i); string(d.Body) != want || d.Attempts != 1 || d.Receipt == "" {
					f.Fatalf("received %+v, want %s", d, want)
				}
				got[d.Group] = d
			}
		}
		f.none("both groups have a message on its way")
		for _, d := range got {
			f.must(f.q.Ack(f.ctx, d))
		}
	}
	f.none("all is acknowledged")
}

func redelivery(f *fixture) {
	f.send("g", "one")
	f.send("g", "two")
	first := f.next("one", 1)
	f.none("on its way")
	f.b.Pass(visibility + visibility/4)
	second := f.next("one", 2)
	if second.Receipt == first.Receipt {
		f.Error("two deliveries have one receipt")
	}
	f.is("acknowledge by the receipt that is over", f.q.Ack(f.ctx, first), control.ErrConflict)
	f.is("return by the receipt that is over", f.q.Return(f.ctx, first, 0), control.ErrConflict)
	f.none("still on its way")
	f.must(f.q.Ack(f.ctx, second))
	f.next("two", 1)
}

func dedup(f *fixture) {
	send := func(group, dedup, body string) {
		f.Helper()
		f.must(f.q.Send(f.ctx, control.QueueMessage{Group: group, DedupID: dedup, Body: []byte(body)}))
	}
	send("g", "x", "first")
	send("g", "x", "dropped while the first waits")
	d := f.next("first", 1)
	send("g", "x", "dropped while the first is on its way")
	f.must(f.q.Ack(f.ctx, d))
	send("g", "x", "dropped after the first is done")
	f.none("duplicates")
	send("other", "x", "another group")
	f.must(f.q.Ack(f.ctx, f.next("another group", 1)))
	send("g", "y", "another id")
	f.must(f.q.Ack(f.ctx, f.next("another id", 1)))
	if !f.b.Fast {
		return
	}
	f.b.Pass(4*time.Minute + 30*time.Second)
	send("g", "x", "dropped, and does not prolong the five minutes")
	f.none("duplicates")
	f.b.Pass(time.Minute)
	send("g", "x", "five minutes are over")
	f.next("five minutes are over", 1)
}

func deadLetters(f *fixture) {
	for range 2 {
		f.send("g", "poison")
		f.send("g", "good")
		for i := range maxReceives {
			f.must(f.q.Return(f.ctx, f.next("poison", i+1), 0))
		}
		f.must(f.q.Ack(f.ctx, f.next("good", 1)))
	}
	f.none("dead")
	dead := f.dead(2)
	for _, d := range dead {
		if d.Group != "g" || string(d.Body) != "poison" || d.Receipt == "" {
			f.Errorf("dead letter %+v", d)
		}
	}
	f.send("g", "before")
	f.must(f.q.Replay(f.ctx, dead[0].Receipt))
	f.must(f.q.Ack(f.ctx, f.next("before", 1)))
	f.must(f.q.Ack(f.ctx, f.next("poison", 1)))
	f.none("replayed once")
	f.is("replay again", f.q.Replay(f.ctx, dead[0].Receipt), control.ErrNotFound)

	dead = f.dead(1)
	f.must(f.q.Drop(f.ctx, dead[0].Receipt))
	f.is("drop again", f.q.Drop(f.ctx, dead[0].Receipt), control.ErrNotFound)
	f.is("replay what was dropped", f.q.Replay(f.ctx, dead[0].Receipt), control.ErrNotFound)
	f.dead(0)
	f.none("dropped")
	f.is("drop garbage", f.q.Drop(f.ctx, "garbage"), control.ErrNotFound)
	f.is("replay garbage", f.q.Replay(f.ctx, "garbage"), control.ErrNotFound)
}

// replayRace: of several who replay a letter at once, one sends it; and letters
// of one group that are replayed in the order of the list arrive in it.
func replayRace(f *fixture) {
	for _, body := range []string{"one", "two"} {
		f.send("g", body)
		for i := range maxReceives {
			f.must(f.q.Return(f.ctx, f.next(body, i+1), 0))
		}
		f.none("dead")
	}
	var replayed atomic.Int32
	for _, d := range f.dead(2) {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				err := f.q.Replay(f.ctx, d.Receipt)
				if err == nil {
					replayed.Add(1)
				} else if !errors.Is(err, control.ErrNotFound) {
					f.Errorf("replay: %v", err)
				}
			})
		}
		all.Wait()
	}
	if n := replayed.Load(); n != 2 {
		f.Errorf("2 letters were replayed %d times", n)
	}
	f.must(f.q.Ack(f.ctx, f.next("one", 1)))
	f.must(f.q.Ack(f.ctx, f.next("two", 1)))
	f.none("replayed")
	f.dead(0)
}

func (f *fixture) dead(n int) []control.Delivery {
	f.Helper()
	dead, err := f.q.DeadLetters(f.ctx, 10)
	f.must(err)
	if len(dead) != n {
		f.Fatalf("%d dead letters %s, want %d", len(dead), show(dead), n)
	}
	return dead
}

func returns(f *fixture) {
	f.send("g", "one")
	f.send("g", "two")
	d := f.next("one", 1)
	f.must(f.q.Return(f.ctx, d, 3*visibility))
	f.is("acknowledge what was returned", f.q.Ack(f.ctx, d), control.ErrConflict)
	f.is("return it again", f.q.Return(f.ctx, d, 0), control.ErrConflict)
	f.send("other", "free")
	f.must(f.q.Ack(f.ctx, f.next("free", 1)))
	f.none("delayed")
	f.b.Pass(2 * visibility)
	f.none("delayed for longer than the visibility timeout")
	f.b.Pass(visibility + visibility/4)
	d = f.next("one", 2)
	f.must(f.q.Return(f.ctx, d, 0))
	f.must(f.q.Ack(f.ctx, f.next("one", 3)))
	f.next("two", 1)
}
