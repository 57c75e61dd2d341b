package packager_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
	"github.com/roomcast/roomcast/workers/ingest/segment"
)

// ffmpeg 5.1 writes no enhanced RTMP, so the tags are made here.
func hevcMessages(t *testing.T, path string) []rtmpin.Message {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := mp4.DecodeFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var record bytes.Buffer
	hvcC := f.Init.Moov.Trak.Mdia.Minf.Stbl.Stsd.HvcX.HvcC
	if err := hvcC.DecConfRec.Encode(&record); err != nil {
		t.Fatal(err)
	}
	list := []rtmpin.Message{{Type: rtmpin.TypeVideo, Payload: append([]byte("\x90hvc1"), record.Bytes()...)}}
	scale := int64(f.Init.Moov.Trak.Mdia.Mdhd.Timescale)
	for _, s := range f.Segments {
		for _, frag := range s.Fragments {
			full, err := frag.GetFullSamples(f.Init.Moov.Mvex.Trex)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range full {
				first := byte(0xa1)
				if u.IsSync() {
					first = 0x91
				}
				dts := int64(u.DecodeTime) * 1000 / scale
				cts := (int64(u.DecodeTime)+int64(u.CompositionTimeOffset))*1000/scale - dts
				head := append([]byte{first}, "hvc1"...)
				head = append(head, byte(cts>>16), byte(cts>>8), byte(cts))
				list = append(list, rtmpin.Message{Type: rtmpin.TypeVideo, TimestampMS: uint32(dts), Payload: append(head, u.Data...)})
			}
		}
	}
	return list
}

func TestHEVCOverEnhancedRTMP(t *testing.T) {
	t.Parallel()
	for name, params := range map[string]string{"closed GOP": "keyint=50:min-keyint=50:scenecut=0:open-gop=0:log-level=none", "open GOP": "keyint=50:min-keyint=50:scenecut=0:open-gop=1:log-level=none"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := generate(t, "hevc.mp4", "-f", "lavfi", "-i", "testsrc2=r=25:s=320x180:d=7", "-c:v", "libx265", "-preset", "ultrafast",
				"-x265-params", params, "-tag:v", "hvc1", "-pix_fmt", "yuv420p", "-movflags", "frag_keyframe+empty_moov+default_base_moof")
			messages := hevcMessages(t, path)
			c := publish(t, messages, segment.Options{})
			c.checkRules(t)
			if got := c.runs(); !slices.Equal(got, []int{4}) {
				t.Fatalf("segments per run %v", got)
			}
			if got := c.inits[0].Tracks[0].Config; got.Codecs != "hvc1.1.6.L60.90" || got.WidthPixels != 320 || got.HeightPixels != 180 {
				t.Errorf("%q %d × %d", got.Codecs, got.WidthPixels, got.HeightPixels)
			}
			video, _ := source(messages)
			if least, most := sameUnits(t, c.samples(t, 0, "v"), video, 90000); least != most {
				t.Errorf("offsets %v to %v", least, most)
			}
			if !slices.Equal(hashes(t, c.file(t, 0, "v"), "0"), hashes(t, path, "v:0")) {
				t.Error("decodes to other frames than the source")
			}
		})
	}
}

// A publisher that changes its picture in the middle: two encodes, one stream.
func TestResolutionChangeOfARealEncoder(t *testing.T) {
	t.Parallel()
	encode := func(size string) string {
		return generate(t, size+".flv", "-f", "lavfi", "-i", "testsrc2=r=25:s="+size+":d=5", "-f", "lavfi", "-i", "sine=f=440:r=48000:d=5",
			"-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2")
	}
	paths := []string{encode("320x180"), encode("640x360")}
	messages := readFLV(t, paths[0])
	for _, m := range readFLV(t, paths[1]) {
		m.TimestampMS += 5000
		messages = append(messages, m)
	}
	c := publish(t, messages, segment.Options{})
	c.checkRules(t)
	if got := c.runs(); !slices.Equal(got, []int{3, 3}) {
		t.Fatalf("segments per run %v", got)
	}
	var units []out
	for run, path := range paths {
		units = append(units, c.samples(t, run, "v")...)
		if !slices.Equal(hashes(t, c.file(t, run, "v"), "0"), hashes(t, path, "v:0")) {
			t.Errorf("run %d decodes to other frames than its source", run)
		}
	}
	video, _ := source(messages)
	if least, most := sameUnits(t, units, video, 90000); least != most {
		t.Errorf("offsets %v to %v", least, most)
	}
}

// shortLengths rewrites 4-byte NAL lengths as 2-byte ones, header included.
func shortLengths(m rtmpin.Message) rtmpin.Message {
	if m.Type != rtmpin.TypeVideo || m.Payload[0]&0x0f != 7 {
		return m
	}
	p := bytes.Clone(m.Payload)
	if p[1] == 0 {
		p[5+4] = 0xfd
		m.Payload = p
		return m
	}
	out := bytes.Clone(p[:5])
	for b := p[5:]; len(b) >= 4; {
		size := binary.BigEndian.Uint32(b)
		out = append(binary.BigEndian.AppendUint16(out, uint16(size)), b[4:4+size]...)
		b = b[4+size:]
	}
	m.Payload = out
	return m
}

func TestShortNALLengthsAreRewritten(t *testing.T) {
	t.Parallel()
	path := generate(t, "source.flv", "-f", "lavfi", "-i", "testsrc2=r=25:s=160x90:d=3", "-c:v", "libx264", "-g", "50", "-pix_fmt", "yuv420p")
	messages := readFLV(t, path)
	short := make([]rtmpin.Message, len(messages))
	for i, m := range messages {
		short[i] = shortLengths(m)
	}
	c := publish(t, short, segment.Options{})
	c.checkRules(t)
	video, _ := source(messages)
	sameUnits(t, c.samples(t, 0, "v"), video, 90000)
	if !slices.Equal(hashes(t, c.file(t, 0, "v"), "0"), hashes(t, path, "v:0")) {
		t.Error("decodes to other frames than the source")
	}
}
