package timeline_test

import (
	"testing"
	"time"

	"github.com/roomcast/roomcast/workers/ingest/timeline"
)

func back(ms uint32) uint32 { return ^ms + 1 }

func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		steps []uint32 // from one timestamp to the next
		want  timeline.Verdict
	}{
		"40 ms":                        {[]uint32{40}, timeline.Keep},
		"10 s":                         {[]uint32{10_000}, timeline.Keep},
		"more than 10 s":               {[]uint32{10_001}, timeline.Jump},
		"3 s back":                     {[]uint32{back(3000)}, timeline.Keep},
		"more than 3 s back":           {[]uint32{back(3001)}, timeline.Jump},
		"back in small steps":          {[]uint32{back(2000), back(2000)}, timeline.Jump},
		"there and back":               {[]uint32{9000, back(2500)}, timeline.Keep},
		"half of the circle":           {[]uint32{1 << 31}, timeline.Jump},
		"almost all of it is 1 s back": {[]uint32{0xffffffff - 999}, timeline.Keep},
	} {
		for _, first := range []uint32{0, 5, 1 << 31, 0xffffffff, 0xffffffff - 5000} {
			var tl timeline.Timeline
			ts, verdict := first, timeline.Verdict(0)
			tl.Video(ts, 0)
			for _, s := range c.steps {
				ts += s
				_, _, verdict = tl.Video(ts, 0)
			}
			if verdict != c.want {
				t.Errorf("%s from %d: %v, want %v", name, first, verdict, c.want)
			}
		}
	}
}

func TestBothTracksShareOneUnwrapper(t *testing.T) {
	var tl timeline.Timeline
	tl.SetAudioRate(48_000)
	first, _, _ := tl.Video(0xffffffff-10, 0)
	audio, _ := tl.Audio(9) // 20 ms later, behind the wrap
	video, _, _ := tl.Video(0xffffffff-5, 0)
	if got := video - first; got != 5*90 {
		t.Errorf("video went on by %d ticks", got)
	}
	if got := audio.Rescale(48_000, 1000) - first/90; got != 20 {
		t.Errorf("audio lies %d ms behind the first picture", got)
	}
}

func TestDecodeTimesRiseOverAJump(t *testing.T) {
	var tl timeline.Timeline
	before, _, _ := tl.Video(5_000_000, 0)
	after, _, verdict := tl.Video(0, 0)
	if verdict != timeline.Jump || after <= before {
		t.Errorf("%v: %d after %d", verdict, after, before)
	}
}

func TestAudioBeyondToleranceIsLeftAHoleOfWholeFramesOrDropped(t *testing.T) {
	var tl timeline.Timeline
	tl.SetAudioRate(48_000)
	first, _ := tl.Audio(1000)
	if dts, v := tl.Audio(1021 + 100); v != timeline.Keep || dts != first+1024 {
		t.Errorf("100 ms off: %v %d", v, dts-first)
	}
	if dts, v := tl.Audio(1042 + 510); v != timeline.Keep || (dts-first)%1024 != 0 || dts-first != (2+24)*1024 {
		t.Errorf("510 ms off: %v %d", v, dts-first)
	}
	if _, v := tl.Audio(1100); v != timeline.Drop {
		t.Errorf("450 ms back: %v", v)
	}
}

func TestMinimumDelayOverAMinuteIsTheDrift(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var c timeline.Clock
	changes := 0
	for ms := int64(0); ms < 600_000; ms += 100 {
		late := time.Duration(0)
		if ms > 100_000 && ms < 150_000 {
			late = 20 * time.Second // a stall within a minute
		}
		if ms > 300_000 {
			late = 600 * time.Millisecond
		}
		if c.Observe(ms, start.Add(time.Duration(ms)*time.Millisecond+late)) {
			changes++
		}
	}
	wall, at := c.Anchor()
	if changes != 2 || at != 0 || wall.Sub(start) != 600*time.Millisecond {
		t.Errorf("%d anchors, the last %v at %d", changes, wall.Sub(start), at)
	}
	if d := c.Drift(); d != 600*time.Millisecond {
		t.Errorf("the drift is %v, that which was taken out is part of it", d)
	}
}
