package cmaf_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/roomcast/roomcast/internal/cmaf"
	"github.com/roomcast/roomcast/internal/media"
)

// segment is one of access units that last, and are shifted, by so many ticks;
// every fifth is one to start at.
func segment(dts media.Ticks, n int, duration, offset uint32) (head, body []byte) {
	var samples []cmaf.Sample
	for i := range n {
		s := cmaf.Sample{DurationTicks: duration, OffsetTicks: offset, SizeBytes: uint32(10 + i), Sync: i%5 == 0}
		if offset > 0 && i%2 == 1 {
			s.OffsetTicks = 2 * offset
		}
		samples = append(samples, s)
		body = append(body, bytes.Repeat([]byte{byte(i + 1)}, 10+i)...)
	}
	return cmaf.Header(1, dts, samples), body
}

// movie lays a video and an audio track of two stretches into one file: the
// second begins 3 s of the segments' time later and follows at once.
func movie(t *testing.T) []byte {
	t.Helper()
	m := cmaf.NewMovie(10 * time.Second)
	for _, name := range []string{"avc", "aac"} {
		init, err := cmaf.Init(configs(t)[name])
		if err != nil {
			t.Fatal(err)
		}
		if err := m.AddTrack(init); err != nil {
			t.Fatal(err)
		}
	}
	var bodies []byte
	add := func(track int, shift int64, head, body []byte) {
		t.Helper()
		if _, _, err := m.Add(track, head[:len(head)-8], shift, 1<<20); !errors.Is(err, cmaf.ErrShort) {
			t.Fatalf("without its mdat: %v", err)
		}
		from, size, err := m.Add(track, head, shift, int64(len(head)+len(body)))
		if err != nil || from != int64(len(head)) || size != int64(len(body)) {
			t.Fatalf("%d bytes from %d on, %v; want %d from %d on", size, from, err, len(body), len(head))
		}
		bodies = append(bodies, body...)
	}
	video := func(dts media.Ticks, shift int64) {
		head, body := segment(dts, 10, 3600, 7200)
		add(0, shift, head, body)
	}
	audio := func(dts media.Ticks, shift int64) {
		head, body := segment(dts, 17, 1024, 0)
		add(1, shift, head, body)
	}
	// Video is shown from 80 ms of the run on, audio is heard from there.
	const lead = 10
	video(0, lead*90_000-7200)
	audio(3528, lead*44_100-3528)
	// 400 ms of video have come, shown until 480 ms as every second picture is late.
	video(90_000*3, lead*90_000-7200+36_000-90_000*3)
	audio(44_100*3+3528, lead*44_100-3528+17_640-44_100*3)
	head, err := m.Header()
	if err != nil {
		t.Fatal(err)
	}
	if d := m.Duration(); d != 880*time.Millisecond {
		t.Errorf("it lasts %v", d)
	}
	return append(head, bodies...)
}

func TestAMovieHasEverySampleAtItsTimeAndPlace(t *testing.T) {
	file := movie(t)
	f, err := mp4.DecodeFile(bytes.NewReader(file))
	if err != nil || f.Moov == nil || f.IsFragmented() || len(f.Moov.Traks) != 2 {
		t.Fatalf("%+v, %v", f, err)
	}
	for i, want := range []struct{ samples, perSegment, begin int }{{20, 10, 7200}, {34, 17, 0}} {
		trak := f.Moov.Traks[i]
		stbl := trak.Mdia.Minf.Stbl
		if n := int(stbl.Stsz.SampleNumber); n != want.samples {
			t.Fatalf("track %d has %d samples", i, n)
		}
		// Every sample's bytes are its own.
		for n := range want.samples {
			ranges, err := trak.GetRangesForSampleInterval(uint32(n+1), uint32(n+1))
			if err != nil || len(ranges) != 1 {
				t.Fatalf("sample %d of track %d: %v %v", n, i, ranges, err)
			}
			k := n % want.perSegment
			b := file[ranges[0].Offset : ranges[0].Offset+ranges[0].Size]
			if !bytes.Equal(b, bytes.Repeat([]byte{byte(k + 1)}, 10+k)) {
				t.Errorf("sample %d of track %d is %x", n, i, b)
			}
		}
		edits := trak.Edts.Elst[0].Entries
		if len(edits) != 1 || edits[0].MediaTime != int64(want.begin) {
			t.Errorf("track %d is shown as %+v", i, edits)
		}
	}
	video := f.Moov.Traks[0].Mdia.Minf.Stbl
	for n, dts := range []uint64{0, 3600, 7200, 10_800, 14_400, 18_000, 21_600, 25_200, 28_800, 32_400, 36_000} {
		if at, _ := video.Stts.GetDecodeTime(uint32(n + 1)); at != dts {
			t.Errorf("picture %d is decoded at %d, want %d", n, at, dts)
		}
	}
	if offset := video.Ctts.GetCompositionTimeOffset(12); offset != 14_400 {
		t.Errorf("the twelfth picture is shown %d later", offset)
	}
	if keys := video.Stss.SampleNumber; len(keys) != 4 || keys[2] != 11 {
		t.Errorf("keys %v", keys)
	}
	if d := f.Moov.Traks[1].Mdia.Mdhd.Duration; d != 17_640+17*1024 {
		t.Errorf("audio lasts %d", d)
	}
	if f.Moov.Traks[1].Mdia.Minf.Stbl.Stss != nil {
		t.Error("audio has a list of keys")
	}
}

