package packager_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/workers/ingest/packager"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
	"github.com/roomcast/roomcast/workers/ingest/segment"
)

// keys sends 25 fps with key frames at the given times and nowhere else.
func (s *script) keys(to uint32, at ...uint32) {
	for ts := uint32(0); ts < to; ts += 40 {
		s.video(ts, slices.Contains(at, ts))
	}
}

func (c *collector) durations() []time.Duration {
	var list []time.Duration
	for _, s := range c.segments {
		list = append(list, s.Tracks[0].Duration.Duration(90000))
	}
	return list
}

func seconds(list ...float64) []time.Duration {
	var out []time.Duration
	for _, v := range list {
		out = append(out, time.Duration(v*1000)*time.Millisecond)
	}
	return out
}

func TestCuts(t *testing.T) {
	cases := map[string]struct {
		keys      []uint32
		to        uint32
		o         segment.Options
		want      []time.Duration
		target    time.Duration
		dependent []bool
		warn      string
	}{
		"2 s GOP":                           {keys: []uint32{0, 2000, 4000}, to: 6000, want: seconds(2, 2, 2), target: 2 * time.Second},
		"1 s GOP does not double the PUTs":  {keys: []uint32{0, 1000, 2000, 3000, 4000, 5000}, to: 6000, want: seconds(2, 2, 2), target: 2 * time.Second},
		"key frame a little early":          {keys: []uint32{0, 1920, 3840}, to: 5760, want: seconds(1.92, 1.92, 1.92), target: 2 * time.Second},
		"1.6 s GOP cannot wait for another": {keys: []uint32{0, 1600, 3200}, to: 4800, want: seconds(1.6, 1.6, 1.6), target: 2 * time.Second},
		"scene cut":                         {keys: []uint32{0, 2000, 2600, 4000, 4400, 6400}, to: 8000, want: seconds(2, 0.6, 1.4, 2.4, 1.6), target: 2 * time.Second},
		"profile of 6 s":                    {keys: []uint32{0, 2000, 4000, 6000, 8000, 10000}, to: 12000, o: segment.Options{SegmentDuration: 6 * time.Second}, want: seconds(6, 6), target: 6 * time.Second},
		"resumed playlist keeps its target": {keys: []uint32{0, 4000, 8000}, to: 8000, o: segment.Options{TargetDuration: 2 * time.Second}, want: seconds(2.48, 1.52, 2.48, 1.52), target: 2 * time.Second, dependent: []bool{false, true, false, true}, warn: "key frame interval 4.0 s"},
		"no second key frame":               {keys: []uint32{0}, to: 24000, want: seconds(10.48, 10.48, 3.04), target: 10 * time.Second, dependent: []bool{false, true, true}, warn: "key frame interval over 10 s"},
		"pictures before the first key":     {keys: []uint32{400, 2400}, to: 4400, want: seconds(2, 2), target: 2 * time.Second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := &script{}
			s.videoHeader(0, 320, 240)
			s.keys(c.to, c.keys...)
			got := s.play(t, c.o)
			if d := got.durations(); !slices.Equal(d, c.want) {
				t.Errorf("segments of %v, want %v", d, c.want)
			}
			if got.inits[0].TargetDuration != c.target {
				t.Errorf("target %v, want %v", got.inits[0].TargetDuration, c.target)
			}
			for i, seg := range got.segments {
				if dependent := i < len(c.dependent) && c.dependent[i]; seg.Independent == dependent {
					t.Errorf("segment %d: independent %v", i, seg.Independent)
				}
			}
			text := ""
			for _, w := range got.warnings {
				text += w.Text
			}
			if c.warn == "" && text != "" || !strings.Contains(text, c.warn) {
				t.Errorf("warnings %q, want %q", text, c.warn)
			}
		})
	}
}

func TestProgramDateTimeIsArrivalPlusMediaTime(t *testing.T) {
	s := headers()
	s.both(0, 10000, 2000)
	for i := range s.steps { // a burst at first, then a stall of the uplink
		s.steps[i].at = max(s.steps[i].at, 700*time.Millisecond)
		if s.steps[i].m.TimestampMS > 5000 {
			s.steps[i].at += 3 * time.Second
		}
	}
	c := s.play(t, segment.Options{})
	if len(c.inits) != 1 {
		t.Fatalf("segments per run %v", c.runs())
	}
	for i, seg := range c.segments {
		want := epochStart.Add(700*time.Millisecond + time.Duration(i)*2*time.Second)
		if d := seg.Start.Sub(want).Abs(); d > 25*time.Millisecond {
			t.Errorf("segment %d starts at %v, want %v", i, seg.Start, want)
		}
	}
}

