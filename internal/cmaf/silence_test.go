package cmaf_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/roomcast/roomcast/internal/cmaf"
	"github.com/roomcast/roomcast/internal/media"
)

// Silence is judged by a decoder: no complaint, the right amount, all zeros.
func TestSilentAACDecodesToSilence(t *testing.T) {
	for configuration := 1; configuration <= 7; configuration++ {
		t.Run(fmt.Sprint(configuration), func(t *testing.T) {
			channels := configuration
			if channels == 7 {
				channels = 8
			}
			record := binary.BigEndian.AppendUint16(nil, uint16(2<<11|3<<7|configuration<<3))
			init, err := cmaf.Init(media.Config{Kind: media.Audio, Codec: media.AAC, Timescale: 48000, SampleRateHz: 48000, Channels: channels, Record: record})
			if err != nil {
				t.Fatal(err)
			}
			frame := media.SilentAAC(configuration)
			samples := make([]cmaf.Sample, 20)
			for i := range samples {
				samples[i] = cmaf.Sample{DurationTicks: 1024, SizeBytes: uint32(len(frame)), Sync: true}
			}
			file := append(init, cmaf.Header(1, 0, samples)...)
			file = append(file, bytes.Repeat(frame, len(samples))...)
			path := filepath.Join(t.TempDir(), "a.mp4")
			if err := os.WriteFile(path, file, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i", path, "-f", "s16le", "-c:a", "pcm_s16le", "-")
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			pcm, err := cmd.Output()
			if err != nil || stderr.Len() > 0 {
				t.Fatalf("%v: %s", err, stderr.String())
			}
			if want := 20 * 1024 * 2 * channels; len(pcm) != want || !bytes.Equal(pcm, make([]byte, len(pcm))) {
				t.Errorf("%d bytes of sound, want %d of zeros", len(pcm), want)
			}
		})
	}
}
