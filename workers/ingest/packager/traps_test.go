package packager_test

import (
	"slices"
	"testing"
	"time"

	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
	"github.com/roomcast/roomcast/workers/ingest/segment"
)

// Each test is a trap of docs/cmaf.md.

func TestNegativeCompositionOffsetsKeepPresentationTimes(t *testing.T) {
	s := headers()
	for ts := uint32(0); ts < 5000; ts += 40 {
		cts := []int32{0, 80, -40, -40}[ts/40%4]
		if ts%2000 == 0 {
			cts = 0
		}
		s.send(ms(ts), rtmpin.TypeVideo, ts, s.frame(ts%2000 == 0, cts))
		s.audio(ts)
	}
	c := s.play(t, segment.Options{})
	video, _ := source(s.messages())
	got := c.samples(t, 0, "v")
	if least, most := sameUnits(t, got, video, 90000); least != most || least != 20000 {
		t.Errorf("presentation times moved by %v to %v ms, want 20000", least, most)
	}
	if len(c.inits) != 1 {
		t.Errorf("runs %v", c.runs())
	}
}

func TestALargerNegativeOffsetAfterTheFirstCutBeginsANewRun(t *testing.T) {
	s := headers()
	for ts := uint32(0); ts < 8000; ts += 40 {
		cts := int32(0)
		if ts == 2520 || ts == 6520 {
			cts = -80
		}
		s.send(ms(ts), rtmpin.TypeVideo, ts, s.frame(ts%2000 == 0, cts))
		s.audio(ts)
	}
	c := s.play(t, segment.Options{})
	if got := c.runs(); !slices.Equal(got, []int{2, 2}) {
		t.Errorf("segments per run %v", got)
	}
	for _, u := range c.samples(t, 1, "v") {
		if u.pts-u.dts != 7200 && u.pts-u.dts != 0 {
			t.Fatalf("offset %d, want the run's shift of 80 ms", u.pts-u.dts)
		}
	}
}

func TestTimestampsWrapWithoutASeam(t *testing.T) {
	s := headers()
	s.both(0, 9000, 2000)
	s.shift(2, 0xffffffff-3000)
	c := s.play(t, segment.Options{})
	if got := c.runs(); !slices.Equal(got, []int{5}) {
		t.Fatalf("segments per run %v", got)
	}
	for i, seg := range c.segments {
		if want := epochStart.Add(time.Duration(i) * 2 * time.Second); seg.Start.Sub(want).Abs() > 25*time.Millisecond {
			t.Errorf("segment %d starts at %v, want %v", i, seg.Start, want)
		}
	}
}

func TestJumpsEndTheRun(t *testing.T) {
	for name, by := range map[string]uint32{"11 s forward": 11_000, "4 s back": ^uint32(4000) + 1, "an hour back": ^uint32(3_600_000) + 1} {
		t.Run(name, func(t *testing.T) {
			s := headers()
			s.both(0, 5000, 2000)
			n := len(s.steps)
			s.both(5000, 10000, 2000)
			s.shift(n, by)
			c := s.play(t, segment.Options{})
			if got := c.runs(); !slices.Equal(got, []int{3, 3}) {
				t.Fatalf("segments per run %v", got)
			}
			if !c.warned(segment.WarnTimestamps) {
				t.Error("no warning")
			}
			if start := c.segments[3].Start.Sub(epochStart); (start - 5*time.Second).Abs() > 25*time.Millisecond {
				t.Errorf("the new run starts at %v, its first frame came at 5 s", start)
			}
		})
	}
}

func TestSmallStepsBackAreTheSameTimeline(t *testing.T) {
	s := headers()
	s.both(0, 4000, 2000)
	n := len(s.steps)
	s.both(4000, 10000, 2000)
	s.shift(n, ^uint32(1500)+1)
	c := s.play(t, segment.Options{})
	if len(c.inits) != 1 {
		t.Errorf("segments per run %v", c.runs())
	}
	video, _ := source(s.messages())
	if got := c.samples(t, 0, "v"); len(got) != len(video) {
		t.Errorf("%d pictures of %d", len(got), len(video))
	}
}

func TestDTSThatDoesNotRiseBecomesOneTickMore(t *testing.T) {
	s := headers()
	for ts := uint32(0); ts < 5000; ts += 40 {
		s.video(ts, ts%2000 == 0)
		s.audio(ts)
		if ts == 1000 {
			s.video(ts, false)
			s.video(ts-20, false)
		}
	}
	c := s.play(t, segment.Options{})
	got := c.samples(t, 0, "v")
	var ones int
	for i := 1; i < len(got); i++ {
		if got[i].dts <= got[i-1].dts {
			t.Fatalf("DTS %d behind %d", got[i].dts, got[i-1].dts)
		}
		if got[i].dts == got[i-1].dts+1 {
			ones++
		}
	}
	if ones != 2 || len(c.inits) != 1 {
		t.Errorf("%d steps of one tick, runs %v", ones, c.runs())
	}
}

func TestLateAudioHeaderBeforeTheFirstCutJoinsTheRun(t *testing.T) {
	s := &script{}
	s.videoHeader(0, 320, 240)
	s.mix(0, 1200, 2000, true, false)
	s.audioHeader(1200, 3, 2)
	for ts := uint32(1200); ts < 5000; ts += 40 {
		s.video(ts, ts%2000 == 0)
		s.audio(ts)
		s.audio(ts + 21)
	}
	c := s.play(t, segment.Options{})
	if len(c.inits) != 1 || len(c.inits[0].Tracks) != 2 {
		t.Fatalf("runs %v, tracks %d", c.runs(), len(c.inits[0].Tracks))
	}
	audio := c.samples(t, 0, "a")
	if !isSilent(audio[0].data) || audio[0].dts*1000/48000 > 20_050 {
		t.Errorf("audio begins at %d ms, silent %v", audio[0].dts*1000/48000, isSilent(audio[0].data))
	}
}

