package packager_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/roomcast/roomcast/internal/media"
	"github.com/roomcast/roomcast/workers/ingest/packager"
	"github.com/roomcast/roomcast/workers/ingest/rtmpin"
	"github.com/roomcast/roomcast/workers/ingest/segment"
)

// collector keeps what a Packager gives out.
type collector struct {
	inits    []segment.Init
	segments []segment.Segment
	warnings []segment.Warning
	now      time.Time   // set by who plays
	emitted  []time.Time // when each segment came out
}

func (c *collector) Init(i segment.Init) error { c.inits = append(c.inits, i); return nil }
func (c *collector) Segment(s segment.Segment) error {
	c.segments = append(c.segments, s)
	c.emitted = append(c.emitted, c.now)
	return nil
}
func (c *collector) Warn(w segment.Warning) { c.warnings = append(c.warnings, w) }

func (c *collector) warned(code string) bool {
	for _, w := range c.warnings {
		if w.Code == code {
			return true
		}
	}
	return false
}

var epochStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// publish sends messages as fast as their timestamps say, by a scripted clock.
func publish(t *testing.T, messages []rtmpin.Message, o segment.Options) *collector {
	t.Helper()
	c := &collector{}
	o.Sink, o.Epoch = c, 7
	now := epochStart
	p := packager.New(packager.Options{Segment: o, Now: func() time.Time { return now }})
	for i, m := range messages {
		now = epochStart.Add(time.Duration(m.TimestampMS-messages[0].TimestampMS) * time.Millisecond)
		if err := p.Message(m); err != nil {
			t.Fatalf("message %d at %d ms: %v", i, m.TimestampMS, err)
		}
	}
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	return c
}

// out is one sample as a player reads it.
type out struct {
	dts, pts, dur int64
	sync          bool
	data          []byte
}

func concat(pieces [][]byte) []byte { return bytes.Join(pieces, nil) }

// samples parses every segment of one track of one run and checks its boxes.
func (c *collector) samples(t *testing.T, run int, name string) []out {
	t.Helper()
	var all []out
	var next, sequence int64 = -1, 0
	for i, s := range c.segments {
		if s.Run.Index != run {
			continue
		}
		for _, tr := range s.Tracks {
			if tr.Name != name || tr.Gap {
				continue
			}
			sequence++
			got, err := parseSegment(tr, uint32(sequence))
			if err != nil {
				t.Fatalf("segment %d %s: %v", i, name, err)
			}
			if next >= 0 && got[0].dts != next {
				t.Fatalf("segment %d %s begins at %d, the one before ended at %d", i, name, got[0].dts, next)
			}
			next = got[len(got)-1].dts + got[len(got)-1].dur
			if name == "v" && got[0].sync != s.Independent {
				t.Fatalf("segment %d: key %v but independent %v", i, got[0].sync, s.Independent)
			}
			all = append(all, got...)
		}
	}
	return all
}

