package sim

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/lease"
)

// idleAfter is when a worker gives up a connection that is silent.
const idleAfter = 10 * time.Second

// worker is one ingest process. Its wall clock may be wrong, its uptime not.
type worker struct {
	machine
	w      *world
	id     broadcast.WorkerID
	ahead  time.Duration // of the wall clock
	leases *net
	conns  []*conn
	stood  time.Duration // until when it stood still lately
}

func (w *world) newWorker() *worker {
	k := &worker{w: w, id: broadcast.WorkerID(w.New("wrk")), machine: machine{procs: map[*proc]struct{}{}}}
	k.name = string(k.id)
	k.leases = &net{w: w, worker: k}
	w.workers = append(w.workers, k)
	return k
}

// die is kill -9: nothing more comes of it, its connections break, and another
// worker begins some time later.
func (k *worker) die() {
	if k.dead {
		return
	}
	w := k.w
	w.tell("%s is killed", k.id)
	for _, c := range k.conns {
		if c.session != nil {
			c.session.over = true
		}
		c.shut("the worker died")
	}
	k.conns = nil
	w.workers = slices.DeleteFunc(w.workers, func(o *worker) bool { return o == k })
	w.after(w.between(time.Second, 20*time.Second), func() {
		if len(w.workers) < 2 {
			w.tell("%s begins", w.newWorker().id)
		}
	})
	k.crash()
}

func (k *worker) side() lease.Worker {
	w := k.w
	return lease.Worker{
		Store:  k.leases,
		Now:    func() time.Time { return w.wall().Add(k.ahead) },
		Uptime: k.uptime,
		Sleep:  w.nap,
	}
}

func (k *worker) uptime() time.Duration {
	if k.w.bug == BugWallClock {
		return k.w.now + k.ahead
	}
	return k.w.now
}

// session is one publisher on a worker, in the order of
// workers/ingest/session.
type session struct {
	k     *worker
	c     *conn
	id    broadcast.SessionID
	key   broadcast.KeyID
	hash  broadcast.Hash
	mode  broadcast.Mode
	lease broadcast.Lease
	log   lease.Log
	held  lease.Held

	renewals, segment uint64
	outbox            []broadcast.Event
	closed            bool // nothing follows in the outbox
	reporter, main    *proc
	stop              *stopper
	kept              bool // the keeper has ended
	lost              error

	// For the invariants: what is true of it.
	published bool
	viewable  time.Duration // since when
	over      bool
	renewed   time.Duration // when the last renewal that succeeded began
}

// serve is one connection's process.
func (k *worker) serve(p *proc, c *conn) {
	w := k.w
	s := &session{k: k, c: c, id: broadcast.SessionID(w.New("ses")), hash: c.hash, main: p, mode: broadcast.ModeCMAF}
	pub, err := k.leases.FindPublisher(context.Background(), c.hash)
	if err != nil {
		c.refuse(k, err)
		return
	}
	s.key = pub.KeyID
	if pub.RoomMode != "" {
		s.mode = pub.RoomMode
	}
	w.check.sessions[s.id] = s
	holder := broadcast.Holder{Session: s.id, Worker: k.id}
	s.lease, err = k.side().Take(context.Background(), pub, holder, broadcast.Progress{Mode: s.mode})
	var r *lease.Refusal
	if errors.As(err, &r) {
		s.tellRefused(r)
	}
	if err != nil {
		c.refuse(k, err)
		return
	}
	s.held = lease.Held{Worker: k.side(), KeyID: s.key, Epoch: s.lease.Epoch, Session: s.id}
	if w.chaos && w.chance(0.1) {
		w.tell("%s: the storage of %s fails", k.id, s.id)
		_ = s.held.Release(context.Background(), broadcast.Progress{Mode: s.mode, LastSegment: s.lease.LastSegment})
		c.refuse(k, errFault)
		return
	}
	s.live(p)
}

