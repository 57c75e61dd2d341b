package packager_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/media"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
	"github.com/roomcast/roomcast/workers/ingest/segment"
)

func TestAudioHolesAreFilledWithSilence(t *testing.T) {
	s := headers()
	for ts, frame := uint32(0), uint32(0); ts < 10000; ts += 40 {
		s.video(ts, ts%2000 == 0)
		for ; frame*1024/48 < ts+40; frame++ {
			if at := frame * 1024 / 48; at < 3000 || at >= 6500 {
				s.audio(at)
			}
		}
	}
	c := s.play(t, segment.Options{})
	if len(c.inits) != 1 || len(c.segments) != 5 {
		t.Fatalf("segments per run %v", c.runs())
	}
	audio := c.samples(t, 0, "a")
	silent := 0
	for _, u := range audio {
		if isSilent(u.data) {
			silent++
			if at := u.dts*1000/48000 - 20000; at < 2990 || at > 6510 {
				t.Errorf("silence at %d ms", at)
			}
		}
	}
	if want := 3500 * 48 / 1024; silent < want-1 || silent > want+1 {
		t.Errorf("%d silent frames for 3.5 s, want %d", silent, want)
	}
	if !c.warned(segment.WarnNoAudio) {
		t.Error("no warning")
	}
	_, sent := source(s.messages())
	var real []out
	for _, u := range audio {
		if !isSilent(u.data) {
			real = append(real, u)
		}
	}
	if least, most := sameUnits(t, real, sent, 48000); most-least > 25 {
		t.Errorf("audio moved by %v to %v ms", least, most)
	}
	for i, seg := range c.segments {
		if len(seg.Tracks) != 2 || seg.Tracks[1].Gap {
			t.Errorf("segment %d has no audio", i)
		}
	}
}

func TestAnnouncedAudioThatNeverComesIsSilence(t *testing.T) {
	s := headers()
	s.mix(0, 6000, 2000, true, false)
	c := s.play(t, segment.Options{})
	if len(c.segments) != 3 {
		t.Fatalf("segments per run %v", c.runs())
	}
	hashes(t, c.file(t, 0, "a"), "0") // decodes strictly
	for i, seg := range c.segments {
		if d := seg.Tracks[1].Duration.Duration(48000); (d - 2*time.Second).Abs() > 25*time.Millisecond {
			t.Errorf("segment %d has %v of audio", i, d)
		}
	}
}

func TestLateAudioIsDroppedWhereSilenceWasAndThenWaitedFor(t *testing.T) {
	s := headers()
	for ts := uint32(0); ts < 20000; ts += 40 { // audio arrives 1.2 s behind
		s.video(ts, ts%2000 == 0)
		for at := ts - 1200; ts >= 1200 && at < ts-1160; at += 20 {
			s.audio(at / 20 * 64 / 3)
		}
	}
	c := s.play(t, segment.Options{})
	sent := map[string]int64{}
	_, audio := source(s.messages())
	for _, u := range audio {
		sent[string(u.data)] = u.pts
	}
	silentAfter := 0
	for _, u := range c.samples(t, 0, "a") {
		if pts, ok := sent[string(u.data)]; ok && (u.pts*1000/48000-20000-pts > 30 || u.pts*1000/48000-20000-pts < -30) {
			t.Fatalf("frame of %d ms placed at %d ms", pts, u.pts*1000/48000-20000)
		}
		if at := u.dts*1000/48000 - 20000; at > 4000 && at < 18000 && isSilent(u.data) {
			silentAfter++
		}
	}
	if silentAfter > 0 {
		t.Errorf("%d frames of silence although the lag is known", silentAfter)
	}
}

func TestAudioIsCountedAndCorrectedOnlyBeyond100Milliseconds(t *testing.T) {
	jitter := func(f func(i uint32) int) (*collector, *script) {
		s := headers()
		frame := uint32(0)
		for ts := uint32(0); ts < 20000; ts += 40 {
			s.video(ts, ts%2000 == 0)
			for ; frame*1024/48 < ts+40; frame++ {
				s.audio(uint32(int(frame*1024/48) + f(frame)))
			}
		}
		return s.play(t, segment.Options{}), s
	}
	c, s := jitter(func(i uint32) int { return int(i*7919%91) * min(int(i), 1) })
	got := c.samples(t, 0, "a")
	for i := range got {
		if want := got[0].dts + int64(i)*1024; got[i].dts != want || got[i].dur != 1024 {
			t.Fatalf("frame %d at %d for %d, want %d for 1024", i, got[i].dts, got[i].dur, want)
		}
	}
	if _, sent := source(s.messages()); len(got) != len(sent) {
		t.Errorf("%d frames of %d", len(got), len(sent))
	}
	// A clock 2 % slow or fast ends up within 100 ms and one frame all the same.
	for name, sign := range map[string]int{"slow": -1, "fast": 1} {
		c, s := jitter(func(i uint32) int { return sign * int(i) * 1024 / 48 / 50 })
		_, sent := source(s.messages())
		got := c.samples(t, 0, "a")
		last := sent[len(sent)-1].pts
		if end := got[len(got)-1].dts*1000/48000 - 20000; end < last-130 || end > last+130 {
			t.Errorf("%s: last frame at %d ms, RTMP says %d", name, end, last)
		}
	}
}