// parseSegment reads styp+moof+mdat by hand where mp4ff would trust offsets.
func parseSegment(tr segment.TrackSegment, sequence uint32) ([]out, error) {
	body := concat(tr.Body)
	if int64(len(body)) != tr.SizeBytes {
		return nil, fmt.Errorf("%d bytes, SizeBytes %d", len(body), tr.SizeBytes)
	}
	f, err := mp4.DecodeFile(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if len(f.Segments) != 1 || f.Segments[0].Styp == nil || len(f.Segments[0].Fragments) != 1 {
		return nil, fmt.Errorf("not styp and one fragment")
	}
	frag := f.Segments[0].Fragments[0]
	traf, trun := frag.Moof.Traf, frag.Moof.Traf.Trun
	moofStart := f.Segments[0].Styp.Size()
	switch {
	case frag.Moof.Mfhd.SequenceNumber != sequence:
		return nil, fmt.Errorf("mfhd sequence %d, want %d", frag.Moof.Mfhd.SequenceNumber, sequence)
	case traf.Tfhd.Flags != 0x020002 || traf.Tfhd.SampleDescriptionIndex != 1:
		return nil, fmt.Errorf("tfhd flags %#x", traf.Tfhd.Flags)
	case trun.Version != 0 || trun.Flags != 0xf01:
		return nil, fmt.Errorf("trun version %d flags %#x", trun.Version, trun.Flags)
	case int64(traf.Tfdt.BaseMediaDecodeTime()) != int64(tr.BaseDTS):
		return nil, fmt.Errorf("tfdt %d, BaseDTS %d", traf.Tfdt.BaseMediaDecodeTime(), tr.BaseDTS)
	case uint64(trun.DataOffset) != frag.Moof.Size()+8:
		return nil, fmt.Errorf("data offset %d behind a moof of %d", trun.DataOffset, frag.Moof.Size())
	}
	at, dts := moofStart+uint64(trun.DataOffset), int64(traf.Tfdt.BaseMediaDecodeTime())
	var all []out
	earliest := int64(1) << 62
	for i, s := range trun.Samples {
		if s.CompositionTimeOffset < 0 {
			return nil, fmt.Errorf("sample %d: negative offset %d", i, s.CompositionTimeOffset)
		}
		if at+uint64(s.Size) > uint64(len(body)) || s.Dur == 0 || s.Dur > 11*90000 {
			return nil, fmt.Errorf("sample %d: size %d, duration %d", i, s.Size, s.Dur)
		}
		o := out{dts: dts, pts: dts + int64(s.CompositionTimeOffset), dur: int64(s.Dur), sync: s.IsSync(), data: body[at : at+uint64(s.Size)]}
		earliest = min(earliest, o.pts)
		all = append(all, o)
		at, dts = at+uint64(s.Size), dts+int64(s.Dur)
	}
	switch {
	case at != uint64(len(body)):
		return nil, fmt.Errorf("%d bytes that belong to no sample", uint64(len(body))-at)
	case earliest > int64(tr.EarliestPTS) || earliest < int64(tr.EarliestPTS) && (all[0].sync || earliest < int64(tr.EarliestPTS)-13_500):
		return nil, fmt.Errorf("earliest PTS %d, said %d", earliest, tr.EarliestPTS)
	case int64(tr.Duration) > dts-int64(tr.BaseDTS)+180 || int64(tr.Duration) < dts-int64(tr.BaseDTS)-27_000:
		// It ends where the next one is shown: rounding, and reordered pictures.
		return nil, fmt.Errorf("duration %d, said %d", dts-int64(tr.BaseDTS), tr.Duration)
	}
	return all, nil
}

// checkRules checks what holds for every stream.
func (c *collector) checkRules(t *testing.T) {
	t.Helper()
	if len(c.inits) == 0 {
		t.Fatal("no init")
	}
	target := c.inits[0].TargetDuration
	runs := map[segment.Run]segment.Init{}
	for _, i := range c.inits {
		if _, twice := runs[i.Run]; twice {
			t.Fatalf("two inits of run %v", i.Run)
		}
		if i.TargetDuration != target || target < time.Second || target > 10*time.Second || target%time.Second != 0 {
			t.Fatalf("target duration %v, was %v", i.TargetDuration, target)
		}
		runs[i.Run] = i
		for _, tr := range i.Tracks {
			checkInit(t, tr)
		}
	}
	for n, s := range c.segments {
		init, ok := runs[s.Run]
		if !ok || len(init.Tracks) != len(s.Tracks) {
			t.Fatalf("segment %d: %d tracks, init %v", n, len(s.Tracks), ok)
		}
		if n > 0 && s.Start.Before(c.segments[n-1].Start) {
			t.Fatalf("segment %d starts at %v, the one before at %v", n, s.Start, c.segments[n-1].Start)
		}
		for k, tr := range s.Tracks {
			scale := init.Tracks[k].Config.Timescale
			if tr.Name != init.Tracks[k].Name || tr.Gap != (len(tr.Body) == 0) {
				t.Fatalf("segment %d track %d: %q gap %v with %d pieces", n, k, tr.Name, tr.Gap, len(tr.Body))
			}
			if d := tr.Duration.Duration(scale); d <= 0 || d.Round(time.Second) > target {
				t.Fatalf("segment %d %s lasts %v, target %v", n, tr.Name, d, target)
			}
		}
	}
	for run := range runs {
		c.samples(t, run.Index, "v")
		c.samples(t, run.Index, "a")
	}
}

func checkInit(t *testing.T, tr segment.TrackInit) {
	t.Helper()
	f, err := mp4.DecodeFile(bytes.NewReader(tr.Body))
	if err != nil {
		t.Fatal(err)
	}
	trak := f.Init.Moov.Trak
	switch {
	case f.Ftyp.MajorBrand() != "cmfc":
		t.Fatalf("brand %s", f.Ftyp.MajorBrand())
	case len(f.Init.Moov.Traks) != 1:
		t.Fatalf("%d tracks", len(f.Init.Moov.Traks))
	case trak.Edts != nil:
		t.Fatal("an edit list")
	case trak.Mdia.Mdhd.Timescale != tr.Config.Timescale:
		t.Fatalf("timescale %d", trak.Mdia.Mdhd.Timescale)
	}
	if tr.Config.Kind == media.Audio {
		if esds := trak.Mdia.Minf.Stbl.Stsd.Mp4a.Esds; esds.EsID != 0 || !bytes.Equal(esds.DecConfigDescriptor.DecSpecificInfo.DecConfig, tr.Config.Record) {
			t.Fatalf("ES_ID %d, config %x", esds.EsID, esds.DecConfigDescriptor.DecSpecificInfo.DecConfig)
		}
	}
}

// file writes one track of one run as a file: init and segments.
func (c *collector) file(t *testing.T, run int, name string) string {
	t.Helper()
	var b bytes.Buffer
	for _, i := range c.inits {
		for _, tr := range i.Tracks {
			if i.Run.Index == run && tr.Name == name {
				b.Write(tr.Body)
			}
		}
	}
	for _, s := range c.segments {
		for _, tr := range s.Tracks {
			if s.Run.Index == run && tr.Name == name {
				b.Write(concat(tr.Body))
			}
		}
	}
	path := filepath.Join(t.TempDir(), name+".mp4")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// hashes decodes strictly and lists the hash of every frame.
func hashes(t *testing.T, path, stream string) []string {
	t.Helper()
	cmd := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", path, "-map", "0:"+stream, "-vsync", "passthrough", "-f", "framemd5", "-")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("decode %s: %v %s", path, err, stderr.String())
	}
	var list []string
	for line := range strings.Lines(string(b)) {
		if fields := strings.Split(strings.TrimSpace(line), ","); !strings.HasPrefix(line, "#") && len(fields) == 6 {
			list = append(list, strings.TrimSpace(fields[5]))
		}
	}
	return list
}

// generate makes a source with ffmpeg.
func generate(t *testing.T, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	full := append([]string{"-nostdin", "-v", "error", "-y"}, args...)
	if b, err := exec.Command("ffmpeg", append(full, path)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", full, err, b)
	}
	return path
}

// readFLV is written apart from the product's reader, to be a judge of it.
func readFLV(t *testing.T, path string) []rtmpin.Message {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || len(b) < 13 {
		t.Fatalf("read %s: %v", path, err)
	}
	var list []rtmpin.Message
	for b = b[13:]; len(b) >= 15; {
		size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		list = append(list, rtmpin.Message{
			Type:        rtmpin.MessageType(b[0]),
			TimestampMS: uint32(b[7])<<24 | uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6]),
			Payload:     bytes.Clone(b[11 : 11+size]),
		})
		b = b[11+size+4:]
	}
	return list
}