// A picture that comes 76 ms after the sound is shown then, not at once.
func TestATrackThatBeginsLaterWaits(t *testing.T) {
	init, err := cmaf.Init(configs(t)["avc"])
	if err != nil {
		t.Fatal(err)
	}
	m := cmaf.NewMovie(time.Second)
	head, body := segment(89_640, 10, 3600, 7200)
	if err := m.AddTrack(init); err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Add(0, head, 0, int64(len(head)+len(body))); err != nil {
		t.Fatal(err)
	}
	b, err := m.Header()
	if err != nil {
		t.Fatal(err)
	}
	f, err := mp4.DecodeFile(bytes.NewReader(append(b, body...)))
	if err != nil {
		t.Fatal(err)
	}
	want := []mp4.ElstEntry{{SegmentDuration: 76, MediaTime: -1, MediaRateInteger: 1}, {SegmentDuration: 480, MediaTime: 7200, MediaRateInteger: 1}}
	if got := f.Moov.Trak.Edts.Elst[0].Entries; !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestAMovieTakesNoStrangeBytes(t *testing.T) {
	init, err := cmaf.Init(configs(t)["avc"])
	if err != nil {
		t.Fatal(err)
	}
	m := cmaf.NewMovie(0)
	if err := m.AddTrack(init); err != nil {
		t.Fatal(err)
	}
	head, body := segment(90_000, 3, 3600, 0)
	whole := append(bytes.Clone(head), body...)
	for name, bad := range map[string]func(b []byte) []byte{
		"a length of nothing":  func(b []byte) []byte { b[3] = 0; return b },
		"another mdat's":       func(b []byte) []byte { b[len(head)-5]++; return b },
		"other sizes":          func(b []byte) []byte { b[len(head)-17]++; return b },
		"a moof of the future": func(b []byte) []byte { return append(bytes.Clone(b[:len(head)-8]), b...) },
		"media alone":          func(b []byte) []byte { return b[len(head)-8:] },
	} {
		if _, _, err := m.Add(0, bad(bytes.Clone(whole)), 0, int64(len(whole))); err == nil || errors.Is(err, cmaf.ErrShort) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := m.Add(0, whole, -90_001, 1<<20); err == nil {
		t.Error("a time before zero")
	}
	if _, _, err := m.Add(0, whole, 0, int64(len(whole)-1)); err == nil {
		t.Error("a segment that ends within its media")
	}
	if err := m.AddTrack(whole); err == nil {
		t.Error("a segment is an init segment")
	}
}

func FuzzMovie(f *testing.F) {
	head, body := segment(90_000, 3, 3600, 7200)
	f.Add(append(head, body...), int64(5))
	init, err := cmaf.Init(media.Config{Kind: media.Audio, Codec: media.AAC, Timescale: 44_100, SampleRateHz: 44_100, Channels: 1, Record: []byte{0x12, 8}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(init, int64(0))
	f.Fuzz(func(t *testing.T, b []byte, shift int64) {
		m := cmaf.NewMovie(0)
		if m.AddTrack(b) != nil {
			if err := m.AddTrack(init); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := m.Add(0, b, shift, int64(len(b))); err == nil {
			if _, err := m.Header(); err != nil {
				t.Error(err)
			}
		}
	})
}
