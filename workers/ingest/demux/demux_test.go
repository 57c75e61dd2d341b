package demux

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/media"
)

// Records of real encoders.
const (
	x264Progressive = "0164000dffe1001a6764000dacb40a8cf1136022000003000200000300641e28554001000568ce0fc40cfdf8f800"
	x264Interlaced  = "017a001effe10019677a001ebcd940a063f1b8088000000300800000190f8a14cb01000668fba3cb22c0fef8f800"
	x265Main10      = "0102200000009000000000003cf000fcfdfafa00000f03a00001001840010c01ffff02200000030090000003000003003c959409a10001002b42010102200000030090000003000003003ca00a880c1c44cd965654a4c2f0168080000003008000000c84a2000100064401c073c189"
	aacStereo       = "1190"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// baseline is a hand-made record of a 320 × 240 picture.
func baseline() []byte {
	sps := baselineSPS()
	b := []byte{1, 66, 0xc0, 30, 0xff, 0xe1, 0, byte(len(sps))}
	b = append(b, sps...)
	return append(b, 1, 0, 4, 0x68, 0xce, 0x3c, 0x80)
}

// baselineSPS: profile 66, level 30, ue 0 0 2 1, 0, ue 19 14, 1 1 0 0, stop.
func baselineSPS() []byte { return []byte{0x67, 66, 0xc0, 30, 0xda, 0x05, 0x07, 0xe4} }

func header(record []byte) []byte { return append([]byte{0x17, 0, 0, 0, 0}, record...) }

func unitTag(cts int32, nals ...[]byte) []byte {
	b := []byte{0x27, 1, byte(cts >> 16), byte(cts >> 8), byte(cts)}
	for _, n := range nals {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(n))), n...)
	}
	return b
}

