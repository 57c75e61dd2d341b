package hub

import (
	"context"
	"errors"
	"net"
	"sync"
)

// Ticket is a viewer that was admitted and counted. It is used up by Start,
// else by Cancel.
type Ticket struct {
	h    *Hub
	s    *stream
	v    *viewer
	once sync.Once
}

// Admit checks a play id before anything is sent: ErrNotFound, ErrFull, or an
// outage.
func (h *Hub) Admit(ctx context.Context, playID string, remote net.Addr) (*Ticket, error) {
	s := h.feeding(playID)
	if s == nil {
		place, err := h.find(ctx, playID)
		if err != nil {
			return nil, err
		}
		if !place.Playable {
			return nil, ErrNotFound
		}
	}
	t := &Ticket{h: h, v: &viewer{addr: h.address(remote), waiting: true, sent: &h.sent}}
	if err := h.count(t.v); err != nil {
		return nil, err
	}
	for s == nil || !s.enter(t.v) {
		s = h.stream(playID)
	}
	t.s = s
	return t, nil
}

// AdmitRelay is Admit for another worker: ErrNotFound unless the publisher is,
// or was last, on this one.
func (h *Hub) AdmitRelay(playID string) (*Ticket, error) {
	h.mu.Lock()
	s := h.streams[playID]
	h.mu.Unlock()
	t := &Ticket{h: h, v: &viewer{relay: true, waiting: true, sent: &h.sent}}
	if s == nil || s.unfit(t.v) != nil {
		return nil, ErrNotFound
	}
	if err := h.count(t.v); err != nil {
		return nil, err
	}
	if !s.enter(t.v) {
		h.uncount(t.v)
		return nil, ErrNotFound
	}
	t.s = s
	return t, nil
}

// find looks a play id up. Those who ask meanwhile share the answer: a show's
// viewers come all at once.
func (h *Hub) find(ctx context.Context, playID string) (Place, error) {
	found := h.finds.DoChan(playID, func() (any, error) {
		ctx, cancel := context.WithTimeout(h.ctx, findTimeout)
		defer cancel()
		return h.Directory.Find(ctx, playID)
	})
	select {
	case r := <-found:
		place, _ := r.Val.(Place)
		return place, r.Err
	case <-ctx.Done():
		return Place{}, ctx.Err()
	}
}

// feeding answers the stream where it needs no look-up: its messages come.
func (h *Hub) feeding(playID string) *stream {
	h.mu.Lock()
	s := h.streams[playID]
	h.mu.Unlock()
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.feed == nil {
		return nil
	}
	return s
}

func (h *Hub) count(v *viewer) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return ErrShutdown
	case h.viewers >= h.MaxViewers:
		return ErrFull
	case v.addr.IsValid() && h.addresses[v.addr] >= h.MaxPerAddress:
		return ErrFull
	}
	h.viewers++
	if v.addr.IsValid() {
		h.addresses[v.addr]++
	}
	return nil
}

func (h *Hub) uncount(v *viewer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.viewers--
	if !v.addr.IsValid() {
		return
	}
	if h.addresses[v.addr]--; h.addresses[v.addr] == 0 {
		delete(h.addresses, v.addr)
	}
}

// enter counts a viewer in; false where the stream is over.
func (s *stream) enter(v *viewer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return false
	}
	s.viewers++
	if !v.relay {
		s.direct++
	}
	if s.feed == nil {
		s.keep()
	}
	return true
}

func (s *stream) leave(v *viewer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.viewers--
	if v.relay {
		return
	}
	if s.direct--; s.direct == 0 {
		s.lonely = s.hub.Now()
	}
}

func (s *stream) remove(d *shard, v *viewer) {
	s.leave(v)
	s.hub.uncount(v)
	s.mu.Lock()
	defer s.mu.Unlock()
	d.count--
}

// Cancel gives the place back, unless Start was called.
func (t *Ticket) Cancel() {
	t.once.Do(func() {
		t.s.leave(t.v)
		t.h.uncount(t.v)
	})
}

// Start begins to write to the sink, from one goroutine of the hub. closed is
// called once, from there, when the viewer is done with, and must not wait;
// the sink is not used any more then.
func (t *Ticket) Start(f Format, sink Sink, closed func(error)) {
	started := false
	t.once.Do(func() { started = true })
	if !started {
		closed(errors.New("the ticket is used up"))
		return
	}
	v := t.v
	v.format, v.sink, v.closed = f, sink, closed
	v.checked = t.h.Now()
	if err := t.s.add(v); err != nil {
		t.s.leave(v)
		t.h.uncount(v)
		closed(err)
	}
}

// Leave says that the viewer has gone; its sink is let go of soon.
func (t *Ticket) Leave() { t.v.left.Store(true) }
