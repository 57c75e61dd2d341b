package sim

import (
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// conn is one publisher's connection to a worker.
type conn struct {
	w       *world
	who     string
	hash    broadcast.Hash
	session *session // nil until it is admitted
	// open: the server has not closed it. gone: the publisher has, and with
	// half the server was not told.
	open, gone, half bool
	silent           time.Duration // since when nothing comes; -1 = it flows
	messages         uint64        // before from
	from             time.Duration // since when it flows
	owner            *proc
}

// connect opens a connection to a worker that is there; nil = there is none.
func (w *world) connect(who string, hash broadcast.Hash, owner *proc) *conn {
	if len(w.workers) == 0 {
		return nil
	}
	k := w.workers[w.rng.IntN(len(w.workers))]
	c := &conn{w: w, who: who, hash: hash, open: true, silent: -1, from: w.now, owner: owner}
	k.conns = append(k.conns, c)
	w.spawn(&k.machine, func(p *proc) { k.serve(p, c) })
	return c
}

func (c *conn) admitted(s *session) { c.from = c.w.now; c.session = s }

func (c *conn) refuse(k *worker, err error) {
	c.w.tell("%s refuses %s: %v", k.id, c.who, err)
	c.shut("refused")
	k.forget(c)
}

// shut is the server's side closing.
func (c *conn) shut(string) {
	if c.open {
		c.open = false
		if !c.owner.over && c.owner != c.w.current {
			c.owner.wake()
		}
	}
}

func (c *conn) flowing() bool { return c.open && c.silent < 0 && !c.gone }

// media counts the messages that have come: 10 a second while it flows.
func (c *conn) media() uint64 {
	if c.silent >= 0 {
		return c.messages
	}
	return c.messages + uint64((c.w.now-c.from)/(100*time.Millisecond)) //nolint:gosec // time goes forward
}

// hush lets nothing more come; speak lets it flow again.
func (c *conn) hush() { c.messages, c.silent = c.media(), c.w.now }

func (c *conn) speak() { c.silent, c.from = -1, c.w.now }

// left says that the server knows that the publisher is gone.
func (c *conn) left() bool {
	return c.gone && !c.half || c.silent >= 0 && c.w.now-c.silent >= idleAfter
}

// member is one key with those who publish to it.
type member struct {
	app    control.Caller
	userID string
	key    broadcast.KeyID
	// leaked is the string that a thief has; the owner reads the new one.
	leaked string
	// conn is the owner's connection, if any.
	conn *conn
	// steady: the owner wants to publish, in the calm at the end.
	steady bool
	// done: the owner does not come back.
	done bool
}

// own is what an encoder of the owner does until the faults stop: connect,
// stay a while, leave in one way or the other, come back.
func (w *world) own(m *member, name string) {
	w.spawn(nil, func(p *proc) {
		p.sleep(w.between(0, 5*time.Second))
		for !m.done {
			text := w.store.strings[m.key]
			c := w.connect(name, control.HashSecret(text), p)
			m.conn = c
			if c != nil {
				w.stay(p, c)
			}
			if !w.chaos && !m.steady {
				return
			}
			p.sleep(w.between(200*time.Millisecond, 8*time.Second))
			if !w.chaos {
				if !m.steady {
					return
				}
				p.sleep(time.Second)
			}
		}
	})
}

// stay keeps a connection for a while. In calm it stays until it is cut.
func (w *world) stay(p *proc, c *conn) {
	until := w.now + w.between(time.Second, 60*time.Second)
	if w.chance(0.3) {
		until = w.now + w.between(0, 5*time.Second)
	}
	for c.open && !c.gone {
		if !w.chaos {
			if c.silent >= 0 && !c.gone {
				c.speak()
			}
			p.sleep(time.Hour) // until it is cut
			continue
		}
		if w.now >= until {
			w.leave(c)
			return
		}
		p.sleep(min(until-w.now, w.between(time.Second, 10*time.Second)))
		if !c.open || c.gone || !w.chaos {
			continue // it may have been taken away meanwhile
		}
		if c.silent >= 0 {
			c.speak()
		} else if w.chance(0.1) {
			w.tell("%s is silent", c.who)
			c.hush()
		}
	}
}

func (w *world) leave(c *conn) {
	c.gone = true
	if w.chance(0.3) {
		w.tell("%s is gone without a word", c.who)
		c.half = true
	} else {
		w.tell("%s leaves", c.who)
	}
	if c.silent < 0 {
		c.hush()
	}
	if c.session != nil && !c.session.over {
		c.session.main.wake()
	}
}

// steal publishes with a string that leaked, again and again.
func (w *world) steal(m *member) {
	w.spawn(nil, func(p *proc) {
		for w.chaos {
			p.sleep(w.between(time.Second, 20*time.Second))
			if m.leaked == "" || w.chance(0.2) {
				m.leaked = w.store.strings[m.key]
			}
			if c := w.connect("a thief", control.HashSecret(m.leaked), p); c != nil && w.chaos {
				w.stay(p, c)
			}
		}
	})
}