// source lists the access units of messages, read without the demuxer.
func source(messages []rtmpin.Message) (video, audio []out) {
	for _, m := range messages {
		ts := int64(m.TimestampMS)
		switch {
		case m.Type == rtmpin.TypeVideo && len(m.Payload) > 5 && m.Payload[0]&0x80 == 0 && m.Payload[1] == 1:
			cts := int64(int32(binary.BigEndian.Uint32(m.Payload[1:])<<8) >> 8)
			video = append(video, out{dts: ts, pts: ts + cts, data: m.Payload[5:]})
		case m.Type == rtmpin.TypeVideo && len(m.Payload) > 8 && m.Payload[0]&0x8f == 0x81:
			cts := int64(int32(binary.BigEndian.Uint32(m.Payload[4:])<<8) >> 8)
			video = append(video, out{dts: ts, pts: ts + cts, data: m.Payload[8:]})
		case m.Type == rtmpin.TypeAudio && len(m.Payload) > 2 && m.Payload[1] == 1:
			audio = append(audio, out{dts: ts, pts: ts, data: m.Payload[2:]})
		}
	}
	return video, audio
}

// sameUnits demands the same bytes in the same order, and answers the spread of
// (output PTS - source PTS) in milliseconds.
func sameUnits(t *testing.T, got, want []out, scale float64) (least, most float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d access units, the source has %d", len(got), len(want))
	}
	least, most = 1e18, -1e18
	for i := range got {
		if !bytes.Equal(got[i].data, want[i].data) {
			t.Fatalf("access unit %d differs", i)
		}
		offset := float64(got[i].pts)*1000/scale - float64(want[i].pts)
		least, most = min(least, offset), max(most, offset)
	}
	return least, most
}
