package packager_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/media"
	"github.com/roomcast/roomcast/workers/ingest/packager"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
	"github.com/roomcast/roomcast/workers/ingest/segment"
)

// script is what a publisher sends, and when it arrives.
type script struct {
	steps []step
	count uint32 // makes every unit's bytes different
}

type step struct {
	at time.Duration
	m  rtmpin.Message
}

func (s *script) send(at time.Duration, kind rtmpin.MessageType, ts uint32, payload []byte) {
	s.steps = append(s.steps, step{at, rtmpin.Message{Type: kind, TimestampMS: ts, Payload: payload}})
}

func nals(list ...[]byte) []byte {
	var b []byte
	for _, n := range list {
		b = binary.BigEndian.AppendUint32(b, uint32(len(n)))
		b = append(b, n...)
	}
	return b
}

// sps is a baseline SPS for a picture of w × h pixels, multiples of 16.
func sps(w, h uint32) []byte {
	bits, n := []byte{0x67, 66, 0xc0, 30}, 32
	put := func(v uint32, size int) {
		for i := size - 1; i >= 0; i-- {
			if n%8 == 0 {
				bits = append(bits, 0)
			}
			bits[n/8] |= byte(v>>i&1) << (7 - n%8)
			n++
		}
	}
	ue := func(v uint32) {
		size := 0
		for (v+1)>>(size+1) > 0 {
			size++
		}
		put(0, size)
		put(v+1, size+1)
	}
	for _, v := range []uint32{0, 0, 2, 1} {
		ue(v)
	}
	put(0, 1)
	ue(w/16 - 1)
	ue(h/16 - 1)
	put(0b11001, 5) // frames only, direct 8x8, no cropping, no VUI, stop bit
	return bits
}

func pps() []byte { return []byte{0x68, 0xce, 0x3c, 0x80} }

func avcHeader(w, h uint32) []byte {
	s := sps(w, h)
	b := []byte{0x17, 0, 0, 0, 0, 1, s[1], s[2], s[3], 0xff, 0xe1}
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
	b = append(b, 1)
	b = binary.BigEndian.AppendUint16(b, uint16(len(pps())))
	return append(b, pps()...)
}

func (s *script) videoHeader(ts uint32, w, h uint32) {
	s.send(ms(ts), rtmpin.TypeVideo, ts, avcHeader(w, h))
}

// audioHeader announces AAC-LC; index 3 is 48 kHz, 4 is 44.1 kHz.
func (s *script) audioHeader(ts uint32, index, channels byte) {
	s.send(ms(ts), rtmpin.TypeAudio, ts, []byte{0xaf, 0, 2<<3 | index>>1, index<<7 | channels<<3})
}

func ms(ts uint32) time.Duration { return time.Duration(ts) * time.Millisecond }

func (s *script) frame(key bool, cts int32, extra ...[]byte) []byte {
	s.count++
	slice := binary.BigEndian.AppendUint32([]byte{0x41, 1, 2, 3}, s.count)
	first := byte(0x27)
	if key {
		slice[0], first = 0x65, 0x17
	}
	return append([]byte{first, 1, byte(cts >> 16), byte(cts >> 8), byte(cts)}, nals(append(extra, slice)...)...)
}

func (s *script) video(ts uint32, key bool) {
	s.send(ms(ts), rtmpin.TypeVideo, ts, s.frame(key, 0))
}

func (s *script) audio(ts uint32) {
	s.count++
	s.send(ms(ts), rtmpin.TypeAudio, ts, binary.BigEndian.AppendUint32([]byte{0xaf, 1, 0x21}, s.count))
}

// both sends 25 fps with a key frame every gop ms and 48 kHz audio, in the
// order of time, from and up to the given times.
func (s *script) both(from, to, gop uint32) { s.mix(from, to, gop, true, true) }

func (s *script) mix(from, to, gop uint32, video, audio bool) {
	frame := int(0)
	for ts := from; ts < to; ts += 40 {
		if video {
			s.video(ts, (ts-from)%gop == 0)
		}
		for ; audio; frame++ {
			at := from + uint32(frame*1024*1000/48000)
			if at >= ts+40 || at >= to {
				break
			}
			s.audio(at)
		}
	}
}

func headers() *script {
	s := &script{}
	s.videoHeader(0, 320, 240)
	s.audioHeader(0, 3, 2)
	return s
}

// shift moves the timestamps, not the arrivals, of the steps from n on.
func (s *script) shift(n int, by uint32) {
	for i := range s.steps[n:] {
		s.steps[n+i].m.TimestampMS += by
	}
}

func (s *script) play(t *testing.T, o segment.Options) *collector {
	t.Helper()
	c := &collector{}
	o.Sink, o.Epoch = c, 7
	now := epochStart
	p := packager.New(packager.Options{Segment: o, Now: func() time.Time { return now }})
	for i, st := range s.steps {
		now = epochStart.Add(st.at)
		c.now = now
		if err := p.Message(st.m); err != nil {
			t.Fatalf("step %d at %v: %v", i, st.at, err)
		}
	}
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	c.checkRules(t)
	return c
}

func (s *script) messages() []rtmpin.Message {
	var list []rtmpin.Message
	for _, st := range s.steps {
		list = append(list, st.m)
	}
	return list
}

// runs lists how many segments each run has.
func (c *collector) runs() []int {
	counts := make([]int, len(c.inits))
	for _, s := range c.segments {
		counts[s.Run.Index]++
	}
	return counts
}

func isSilent(b []byte) bool {
	silent := media.SilentAAC(2)
	return len(b) == len(silent) && string(b) == string(silent)
}

// discard is a sink that counts bytes.
type discard struct{ bytes int64 }

func (d *discard) Init(segment.Init) error { return nil }
func (d *discard) Segment(s segment.Segment) error {
	for i := range s.Tracks {
		d.bytes += s.Tracks[i].SizeBytes
	}
	return nil
}
func (d *discard) Warn(segment.Warning) {}

func newPackager(sink segment.Sink) *packager.Packager {
	if sink == nil {
		sink = &discard{}
	}
	return packager.New(packager.Options{
		Segment: segment.Options{Epoch: 1, Sink: sink},
		Now:     func() time.Time { return epochStart },
	})
}
