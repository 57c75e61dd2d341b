package hub

import (
	"slices"
	"sync"
	"time"

	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

const (
	// maxBatchBytes seals a batch before its time.
	maxBatchBytes = 256 << 10
	// maxCacheBytes bounds the GOP that is kept for those who join: 30 s at
	// 4 Mbit/s. Where one is larger, they wait for the next key frame.
	maxCacheBytes = 16 << 20
	// audioCache is what is kept where there is no video.
	audioCache = time.Second
	// readyAfter is how much audio shows that no video comes.
	readyAfter = 2000 // ms
)

// stream is what one play id sends on this worker, and who watches it.
type stream struct {
	hub *Hub
	id  string

	mu      sync.Mutex
	feed    *Feed    // nil while interrupted
	batches []*batch // sealed, oldest first, seq without a gap
	open    *batch   // being filled; nil = nothing came since the last one
	nextSeq uint64
	through uint64 // payload bytes ever
	headers *headers
	video   bool // the present upstream has video
	line    rising
	dropGOP bool // the GOP is too large: nothing is a start until the next one

	shards  []*shard
	direct  int       // viewers that are no relays
	viewers int       // all
	lonely  time.Time // since when there are no direct viewers
	lastAt  time.Time // of the last message, or of the making
	hurry   bool      // the open batch came after a silence: viewers wait for it
	keeping bool
	ended   error // not nil: over, with the reason
}

// message puts one message in. ready is true when a viewer who joins now gets
// a picture (or, without video, sound) at once.
func (s *stream) message(f *Feed, m rtmpin.Message, now time.Time) (ready bool) {
	if m.Type == rtmpin.TypeData {
		if rest, ok := cutPrefix(m.Payload, setDataFrame); ok {
			m.Payload = rest
		}
	}
	k := classify(m)
	if k == useless {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.feed != f || s.ended != nil {
		return false
	}
	s.hurry = s.hurry || now.Sub(s.lastAt) >= s.hub.Coalesce
	s.lastAt = now
	next := s.headers.with(k, m.Payload)
	if next == s.headers && k != plain && k != keyFrame {
		return false // said before
	}
	if frame := (k == plain || k == keyFrame) && m.Type != rtmpin.TypeData; !frame {
		m.TimestampMS = s.line.newest // encoders give these any time, mostly 0
	} else if m.TimestampMS = s.line.next(m.TimestampMS, now); !f.begun {
		f.begun, f.firstMS = true, m.TimestampMS
	}
	if m.Type == rtmpin.TypeVideo && !s.video {
		s.video = true
		s.seal(now)
		s.forgetStarts()
	}
	s.put(m, k, next, now)
	if s.video {
		return s.startSeq() != none
	}
	return m.Type == rtmpin.TypeAudio && m.TimestampMS-f.firstMS >= readyAfter
}

func cutPrefix(p []byte, prefix string) ([]byte, bool) {
	if len(p) < len(prefix) || string(p[:len(prefix)]) != prefix {
		return p, false
	}
	return p[len(prefix):], true
}

// put appends to the open batch. A batch that can be a start begins with a key
// frame or, without video, with anything but a header.
func (s *stream) put(m rtmpin.Message, k kind, next *headers, now time.Time) {
	start := k == keyFrame || !s.video && k == plain && m.Type == rtmpin.TypeAudio
	if b := s.open; b != nil && (k == keyFrame || start && !b.start || b.bytes >= maxBatchBytes || now.Sub(b.began) >= s.hub.Coalesce) {
		s.seal(now)
	}
	if s.open == nil {
		s.open = &batch{seq: s.nextSeq, began: now, before: s.headers, start: start}
	}
	b := s.open
	b.all = append(b.all, m)
	b.bytes += len(m.Payload)
	s.through += uint64(len(m.Payload))
	s.headers = next
	b.after, b.through = next, s.through
}

// seal closes the open batch and lets go of what nobody needs.
func (s *stream) seal(now time.Time) {
	b := s.open
	if b == nil {
		return
	}
	s.open = nil
	s.nextSeq++
	b.sealed = now
	if b.start {
		s.dropGOP = false
	}
	s.batches = append(s.batches, b)
	s.trim(now)
}

const none = ^uint64(0)

// startSeq is the newest batch that a viewer may begin with.
func (s *stream) startSeq() uint64 {
	if s.open != nil && s.open.start {
		return s.open.seq
	}
	if s.dropGOP {
		return none
	}
	for _, b := range slices.Backward(s.batches) {
		if b.start {
			return s.audioStart(b.seq, b.sealed)
		}
	}
	return none
}

// audioStart goes back where every batch is a start, so that a player has
// something to begin with.
func (s *stream) audioStart(seq uint64, newest time.Time) uint64 {
	if s.video {
		return seq
	}
	for _, b := range slices.Backward(s.batches) {
		if !b.start || newest.Sub(b.began) > audioCache {
			break
		}
		seq = b.seq
	}
	return seq
}

// forgetStarts: video has begun, or an upstream is gone; what came before is
// no beginning any more.
func (s *stream) forgetStarts() { s.dropGOP = true }

// trim keeps the GOP and, for slow viewers, what they may be behind.
func (s *stream) trim(now time.Time) {
	start := s.startSeq()
	if start != none && len(s.batches) > 0 && start <= s.batches[len(s.batches)-1].seq {
		first := s.batches[start-s.batches[0].seq]
		if s.through-first.through+uint64(first.bytes) > maxCacheBytes { //nolint:gosec // not negative
			s.dropGOP, start = true, none
		}
	}
	keep := time.Duration(0)
	if s.viewers > 0 {
		keep = maxBehind + s.hub.Coalesce*2
	}
	// A goroutine of ours that is late is no reason to leave anything out.
	served := s.nextSeq
	for _, d := range s.shards {
		served = min(served, d.served)
	}
	n := 0
	for n < len(s.batches) {
		b := s.batches[n]
		if b.seq >= start || (b.seq >= served || now.Sub(b.sealed) < keep) && s.through-b.through < maxBehindBytes {
			break
		}
		n++
	}
	if n > 0 {
		s.batches = slices.Clone(s.batches[n:]) // lets go of the others
	}
}

// window is what a shard serves its viewers from.
type window struct {
	batches []*batch
	next    uint64 // seq behind the last one
	through uint64 // bytes up to there
	start   uint64 // newest start, none = there is none
}

// window; newcomers get what is there now.
func (s *stream) window(d *shard, now time.Time, newcomers bool) window {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open != nil && (newcomers || s.hurry || now.Sub(s.open.began) >= s.hub.Coalesce/2) {
		s.seal(now)
		s.hurry = false
	}
	d.served = s.nextSeq
	w := window{batches: s.batches, next: s.nextSeq, start: none}
	if n := len(s.batches); n > 0 {
		w.through = s.batches[n-1].through
	}
	if seq := s.startSeq(); seq < s.nextSeq {
		w.start = seq
	} else {
		w.start = s.sealedStart()
	}
	return w
}

// sealedStart is startSeq without the open batch.
func (s *stream) sealedStart() uint64 {
	open := s.open
	s.open = nil
	defer func() { s.open = open }()
	return s.startSeq()
}

// at answers the batch, nil where it has left.
func (w window) at(seq uint64) *batch {
	if len(w.batches) == 0 || seq < w.batches[0].seq || seq >= w.next {
		return nil
	}
	return w.batches[seq-w.batches[0].seq]
}
