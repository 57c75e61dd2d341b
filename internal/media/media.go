// Package media holds what every stage between socket and object agrees on:
// tracks, codec configurations, access units and their time bases. Pure
// values, standard library only.
package media

// VideoTimescale is the number of ticks per second of every video track:
// RTMP milliseconds times 90 (docs/adr/0007).
const VideoTimescale = 90_000

// AACFrameSamples is the number of samples of one AAC-LC access unit
// (ISO/IEC 14496-3, 4.5.1.1).
const AACFrameSamples = 1024

// Ticks is a time or a duration counted in a track's timescale. It may be
// negative where a difference is meant.
type Ticks int64

// Kind tells a video track from an audio track.
type Kind uint8

// The kinds of track.
const (
	Video Kind = iota + 1
	Audio
)

// String is "video" or "audio".
func (k Kind) String() string {
	switch k {
	case Video:
		return "video"
	case Audio:
		return "audio"
	}
	return "unknown"
}

// Codec names how access units are coded.
type Codec string

// The codecs that are carried. Everything else is refused at ingest.
const (
	AVC  Codec = "avc"
	HEVC Codec = "hevc"
	AAC  Codec = "aac"
)

// Config is what a decoder must know before the first access unit of a track.
// It is immutable once made and may be shared.
type Config struct {
	Kind  Kind
	Codec Codec
	// Record is the AVCDecoderConfigurationRecord or
	// HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1, 8.3.3.1) or
	// the AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1), as it was received.
	Record []byte
	// Codecs is the RFC 6381 string, such as "avc1.64001f" or "mp4a.40.2".
	Codecs string
	// Timescale is VideoTimescale, or the audio sample rate in Hz.
	Timescale uint32
	// WidthPixels and HeightPixels are 0 for audio.
	WidthPixels, HeightPixels int
	// SampleRateHz and Channels are 0 for video.
	SampleRateHz, Channels int
}

// AccessUnit is one coded picture or one audio frame. Data belongs to the
// receiver and must not be changed by anybody: it is written to the object
// without another copy.
type AccessUnit struct {
	Kind Kind
	// DTS is in ticks of the track's timescale.
	DTS Ticks
	// CTS is PTS - DTS in the same ticks; 0 for audio; may be negative as
	// received (cmaf.md, trap 1).
	CTS Ticks
	// Key is true for a picture that a decoder can start at (IDR, or HEVC IRAP);
	// always true for audio.
	Key bool
	// Data is length-prefixed NAL units (4 bytes) or one raw AAC frame.
	Data []byte
}