func ready(t testing.TB) *Demuxer {
	t.Helper()
	d := &Demuxer{}
	e, err := d.Video(header(baseline()))
	if err != nil || e.Config == nil {
		t.Fatalf("header: %+v, %v", e, err)
	}
	if _, err := d.Audio(append([]byte{0xaf, 0}, unhex(t, aacStereo)...)); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestConfigSaysCodecAndSize(t *testing.T) {
	d := &Demuxer{}
	e, err := d.Video(header(baseline()))
	if err != nil {
		t.Fatal(err)
	}
	c := *e.Config
	if c.Codecs != "avc1.42c01e" || c.WidthPixels != 320 || c.HeightPixels != 240 || c.Timescale != 90000 || !bytes.Equal(c.Record, baseline()) {
		t.Errorf("%+v", c)
	}
	e, err = d.Audio(append([]byte{0xaf, 0}, unhex(t, aacStereo)...))
	if err != nil {
		t.Fatal(err)
	}
	if c := *e.Config; c.Codecs != "mp4a.40.2" || c.SampleRateHz != 48000 || c.Channels != 2 || c.Timescale != 48000 {
		t.Errorf("%+v", c)
	}
}

func TestRecordsOfRealEncoders(t *testing.T) {
	for record, want := range map[string]string{
		"\x17\x00\x00\x00\x00" + x264Progressive: "avc1.64000d 322x182",
		"\x90avc1" + x264Interlaced:              "avc1.7a001e 640x360",
		"\x90hvc1" + x265Main10:                  "hvc1.2.4.L60.90 322x182",
		"\x1c\x00\x00\x00\x00" + x265Main10:      "hvc1.2.4.L60.90 322x182",
	} {
		e, err := (&Demuxer{}).Video(append([]byte(record[:5]), unhex(t, record[5:])...))
		if err != nil || e.Config == nil {
			t.Errorf("%s: %+v, %v", want, e, err)
			continue
		}
		if got := e.Config.Codecs + " " + itoa(e.Config.WidthPixels) + "x" + itoa(e.Config.HeightPixels); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// A record made from in-band sets is, but for what no SPS says, the encoder's.
func TestRecordMadeFromSetsIsTheEncodersOwn(t *testing.T) {
	for _, hex := range []string{x264Progressive, x264Interlaced} {
		sets, _, err := parseAVCRecord(unhex(t, hex))
		if err != nil {
			t.Fatal(err)
		}
		c, err := sets.config(nil)
		want := unhex(t, hex)
		if err != nil || !bytes.Equal(c.Record, want) {
			t.Errorf("%x, want %x, %v", c.Record, want, err)
		}
	}
	sets, _, err := parseHEVCRecord(unhex(t, x265Main10))
	if err != nil {
		t.Fatal(err)
	}
	c, err := sets.config(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := unhex(t, x265Main10)
	if !bytes.Equal(c.Record[:13], want[:13]) || !bytes.Equal(c.Record[16:19], want[16:19]) {
		t.Errorf("%x, want %x", c.Record, want)
	}
	again, size, err := parseHEVCRecord(c.Record)
	if err != nil || size != 4 || !again.same(&sets) {
		t.Errorf("read back: %v, %d, same %v", err, size, again.same(&sets))
	}
}

func TestAudioConfigurations(t *testing.T) {
	for config, want := range map[string]string{
		"1210":       "44100 Hz, 2, mp4a.40.2",
		"1208":       "44100 Hz, 1, mp4a.40.2",
		"1588":       "8000 Hz, 1, mp4a.40.2",
		"2b118800":   "24000 Hz, 2, mp4a.40.5", // SBR
		"0a10":       ErrUnsupported.Error(),   // AAC Main
		"1194":       ErrUnsupported.Error(),   // 960 samples
		"1180":       ErrUnsupported.Error(),   // channels elsewhere
		"1690":       ErrMalformed.Error(),     // rate index 13
		"12":         ErrMalformed.Error(),
		"17":         ErrMalformed.Error(),
		"1780000190": ErrMalformed.Error(), // 3 Hz
	} {
		c, err := parseAudioSpecificConfig(unhex(t, config))
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = strings.Join([]string{itoa(c.SampleRateHz) + " Hz", itoa(c.Channels), c.Codecs}, ", ")
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", config, got, want)
		}
	}
}

func itoa(n int) string {
	s := ""
	for ; n > 0; n /= 10 {
		s = string(rune('0'+n%10)) + s
	}
	return s
}

func TestCodecsThatAreNotCarriedAreRefusedByName(t *testing.T) {
	video := map[string]string{
		"1200":             "Sorenson H.263",
		"14000000":         "VP6",
		"9061763031":       "av01",
		"a176703039000000": "vp09",
		"96":               "",
		"9600":             "multitrack",
		"90ff000102":       "ff000102",
	}
	for tag, want := range video {
		_, err := (&Demuxer{}).Video(unhex(t, tag))
		check(t, tag, err, want)
	}
	audio := map[string]string{
		"2f00": "MP3", "b200": "Speex", "0000": "PCM", "904f707573": "Opus", "95": "", "9500": "multitrack", "7200": "G.711",
		"90664c6143": "fLaC", "afff": "", "af": "", "": "",
	}
	for tag, want := range audio {
		_, err := (&Demuxer{}).Audio(unhex(t, tag))
		check(t, tag, err, want)
	}
}

func check(t *testing.T, tag string, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("%s: %v", tag, err)
	case want != "" && (!errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want)):
		t.Errorf("%s: %v, want %q", tag, err, want)
	}
}

func TestEmptyAndShortPayloadsAreIgnored(t *testing.T) {
	d := ready(t)
	ignored := func(read func([]byte) (Event, error), tags ...string) {
		for _, tag := range tags {
			if e, err := read(unhex(t, tag)); err != nil || e.Data != nil || e.Config != nil || e.Broken {
				t.Errorf("%s: %+v, %v", tag, e, err)
			}
		}
	}
	ignored(d.Video, "", "17", "1700", "170000", "17000000", "1700000000", "1701000000", "2702000000", "57000000000000", "90", "9068", "9068766331", "9768766331", "91687663310000", "d1")
	ignored(d.Audio, "", "af", "af00", "af01", "af02", "90", "906d703461", "976d703461", "92")
}

func TestUnitsBeforeTheirHeaderAreIgnored(t *testing.T) {
	d := &Demuxer{}
	if e, err := d.Video(unitTag(0, []byte{0x65, 1, 2})); err != nil || e.Data != nil {
		t.Errorf("%+v, %v", e, err)
	}
	if e, err := d.Audio([]byte{0xaf, 1, 0x21}); err != nil || e.Data != nil {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestUnitsCarryKeyAndSignedOffset(t *testing.T) {
	d := ready(t)
	for _, c := range []struct {
		nal  byte
		cts  int32
		key  bool
		data bool
	}{{0x65, 0, true, true}, {0x41, -40, false, true}, {0x41, 80, false, true}, {0x06, 0, false, false}} {
		tag := unitTag(c.cts, []byte{0x09, 0xf0}, []byte{c.nal, 1, 2})
		e, err := d.Video(tag)
		if err != nil || (e.Data != nil) != c.data || e.Key != c.key || c.data && (e.CTSMillis != c.cts || &e.Data[0] != &tag[5]) {
			t.Errorf("%+v: %+v, %v", c, e, err)
		}
	}
}

func TestBrokenUnitsAreDroppedAndManyInARowEndThePublisher(t *testing.T) {
	d := ready(t)
	broken := []byte{0x27, 1, 0, 0, 0, 0, 0, 0, 200, 0x41}
	for i := 1; i < maxBrokenUnits; i++ {
		if e, err := d.Video(broken); err != nil || !e.Broken || e.Data != nil {
			t.Fatalf("%d: %+v, %v", i, e, err)
		}
	}
	if _, err := d.Video(broken); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v", err)
	}
	d = ready(t)
	for range 3 * maxBrokenUnits {
		if _, err := d.Video(broken); err != nil {
			t.Fatal(err)
		}
		if e, err := d.Video(unitTag(0, []byte{0x41, 1, 2})); err != nil || e.Data == nil {
			t.Fatalf("a good unit between broken ones: %+v, %v", e, err)
		}
	}
	if e, err := d.Video(unitTag(20_000, []byte{0x41, 1, 2})); err != nil || !e.Broken {
		t.Errorf("offset of 20 s: %+v, %v", e, err)
	}
}

func TestEmptyNALUnitsAreTakenOut(t *testing.T) {
	d := ready(t)
	e, err := d.Video(unitTag(0, []byte{0x65, 1, 2}, nil, []byte{0x65, 3, 4}))
	if want := unitTag(0, []byte{0x65, 1, 2}, []byte{0x65, 3, 4})[5:]; err != nil || !bytes.Equal(e.Data, want) {
		t.Errorf("%x, %v, want %x", e.Data, err, want)
	}
}

func TestInBandSetsOfAnIncompleteHeaderMakeTheConfiguration(t *testing.T) {
	d := &Demuxer{}
	if e, err := d.Video(header([]byte{1, 66, 0xc0, 30, 0xff, 0xe0, 0})); err != nil || e.Config != nil {
		t.Fatalf("%+v, %v", e, err)
	}
	if e, err := d.Video(unitTag(0, []byte{0x65, 1, 2})); err != nil || e.Data != nil {
		t.Fatalf("picture without parameter sets: %+v, %v", e, err)
	}
	e, err := d.Video(unitTag(0, baselineSPS(), []byte{0x68, 0xce, 0x3c, 0x80}, []byte{0x65, 1, 2}))
	if err != nil || e.Config == nil || e.Data == nil || !bytes.Equal(e.Config.Record, baseline()) {
		t.Fatalf("%+v, %v", e, err)
	}
	if e, err = d.Video(unitTag(0, baselineSPS(), []byte{0x65, 1, 2})); err != nil || e.Config != nil {
		t.Errorf("the same again: %+v, %v", e, err)
	}
	if e, err = d.Video(unitTag(0, []byte{0x68, 0xce, 0x3c, 0x81}, []byte{0x65, 1, 2})); err != nil || e.Config == nil {
		t.Errorf("another PPS: %+v, %v", e, err)
	}
}

func TestMalformedHeadersEndThePublisher(t *testing.T) {
	whole := baseline()
	for n := 1; n < len(whole); n++ {
		d := &Demuxer{}
		if e, err := d.Video(header(whole[:n])); err == nil && e.Config != nil || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("cut to %d bytes: %+v, %v", n, e, err)
		}
	}
	for _, size := range []byte{2} {
		record := bytes.Clone(whole)
		record[4] = 0xfc | size
		if _, err := (&Demuxer{}).Video(header(record)); !errors.Is(err, ErrMalformed) {
			t.Errorf("length size %d: %v", size+1, err)
		}
	}
}

func TestModifiersOfEnhancedRTMPArePassedOver(t *testing.T) {
	d := ready(t)
	tag := []byte{0x97, 2, 1, 2, 3, 0x03}
	tag = append(append(tag, "avc1"...), unitTag(0, []byte{0x65, 1, 2})[5:]...)
	if e, err := d.Video(tag); err != nil || !e.Key || len(e.Data) != 7 {
		t.Errorf("%+v, %v", e, err)
	}
}

func FuzzDemux(f *testing.F) {
	f.Add(header(baseline()), unitTag(-40, []byte{0x65, 1, 2}), unhex(f, "af001190"))
	f.Add(append([]byte("\x90hvc1"), unhex(f, x265Main10)...), append([]byte("\x93hvc1"), unitTag(0, []byte{0x26, 1, 2})[5:]...), unhex(f, "2b118800"))
	f.Add(unhex(f, "9068766331"), unhex(f, "9768766331"), unhex(f, "904f707573"))
	f.Add(header(unhex(f, x264Progressive)), unitTag(0, baselineSPS()), unhex(f, "af0112"))
	f.Fuzz(func(t *testing.T, one, two, three []byte) {
		d := &Demuxer{}
		for _, tag := range [][]byte{one, two, three, one} {
			for _, read := range []func([]byte) (Event, error){d.Video, d.Audio} {
				e, err := read(tag)
				if err != nil && !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrMalformed) {
					t.Fatalf("an error of no kind: %v", err)
				}
				checkEvent(t, e)
			}
		}
	})
}

func checkEvent(t *testing.T, e Event) {
	if c := e.Config; c != nil && c.Kind == media.Video && (c.WidthPixels < 1 || c.WidthPixels > maxSidePixels || c.HeightPixels < 1 || len(c.Record) == 0 || c.Codecs == "") {
		t.Fatalf("configuration %+v", c)
	}
	if e.CTSMillis > maxCTSMillis || e.CTSMillis < -maxCTSMillis {
		t.Fatalf("offset %d", e.CTSMillis)
	}
}