func TestDriftingClockIsReanchoredWithANewRun(t *testing.T) {
	for name, ppm := range map[string]int64{"slow by 200 ppm": 200, "fast by 200 ppm": -200, "right": 0} {
		t.Run(name, func(t *testing.T) {
			s := &script{}
			s.videoHeader(0, 320, 240)
			const hours = 2
			for ts := uint32(0); ts < hours*3_600_000; ts += 500 {
				s.video(ts, ts%2000 == 0)
				st := &s.steps[len(s.steps)-1]
				st.at += st.at * time.Duration(ppm) / 1_000_000
				if ts/60_000%7 == 3 && ts%60_000 < 20_000 {
					st.at += 5 * time.Second // a stall is no drift
				}
			}
			c := s.play(t, segment.Options{})
			drift := time.Duration(hours) * time.Hour * time.Duration(ppm) / 1_000_000
			want := 1 + int(drift.Abs()/(510*time.Millisecond))
			if len(c.inits) != want {
				t.Errorf("%d runs for a drift of %v, want %d", len(c.inits), drift, want)
			}
			last := c.segments[len(c.segments)-1]
			media := time.Duration(hours)*time.Hour - 2*time.Second
			if off := last.Start.Sub(epochStart.Add(media + drift)).Abs(); off > 700*time.Millisecond {
				t.Errorf("the last segment is dated %v off", off)
			}
		})
	}
}

func TestHealth(t *testing.T) {
	s := headers()
	s.both(0, 9000, 1000)
	p := newPackager(nil)
	for _, m := range s.messages() {
		if err := p.Message(m); err != nil {
			t.Fatal(err)
		}
	}
	h := p.Health()
	if h.FrameRate != 25 || h.KeyFrameInterval != time.Second || h.WidthPixels != 320 || h.SampleRateHz != 48000 ||
		h.VideoCodecs != "avc1.42c01e" || h.AudioCodecs != "mp4a.40.2" || h.BitrateBPS <= 0 || len(h.Warnings) != 0 || h.Dropped != 0 || h.Drift != 0 {
		t.Errorf("%+v", h)
	}
}

func TestHealthCountsWhatViewersDoNotGet(t *testing.T) {
	s := headers()
	s.video(0, false) // no key frame came before it
	s.video(40, false)
	s.both(80, 4080, 1000)
	s.send(ms(4080), rtmpin.TypeVideo, 4080, []byte{0x27, 1, 0, 0, 0, 0, 0, 0, 9, 0x41}) // shorter than it says
	s.audio(3000)                                                                        // where other audio is
	s.both(4120, 6120, 1000)
	p := newPackager(nil)
	for _, m := range s.messages() {
		if err := p.Message(m); err != nil {
			t.Fatal(err)
		}
	}
	if h := p.Health(); h.Dropped != 4 {
		t.Errorf("%d dropped, want 4", h.Dropped)
	}
}

func TestHealthTellsHowFarThePublishersClockIsOff(t *testing.T) {
	for name, ppm := range map[string]int64{"slow by 100 ppm": 100, "fast by 100 ppm": -100, "right": 0} {
		t.Run(name, func(t *testing.T) {
			s := &script{}
			s.videoHeader(0, 320, 240)
			for ts := uint32(0); ts < 10*60_000+1; ts += 500 {
				s.video(ts, ts%2000 == 0)
			}
			now := epochStart
			p := packager.New(packager.Options{Segment: segment.Options{Epoch: 1, Sink: &discard{}}, Now: func() time.Time { return now }})
			for _, st := range s.steps {
				now = epochStart.Add(st.at + st.at*time.Duration(ppm)/1_000_000)
				if err := p.Message(st.m); err != nil {
					t.Fatal(err)
				}
			}
			// Of the last whole minute, by its least delay.
			want := 9 * time.Minute * time.Duration(ppm) / 1_000_000
			if d := p.Health().Drift; (d - want).Abs() > 7*time.Millisecond {
				t.Errorf("a drift of %v, want about %v", d, want)
			}
		})
	}
}
