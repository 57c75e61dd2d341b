package chaos

import (
	"context"
	"math/rand/v2"
	"net/http"
	"syscall"
	"time"
)

// rage does one thing after the other until the time is over.
func (w *world) rage(ctx context.Context, rng *rand.Rand, d time.Duration) {
	things := []func(*rand.Rand){
		w.kill, w.kill, w.pause, w.pause, w.restart, w.slow, w.slow, w.cut, w.cut, w.half, w.half,
		w.silence, w.silence, w.lose, w.rest, w.order, w.order, w.order,
	}
	for end := time.Now().Add(d); time.Now().Before(end) && !w.t.Failed(); {
		things[rng.IntN(len(things))](rng)
		wait(ctx, between(rng, 500*time.Millisecond, 4*time.Second))
		for _, s := range w.sites {
			if err := s.crashed(); err != nil {
				w.t.Error(err)
			}
		}
	}
	w.tell("---- the faults stop ----")
	close(w.calm)
	w.faults.Wait()
	for _, p := range w.publishers {
		p.mu.Lock()
		p.away = time.Time{}
		p.mu.Unlock()
	}
}

func between(rng *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(rng.Int64N(int64(to-from)+1))
}

func (w *world) site(rng *rand.Rand) *site { return w.sites[rng.IntN(len(w.sites))] }
func (w *world) publisher(rng *rand.Rand) *publisher {
	return w.publishers[rng.IntN(len(w.publishers))]
}

// kill is kill -9 and a new process some time later.
func (w *world) kill(rng *rand.Rand) {
	s, d := w.site(rng), between(rng, 0, 6*time.Second)
	if !s.busy.CompareAndSwap(false, true) {
		return
	}
	w.tell("kill -9 %s", s.name)
	s.down.Store(true)
	s.kill()
	w.later(d, func() { w.again(s) })
}

// restart kills everything at once.
func (w *world) restart(rng *rand.Rand) {
	d := between(rng, 0, 2*time.Second)
	for _, s := range w.sites {
		if !s.busy.CompareAndSwap(false, true) {
			continue
		}
		w.tell("kill -9 %s (all)", s.name)
		s.down.Store(true)
		s.kill()
		w.later(d, func() { w.again(s) })
	}
}

// pause is SIGSTOP: the process wakes up and believes that no time has passed.
func (w *world) pause(rng *rand.Rand) {
	s, d := w.site(rng), between(rng, 2*time.Second, longPause)
	if !s.busy.CompareAndSwap(false, true) {
		return
	}
	w.tell("SIGSTOP %s for %s", s.name, d.Round(time.Millisecond))
	s.down.Store(true)
	s.signal(syscall.SIGSTOP)
	w.later(d, func() {
		s.signal(syscall.SIGCONT)
		w.tell("SIGCONT %s", s.name)
		s.down.Store(false)
		s.busy.Store(false)
	})
}

// line makes one of a process's lines sick for a while.
func (w *world) line(rng *rand.Rand, what string, longest time.Duration, do func(s *site, service string) error) {
	s, i, d := w.site(rng), rng.IntN(len(services)), between(rng, time.Second, longest)
	if s.busy.Load() || !s.sick[i].CompareAndSwap(false, true) {
		return
	}
	w.tell("%s to %s: %s for %s", s.name, services[i], what, d.Round(time.Millisecond))
	if err := do(s, services[i]); err != nil {
		w.t.Errorf("%s: %v", what, err)
	}
	w.later(d, func() {
		if err := s.heal(services[i]); err != nil {
			w.t.Errorf("heal: %v", err)
		}
		w.tell("%s to %s: whole", s.name, services[i])
		s.sick[i].Store(false)
	})
}

func (w *world) slow(rng *rand.Rand) {
	by := between(rng, 100*time.Millisecond, 2500*time.Millisecond)
	w.line(rng, "slow by "+by.Round(time.Millisecond).String(), 25*time.Second, func(s *site, service string) error { return s.slow(service, by) })
}

func (w *world) cut(rng *rand.Rand) {
	w.line(rng, "cut", 25*time.Second, func(s *site, service string) error { s.cut(service); return nil })
}

func (w *world) half(rng *rand.Rand) {
	stream := []string{"upstream", "downstream"}[rng.IntN(2)]
	w.line(rng, "nothing passes "+stream, 20*time.Second, func(s *site, service string) error { return s.lines.half(service, stream) })
}

// silence takes a publisher away without a FIN.
func (w *world) silence(rng *rand.Rand) {
	p := w.publisher(rng)
	w.tell("%s falls silent, without a FIN", p.user)
	p.wire.silence()
}

func (w *world) lose(rng *rand.Rand) {
	p := w.publisher(rng)
	w.tell("%s loses its connection", p.user)
	p.wire.cut()
}

func (w *world) rest(rng *rand.Rand) {
	p, d := w.publisher(rng), between(rng, time.Second, 20*time.Second)
	w.tell("%s rests for %s", p.user, d.Round(time.Millisecond))
	p.rest(d)
}

// order is an API call about a publisher's key or room.
func (w *world) order(rng *rand.Rand) {
	p := w.publisher(rng)
	key, show := "/v2/apps/me/stream-keys/"+string(p.key), "/v2/apps/me/video-rooms/"+p.show()
	calls := []struct {
		path string
		in   any
	}{
		{key + "/force-terminate", map[string]string{"recording": "keep"}},
		{key + "/disconnect", nil},
		{key + "/reissue", nil},
		{show + "/end", map[string]bool{"force": true}},
		{show + "/end", nil},
	}
	c := calls[rng.IntN(len(calls))]
	if p.show() == "" {
		c = calls[rng.IntN(3)]
	}
	twin := rand.New(rand.NewPCG(rng.Uint64(), 1))
	w.faults.Go(func() {
		err := w.call(context.Background(), twin, http.MethodPost, c.path, c.in, nil)
		w.tell("%s: POST %s: %v", p.user, c.path, err)
	})
}
