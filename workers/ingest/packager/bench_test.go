package packager_test

import (
	"bytes"
	"testing"

	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
)

// benchStream is 60 s at 2.5 Mbit/s: 30 fps, 2 s GOP, 48 kHz audio.
func benchStream() (list []rtmpin.Message, total int64) {
	s := headers()
	for ts, frame := uint32(0), uint32(0); ts < 60_000; ts += 40 {
		m := s.frame(ts%2000 == 0, 80)
		filler := bytes.Repeat([]byte{0x9a}, 11_700)
		p := append(m[:5:5], nals(append(bytes.Clone(m[9:]), filler...))...)
		s.send(ms(ts), rtmpin.TypeVideo, ts, p)
		for ; frame*1024/48 < ts+40; frame++ {
			s.audio(frame * 1024 / 48)
			last := &s.steps[len(s.steps)-1].m
			last.Payload = append(last.Payload, filler[:330]...)
		}
	}
	list = s.messages()
	for _, m := range list {
		total += int64(len(m.Payload))
	}
	return list, total
}

// BenchmarkPackage packages a minute of a stream; allocs/message is what the
// packet path allocates, everything per segment included.
func BenchmarkPackage(b *testing.B) {
	list, total := benchStream()
	b.SetBytes(total)
	b.ReportAllocs()
	for b.Loop() {
		p := newPackager(nil)
		for i := range list {
			if err := p.Message(list[i]); err != nil {
				b.Fatal(err)
			}
		}
		if err := p.Flush(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(list)), "messages")
}

// BenchmarkCopy copies the same bytes once: what packaging is measured against.
func BenchmarkCopy(b *testing.B) {
	list, total := benchStream()
	into := make([]byte, 0, total)
	b.SetBytes(total)
	for b.Loop() {
		into = into[:0]
		for i := range list {
			into = append(into, list[i].Payload...)
		}
	}
}

func TestThePacketPathDoesNotAllocatePerMessage(t *testing.T) {
	list, _ := benchStream()
	perRun := testing.AllocsPerRun(3, func() {
		p := newPackager(nil)
		for i := range list {
			if err := p.Message(list[i]); err != nil {
				t.Fatal(err)
			}
		}
	})
	if per := perRun / float64(len(list)); per > 0.1 {
		t.Errorf("%.3f allocations per message (%v for %d messages)", per, perRun, len(list))
	}
}
