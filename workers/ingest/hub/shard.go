package hub

import (
	"slices"
	"sync"
	"time"
)

// shardViewers is how many viewers one goroutine serves.
const shardViewers = 512

// shard is a goroutine that serves up to shardViewers of a stream. It ends
// with its last viewer.
type shard struct {
	s *stream

	mu       sync.Mutex
	incoming []*viewer
	count    int    // viewers and incoming; guarded by the stream's mu
	served   uint64 // batches before it were offered to the viewers; as count

	viewers []*viewer // the goroutine's own
}

// add puts a viewer into a shard that has room.
func (s *stream) add(v *viewer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return s.ended
	}
	i := slices.IndexFunc(s.shards, func(d *shard) bool { return d.count < shardViewers })
	if i < 0 {
		i = len(s.shards)
		d := &shard{s: s}
		s.shards = append(s.shards, d)
		s.hub.loops.Go(d.run)
	}
	d := s.shards[i]
	d.count++
	d.mu.Lock()
	d.incoming = append(d.incoming, v)
	d.mu.Unlock()
	return nil
}

func (d *shard) run() {
	h := d.s.hub
	for {
		d.mu.Lock()
		newcomers := len(d.incoming) > 0
		d.viewers = append(d.viewers, d.incoming...)
		d.incoming = nil
		d.mu.Unlock()
		now := h.Now()
		over := d.s.over()
		if h.ctx.Err() != nil {
			over = ErrShutdown
		}
		d.serve(d.s.window(d, now, newcomers), now, over)
		if d.retire() || h.Sleep(h.ctx, h.Coalesce) != nil && over != nil {
			return
		}
	}
}

// serve gives every viewer what it takes, and lets go of those that end.
func (d *shard) serve(w window, now time.Time, over error) {
	d.viewers = slices.DeleteFunc(d.viewers, func(v *viewer) bool {
		err := over
		if e := d.s.unfit(v); err == nil && e != nil {
			err = e
		}
		if err == nil {
			err = v.push(w, now)
		}
		if err == nil {
			return false
		}
		d.s.remove(d, v)
		v.closed(err)
		return true
	})
}

// retire ends the shard when nobody is left.
func (d *shard) retire() bool {
	s := d.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.count > 0 {
		return false
	}
	s.shards = slices.DeleteFunc(s.shards, func(x *shard) bool { return x == d })
	return true
}

func (s *stream) over() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// unfit: relays are served by the origin alone, so that no circle can form.
func (s *stream) unfit(v *viewer) error {
	if !v.relay {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.feed != nil && s.feed.relayed {
		return ErrMoved
	}
	return nil
}