func TestAudioHeaderAfterTheFirstCutBeginsANewRunAtAKeyFrame(t *testing.T) {
	s := &script{}
	s.videoHeader(0, 320, 240)
	s.mix(0, 5000, 2000, true, false)
	s.audioHeader(5000, 3, 2)
	for ts := uint32(5000); ts < 10000; ts += 40 {
		s.video(ts, ts%2000 == 0)
		s.audio(ts)
		s.audio(ts + 21)
	}
	c := s.play(t, segment.Options{})
	if got := c.runs(); !slices.Equal(got, []int{3, 2}) {
		t.Fatalf("segments per run %v", got)
	}
	if len(c.inits[0].Tracks) != 1 || len(c.inits[1].Tracks) != 2 {
		t.Fatalf("tracks %d, then %d", len(c.inits[0].Tracks), len(c.inits[1].Tracks))
	}
	video, _ := source(s.messages())
	sameUnits(t, append(c.samples(t, 0, "v"), c.samples(t, 1, "v")...), video, 90000)
	if start := c.segments[3].Start.Sub(epochStart); (start - 6*time.Second).Abs() > 110*time.Millisecond {
		t.Errorf("the new run starts at %v", start)
	}
}

func TestLateVideoHeaderEndsAnAudioOnlyRun(t *testing.T) {
	s := &script{}
	s.audioHeader(0, 3, 2)
	s.mix(0, 5000, 2000, false, true)
	s.videoHeader(5000, 320, 240)
	s.both(5000, 9000, 2000)
	c := s.play(t, segment.Options{})
	if len(c.inits) != 2 || len(c.inits[0].Tracks) != 1 || len(c.inits[1].Tracks) != 2 {
		t.Fatalf("runs %v", c.runs())
	}
	_, audio := source(s.messages())
	sameUnits(t, append(c.samples(t, 0, "a"), c.samples(t, 1, "a")...), audio, 48000)
}

func TestRepeatedHeadersAreIgnored(t *testing.T) {
	s := headers()
	for ts := uint32(0); ts < 8000; ts += 2000 {
		s.videoHeader(ts, 320, 240)
		s.audioHeader(ts, 3, 2)
		s.both(ts, ts+2000, 2000)
	}
	if got := s.play(t, segment.Options{}).runs(); !slices.Equal(got, []int{4}) {
		t.Errorf("segments per run %v", got)
	}
}

func TestChangedPictureSizeBeginsANewRun(t *testing.T) {
	for name, inBand := range map[string]bool{"header": false, "in-band": true} {
		t.Run(name, func(t *testing.T) {
			s := headers()
			s.both(0, 5000, 2000)
			if inBand {
				s.send(ms(5000), rtmpin.TypeVideo, 5000, s.frame(true, 0, sps(640, 480), pps()))
				s.mix(5040, 9000, 1<<30, false, true)
			} else {
				s.videoHeader(5000, 640, 480)
				s.both(5000, 9000, 2000)
			}
			c := s.play(t, segment.Options{})
			if len(c.inits) != 2 {
				t.Fatalf("segments per run %v", c.runs())
			}
			if w := c.inits[1].Tracks[0].Config.WidthPixels; w != 640 {
				t.Errorf("width %d", w)
			}
			if first := c.samples(t, 1, "v")[0]; !first.sync || first.dts != 25_000*90 {
				t.Errorf("the new run begins with %+v", first)
			}
			before := c.samples(t, 0, "v")
			if last := before[len(before)-1]; last.dts+last.dur != 25_000*90 {
				t.Errorf("the old run ends at %d", last.dts+last.dur)
			}
		})
	}
}

func TestInBandSetsThatDifferFromARepeatedHeaderAreOneRun(t *testing.T) {
	s := headers()
	for ts := uint32(0); ts < 8000; ts += 40 {
		if ts%2000 == 0 {
			s.videoHeader(ts, 320, 240)
			s.send(ms(ts), rtmpin.TypeVideo, ts, s.frame(true, 0, sps(640, 480), pps()))
		} else {
			s.video(ts, false)
		}
		s.audio(ts)
	}
	c := s.play(t, segment.Options{})
	if got := c.runs(); !slices.Equal(got, []int{4}) {
		t.Errorf("segments per run %v", got)
	}
	if w := c.inits[0].Tracks[0].Config.WidthPixels; w != 640 {
		t.Errorf("width %d", w)
	}
}

func TestChangedSampleRateBeginsANewRunWithItsOwnTimescale(t *testing.T) {
	s := headers()
	s.both(0, 5000, 2000)
	s.audioHeader(5000, 4, 1)
	for ts := uint32(5000); ts < 10000; ts += 40 {
		s.video(ts, ts%2000 == 0)
		s.audio(ts)
		s.audio(ts + 23)
	}
	c := s.play(t, segment.Options{})
	if len(c.inits) != 2 || c.inits[0].Tracks[1].Config.Timescale != 48000 || c.inits[1].Tracks[1].Config.Timescale != 44100 {
		t.Fatalf("segments per run %v", c.runs())
	}
	video, _ := source(s.messages())
	sameUnits(t, append(c.samples(t, 0, "v"), c.samples(t, 1, "v")...), video, 90000)
}
