package packager_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
	"github.com/roomcast/roomcast/workers/ingest/segment"
)

// misbehave makes up a publisher that does everything at the wrong moment.
func misbehave(r *rand.Rand) *script {
	s := &script{}
	s.videoHeader(0, 320, 240)
	s.audioHeader(0, 3, 2)
	if r.IntN(3) == 0 {
		s.steps = s.steps[:1] // late audio
	}
	ts, arrival := r.Uint32(), time.Duration(0)
	video, audio := true, true
	gop := 1 + r.IntN(300)
	for i := range 2000 {
		ts += 40
		arrival += 40 * time.Millisecond
		switch r.IntN(120) {
		case 0:
			video = !video
		case 1:
			audio = !audio
		case 2:
			ts += uint32(r.IntN(12_000))
		case 3:
			ts -= uint32(r.IntN(4_000))
		case 4:
			s.send(arrival, rtmpin.TypeVideo, 0, avcHeader(uint32(16*(1+r.IntN(3))), 240))
		case 5:
			s.send(arrival, rtmpin.TypeAudio, 0, []byte{0xaf, 0, 0x11 + byte(r.IntN(2)), 0x90 - byte(r.IntN(2))<<7})
		case 6:
			gop = 1 + r.IntN(300)
		case 7:
			arrival += time.Duration(r.IntN(10_000)) * time.Millisecond
		case 8:
			s.send(arrival, rtmpin.TypeVideo, ts, s.frame(true, 0, sps(640, 480), pps()))
		}
		if video {
			s.send(arrival, rtmpin.TypeVideo, ts, s.frame(i%gop == 0, int32(r.IntN(5)*40-40*(r.IntN(20)/19))))
		}
		for range 2 * min(1, r.IntN(30)) {
			if audio {
				s.audio(ts - uint32(r.IntN(100)))
				s.steps[len(s.steps)-1].at = arrival
			}
		}
	}
	return s
}

// Whatever a publisher does, what comes out keeps the rules (checkRules).
func TestRulesHoldForAnyPublisher(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 7))
		o := segment.Options{}
		if r.IntN(2) == 0 {
			o.TargetDuration = time.Duration(2+r.IntN(9)) * time.Second
		}
		if !t.Run("", func(t *testing.T) { misbehave(r).play(t, o) }) {
			t.Fatalf("seed %d", seed)
		}
	}
}
