package sim

import (
	"context"
	"strconv"
	"time"

	"github.com/roomcast/roomcast/internal/control"
)

const (
	visibility  = 30 * time.Second
	dedupFor    = 5 * time.Minute
	maxReceives = 10
)

// queue is the FIFO of state events: one group's messages in order, one at a
// time, each until it is acknowledged. Every delivery is a process of its own:
// control's consumer.
type queue struct {
	w      *world
	groups map[string]*group
	names  []string
	seen   map[string]time.Duration
	dead   []*message
	n      int
}

type group struct{ list []*message }

type message struct {
	control.Delivery
	// visible is when it is delivered next; before that it is on its way or
	// late.
	visible time.Duration
}

func newQueue(w *world) *queue {
	return &queue{w: w, groups: map[string]*group{}, seen: map[string]time.Duration{}}
}

// Send implements control.Events and the sender's half of control.Queue.
func (q *queue) Send(_ context.Context, m control.QueueMessage) error {
	w := q.w
	if p := w.current; p != nil {
		p.sleep(w.between(0, 20*time.Millisecond))
	}
	e, err := control.DecodeEvent(m.Body)
	if err != nil {
		return err
	}
	w.events[e.ID] = e
	if w.chaos {
		switch {
		case w.outage > w.now || w.chance(w.dice.throttle):
			return errFault
		case w.chance(w.dice.unsent):
			w.tell("  %s of %s, epoch %d, is lost before the queue", e.Phase, e.KeyID, e.Epoch)
			return nil
		case w.chance(w.dice.lost):
			q.push(m)
			return errFault
		case w.chance(w.dice.doubled):
			w.after(w.between(0, 2*time.Minute), func() { q.add(m) })
		}
	}
	q.push(m)
	return nil
}

func (q *queue) push(m control.QueueMessage) {
	id := m.Group + "/" + m.DedupID
	if at, ok := q.seen[id]; ok && q.w.now-at < dedupFor {
		return
	}
	q.seen[id] = q.w.now
	q.add(m)
}

func (q *queue) add(m control.QueueMessage) {
	g := q.groups[m.Group]
	if g == nil {
		g = &group{}
		q.groups[m.Group] = g
		q.names = append(q.names, m.Group)
	}
	late := q.w.between(0, 50*time.Millisecond)
	if q.w.chaos && q.w.chance(q.w.dice.delayed) {
		late = q.w.between(0, 3*time.Minute)
	}
	g.list = append(g.list, &message{Delivery: control.Delivery{QueueMessage: m}, visible: q.w.now + late})
	q.w.after(late, func() { q.deliver(g) })
}

// deliver hands the head of a group to a consumer, once it is visible.
func (q *queue) deliver(g *group) {
	if len(g.list) == 0 || g.list[0].visible > q.w.now {
		return
	}
	m := g.list[0]
	if m.Attempts == maxReceives {
		q.w.tell("  a message of %s is a dead letter", m.Group)
		q.dead = append(q.dead, m)
		q.drop(g)
		return
	}
	q.n++
	m.Attempts++
	m.Receipt = strconv.Itoa(q.n)
	m.visible = q.w.now + visibility
	q.w.after(visibility, func() { q.deliver(g) })
	d := m.Delivery
	q.w.spawn(nil, func(*proc) { q.w.service.HandleDelivery(context.Background(), q, d) })
}

func (q *queue) drop(g *group) {
	g.list = g.list[1:]
	q.w.after(0, func() { q.deliver(g) })
	if len(g.list) > 0 {
		q.w.after(g.list[0].visible-q.w.now, func() { q.deliver(g) })
	}
}

func (q *queue) head(d control.Delivery) (*group, error) {
	g := q.groups[d.Group]
	if q.w.chaos && q.w.chance(q.w.dice.throttle) {
		return nil, errFault
	}
	if len(g.list) == 0 || g.list[0].Receipt != d.Receipt {
		return nil, control.ErrConflict
	}
	return g, nil
}

// Ack implements control.Queue.
func (q *queue) Ack(_ context.Context, d control.Delivery) error {
	g, err := q.head(d)
	if err == nil {
		q.drop(g)
	}
	return err
}

// Return implements control.Queue.
func (q *queue) Return(_ context.Context, d control.Delivery, delay time.Duration) error {
	g, err := q.head(d)
	if err == nil {
		g.list[0].visible = q.w.now + delay
		q.w.after(delay, func() { q.deliver(g) })
	}
	return err
}

// calm delivers at once what is late. What is on its way stays so.
func (q *queue) calm() {
	for _, name := range q.names {
		g := q.groups[name]
		for _, m := range g.list {
			if m.Receipt == "" {
				m.visible = min(m.visible, q.w.now)
			}
		}
		q.w.after(0, func() { q.deliver(g) })
	}
}

// replay sends every dead letter again, as an operator does.
func (q *queue) replay() {
	for _, m := range q.dead {
		q.w.tell("an operator replays a message of %s", m.Group)
		q.add(m.QueueMessage)
	}
	q.dead = nil
}
