package timeline_test

import (
	"encoding/binary"
	"testing"

	"github.com/roomcast/roomcast/internal/media"
	"github.com/roomcast/roomcast/workers/ingest/timeline"
)

// FuzzTimeline takes 8 bytes as one message: timestamp, then composition
// offset, whose last bit says audio. Decode times of video rise whatever comes.
func FuzzTimeline(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 80})
	f.Add([]byte{0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0})                            // wraps
	f.Add([]byte{0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1}) // jumps
	f.Fuzz(func(t *testing.T, b []byte) {
		var line timeline.Timeline
		line.SetAudioRate(44_100)
		last, begun := media.Ticks(0), false
		for ; len(b) >= 8; b = b[8:] {
			ts, cts := binary.BigEndian.Uint32(b), int32(binary.BigEndian.Uint32(b[4:])<<8)>>8
			if b[7]&1 == 1 {
				line.Audio(ts)
				continue
			}
			dts, _, verdict := line.Video(ts, cts)
			if begun && verdict != timeline.Jump && dts <= last {
				t.Fatalf("DTS %d behind %d, verdict %v", dts, last, verdict)
			}
			last, begun = dts, true
		}
	})
}
