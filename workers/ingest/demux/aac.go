package demux

import (
	"fmt"

	"github.com/roomcast/roomcast/internal/media"
)

// Audio object types (ISO/IEC 14496-3, table 1.17).
const (
	aacLC  = 2
	aacSBR = 5
	aacPS  = 29
)

func readAACRate(r *bitReader) int {
	if index := r.u(4); index != 15 {
		return media.AACRate(index)
	}
	return int(r.u(24))
}

// parseAudioSpecificConfig reads ISO/IEC 14496-3, 1.6.2.1. The timescale is
// the rate of the AAC-LC core: a frame is 1,024 of its samples also under SBR.
func parseAudioSpecificConfig(b []byte) (media.Config, error) {
	if len(b) < 2 {
		return media.Config{}, fmt.Errorf("%w: AAC configuration of %d bytes", ErrMalformed, len(b))
	}
	r := &bitReader{data: b}
	object := r.u(5)
	rate, channels := readAACRate(r), int(r.u(4))
	core := object
	if object == aacSBR || object == aacPS {
		readAACRate(r)
		core = r.u(5)
	}
	shortFrames := r.flag()
	switch {
	case r.short:
		return media.Config{}, fmt.Errorf("%w: AAC configuration is cut short", ErrMalformed)
	case core != aacLC:
		return media.Config{}, fmt.Errorf("audio object type %d is %w: send AAC-LC", object, ErrUnsupported)
	case rate < 7350 || rate > 96000:
		return media.Config{}, fmt.Errorf("%w: AAC sample rate of %d Hz", ErrMalformed, rate)
	case channels < 1 || channels > 7:
		return media.Config{}, fmt.Errorf("AAC channel configuration %d is %w: send mono or stereo", channels, ErrUnsupported)
	case shortFrames:
		return media.Config{}, fmt.Errorf("AAC with 960 samples a frame is %w: send 1,024", ErrUnsupported)
	}
	if channels == 7 {
		channels = 8
	}
	return media.Config{
		Kind: media.Audio, Codec: media.AAC, Record: b,
		Codecs:       fmt.Sprintf("mp4a.40.%d", object),
		Timescale:    uint32(rate),
		SampleRateHz: rate, Channels: channels,
	}, nil
}