func TestVideoStopsAndAudioGoesOn(t *testing.T) {
	s := headers()
	s.both(0, 4400, 2000)
	s.mix(4400, 15000, 2000, false, true)
	s.both(15000, 19000, 2000)
	var key []byte
	for _, m := range s.messages() {
		if m.Type == rtmpin.TypeVideo && m.Payload[0] == 0x17 && m.Payload[1] == 1 && m.TimestampMS == 4000 {
			key = m.Payload[5:]
		}
	}
	c := s.play(t, segment.Options{})
	var stills, whole int
	var end time.Time
	for i, seg := range c.segments {
		if !end.IsZero() && seg.Start.Sub(end) > 200*time.Millisecond {
			t.Errorf("segment %d starts at %v, the one before ended at %v", i, seg.Start, end)
		}
		video, audio := seg.Tracks[0], seg.Tracks[1]
		end = seg.Start.Add(audio.Duration.Duration(48000))
		if late := c.emitted[i].Sub(end); late > 4500*time.Millisecond {
			t.Errorf("segment %d came out %v after its end: viewers starve", i, late)
		}
		if seg.Run.Index == 1 {
			stills++
			if got, err := parseSegment(video, uint32(stills)); err != nil || len(got) != 1 || !got[0].sync || !bytes.Equal(got[0].data, key) {
				t.Errorf("segment %d is not the last key frame alone: %d pictures, %v", i, len(got), err)
			}
		} else {
			whole++
		}
	}
	if stills < 5 || stills > 6 || whole != 5 {
		t.Errorf("%d stills, %d whole segments", stills, whole)
	}
	if got := c.runs(); len(got) != 3 {
		t.Errorf("segments per run %v", got)
	}
	if !c.warned(segment.WarnNoVideo) {
		t.Error("no warning")
	}
	_, sent := source(s.messages())
	var got []out
	for run := range c.inits {
		got = append(got, c.samples(t, run, "a")...)
	}
	sameUnits(t, got, sent, 48000)
}

// A hole in the pictures that no segment may span is a gap, however short.
func TestHoleInVideoLongerThanASegmentMayBe(t *testing.T) {
	for name, audio := range map[string]bool{"with audio": true, "video only": false} {
		t.Run(name, func(t *testing.T) {
			s := headers()
			if !audio {
				s = &script{}
				s.videoHeader(0, 320, 240)
			}
			s.mix(0, 4400, 2000, true, audio)
			s.mix(4400, 8000, 2000, false, audio)
			s.mix(8000, 12000, 2000, true, audio)
			c := s.play(t, segment.Options{})
			video, _ := source(s.messages())
			var got []out
			for run := range c.inits {
				if units := c.samples(t, run, "v"); !audio || run != 1 { // that one is a still
					got = append(got, units...)
				}
			}
			sameUnits(t, got, video, 90000)
			last := c.segments[len(c.segments)-1]
			if start := last.Start.Sub(epochStart); (start - 10*time.Second).Abs() > 25*time.Millisecond {
				t.Errorf("the last segment starts at %v", start)
			}
		})
	}
}

// A picture of another configuration is no still of this one: then the video
// is a gap.
func TestVideoStopsBehindANewHeader(t *testing.T) {
	s := headers()
	s.both(0, 4400, 2000)
	s.videoHeader(4400, 640, 480)
	s.mix(4400, 15000, 2000, false, true)
	s.both(15000, 19000, 2000)
	c := s.play(t, segment.Options{})
	for i, seg := range c.segments {
		if seg.Run.Index == 1 && !seg.Tracks[0].Gap {
			t.Errorf("segment %d shows a picture that its init does not decode", i)
		}
	}
	if got := c.runs(); len(got) != 3 {
		t.Errorf("segments per run %v", got)
	}
}

// A presentation that had sound keeps its audio track.
func TestAPresentationWithSoundKeepsItsSilentTrack(t *testing.T) {
	silence, ok := media.SilentConfig(44_100, 1)
	if !ok {
		t.Fatal("no silence")
	}
	s := &script{}
	s.videoHeader(0, 320, 240)
	s.mix(0, 6000, 2000, true, false)
	s.audioHeader(6000, 3, 2)
	s.both(6000, 10000, 2000)
	c := s.play(t, segment.Options{Silence: &silence})
	if len(c.inits) != 2 || len(c.inits[0].Tracks) != 2 || c.inits[1].Tracks[1].Config.Timescale != 48_000 {
		t.Fatalf("segments per run %v", c.runs())
	}
	hashes(t, c.file(t, 0, "a"), "0") // decodes strictly
	for i, seg := range c.segments[:3] {
		if d := seg.Tracks[1].Duration.Duration(44_100); (d - 2*time.Second).Abs() > 25*time.Millisecond {
			t.Errorf("segment %d has %v of silence", i, d)
		}
	}
	if !c.warned(segment.WarnNoAudio) {
		t.Error("no warning")
	}
}