func (s *session) tellRefused(r *lease.Refusal) {
	s.k.w.tell("%s refuses %s: %s", s.k.id, s.c.who, r.Code)
	s.report(broadcast.Event{
		ID: broadcast.EventID(s.k.w.New("evt")), KeyID: s.key, Phase: broadcast.Refused,
		Error: &broadcast.KeyError{Code: r.Code, Message: r.Message},
	})
	s.closed = true
}

// live runs from the admission to the release.
func (s *session) live(p *proc) {
	w := s.k.w
	s.c.session = s
	s.c.admitted(s)
	s.segment = s.lease.LastSegment
	w.tell("%s of %s publishes %s on %s, epoch %d", s.id, s.c.who, s.key, s.k.id, s.lease.Epoch)
	s.tell(broadcast.Prep, "")
	s.stop = newStopper()
	w.spawn(&s.k.machine, func(*proc) { s.keep() })
	viewable := w.now + w.between(200*time.Millisecond, 6*time.Second)
	for s.lost == nil && !s.c.left() {
		if !s.published && w.now >= viewable && s.c.flowing() {
			s.published, s.viewable = true, w.now
			s.segment++
			s.tell(broadcast.Published, "")
		}
		next := time.Second
		if !s.published {
			next = max(viewable-w.now, 50*time.Millisecond)
		}
		p.sleep(next)
	}
	s.end(p)
}

// keep is the renewals' process.
func (s *session) keep() {
	err := s.held.Keep(s.stop, context.Background(), func() broadcast.Progress {
		s.renewals++
		return s.progress()
	}, func(error) {})
	s.kept, s.lost = true, err
	s.main.wake()
}

func (s *session) progress() broadcast.Progress {
	p := broadcast.Progress{Mode: s.mode, Renewals: s.renewals, Media: s.c.media(), LastSegment: s.segment}
	p.Phase, p.Seq = s.log.Last()
	return p
}

// end is the order of session.End: the last segments, STOPPED, release.
func (s *session) end(p *proc) {
	w := s.k.w
	s.over = true
	w.check.ended(s)
	s.c.shut("the session ended")
	reason := "publisher left"
	if s.lost != nil {
		reason = s.lost.Error()
	} else {
		p.sleep(w.between(0, 5*time.Second))
	}
	w.tell("%s ends: %s", s.id, reason)
	s.tell(broadcast.Stopped, reason)
	s.closed = true
	s.stop.end()
	for !s.kept {
		p.sleep(10 * time.Millisecond)
	}
	s.renewals++
	_ = s.held.Release(context.Background(), s.progress())
	s.k.forget(s.c)
}

// tell numbers an event and hands it to the reporter.
func (s *session) tell(phase broadcast.Phase, reason string) {
	w := s.k.w
	seq, ok := s.log.Next(phase)
	if !ok {
		return
	}
	s.report(broadcast.Event{
		ID: broadcast.EventID(w.New("evt")), KeyID: s.key, Session: s.id, Epoch: s.lease.Epoch, Seq: seq,
		Phase: phase, Mode: s.mode, StopReason: reason, LastSegment: s.segment,
	})
}

// report sends in order; its process ends with the last event.
func (s *session) report(e broadcast.Event) {
	s.outbox = append(s.outbox, e)
	w := s.k.w
	if s.reporter != nil && !s.reporter.over {
		return
	}
	s.reporter = w.spawn(&s.k.machine, func(*proc) {
		for len(s.outbox) > 0 {
			e := s.outbox[0]
			err := lease.Tell(context.Background(), w.nap, func(ctx context.Context) error {
				m, err := control.EncodeEvent(e, 0)
				if err != nil {
					return err
				}
				return w.queue.Send(ctx, m)
			}, func(error) {})
			if err != nil {
				w.fail("an event is given up: %v", err)
			}
			s.outbox = s.outbox[1:]
		}
	})
}

func (k *worker) forget(c *conn) {
	k.conns = slices.DeleteFunc(k.conns, func(o *conn) bool { return o == c })
}
