// Package enhanced makes of HEVC what encoders of enhanced RTMP send: ffmpeg
// 5.1 writes none.
package enhanced

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/roomcast/roomcast/internal/rtmpout"
)

// Tags answers the messages for an MP4 file with HEVC, and AAC if it has sound,
// in the order in which they are sent. Timestamps begin at 0.
func Tags(tb testing.TB, file string) []rtmpout.Tag {
	tb.Helper()
	fragments := filepath.Join(tb.TempDir(), "fragments.mp4")
	out, err := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-i", file, "-c", "copy", //nolint:gosec // fixed program, a file of the test
		"-movflags", "frag_keyframe+empty_moov+default_base_moof+separate_moof", fragments).CombinedOutput()
	if err != nil {
		tb.Fatalf("fragments of %s: %v\n%s", file, err, out)
	}
	b, err := os.ReadFile(fragments)
	if err != nil {
		tb.Fatal(err)
	}
	f, err := mp4.DecodeFile(bytes.NewReader(b))
	if err != nil {
		tb.Fatal(err)
	}
	var tags []rtmpout.Tag
	later := map[uint32]int64{} // ffmpeg lets each track begin at 0
	first := int64(math.MaxInt64)
	for i, trak := range f.Init.Moov.Traks {
		tags = append(tags, config(tb, trak.Mdia.Minf.Stbl.Stsd))
		begin := beginMS(tb, file, i)
		later[trak.Tkhd.TrackID], first = begin, min(first, begin)
	}
	for id := range later {
		later[id] -= first
	}
	for _, s := range f.Segments {
		for _, frag := range s.Fragments {
			id := frag.Moof.Traf.Tfhd.TrackID
			for _, g := range units(tb, f.Init.Moov, frag) {
				g.TimestampMS += uint32(later[id]) //nolint:gosec // not negative
				tags = append(tags, g)
			}
		}
	}
	slices.SortStableFunc(tags, func(a, b rtmpout.Tag) int { return int(a.TimestampMS) - int(b.TimestampMS) })
	return tags
}

// beginMS is the first decode time of a stream.
func beginMS(tb testing.TB, file string, stream int) int64 {
	tb.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-select_streams", strconv.Itoa(stream), "-read_intervals", "%+#1", //nolint:gosec // the same
		"-of", "csv=p=0", "-show_entries", "packet=dts_time", file).Output()
	if err != nil {
		tb.Fatal(err)
	}
	seconds, err := strconv.ParseFloat(strings.Trim(strings.SplitN(string(out), "\n", 2)[0], ", \r"), 64)
	if err != nil {
		tb.Fatalf("the first packet of stream %d of %s: %q", stream, file, out)
	}
	return int64(math.Round(seconds * 1000))
}

// config is the sequence header of a track.
func config(tb testing.TB, stsd *mp4.StsdBox) rtmpout.Tag {
	tb.Helper()
	if stsd.HvcX == nil {
		record := stsd.Mp4a.Esds.DecConfigDescriptor.DecSpecificInfo.DecConfig
		return rtmpout.Tag{Type: rtmpout.TypeAudio, Payload: append([]byte{0xaf, 0}, record...)}
	}
	var record bytes.Buffer
	if err := stsd.HvcX.HvcC.DecConfRec.Encode(&record); err != nil {
		tb.Fatal(err)
	}
	return rtmpout.Tag{Type: rtmpout.TypeVideo, Payload: append([]byte("\x90hvc1"), record.Bytes()...)}
}

// units are the access units of a fragment, which is of one track.
func units(tb testing.TB, moov *mp4.MoovBox, frag *mp4.Fragment) (tags []rtmpout.Tag) {
	tb.Helper()
	id := frag.Moof.Traf.Tfhd.TrackID
	trak := moov.Traks[slices.IndexFunc(moov.Traks, func(t *mp4.TrakBox) bool { return t.Tkhd.TrackID == id })]
	trex, _ := moov.Mvex.GetTrex(id)
	samples, err := frag.GetFullSamples(trex)
	if err != nil {
		tb.Fatal(err)
	}
	scale := int64(trak.Mdia.Mdhd.Timescale)
	for _, u := range samples {
		dts := int64(u.DecodeTime) * 1000 / scale //nolint:gosec // some seconds
		if trak.Mdia.Hdlr.HandlerType == "soun" {
			tags = append(tags, rtmpout.Tag{Type: rtmpout.TypeAudio, TimestampMS: uint32(dts), Payload: append([]byte{0xaf, 1}, u.Data...)}) //nolint:gosec // the same
			continue
		}
		head := []byte("\xa1hvc1")
		if u.IsSync() {
			head[0] = 0x91
		}
		cts := (int64(u.DecodeTime)+int64(u.CompositionTimeOffset))*1000/scale - dts                                          //nolint:gosec // the same
		head = append(head, byte(cts>>16), byte(cts>>8), byte(cts))                                                           //nolint:gosec // 24 bits of it
		tags = append(tags, rtmpout.Tag{Type: rtmpout.TypeVideo, TimestampMS: uint32(dts), Payload: append(head, u.Data...)}) //nolint:gosec // the same
	}
	return tags
}
