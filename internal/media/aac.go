package media

// AACRate is a sampling frequency in Hz by its index (ISO/IEC 14496-3, table
// 1.18); 0 where the index means nothing.
func AACRate(index uint32) int {
	rates := [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
	if int(index) >= len(rates) {
		return 0
	}
	return rates[index]
}

// SilentConfig is the configuration of a track of SilentAAC frames. false: no
// AAC-LC has that rate or that number of channels.
func SilentConfig(rateHz, channels int) (Config, bool) {
	configuration := channels
	if channels == 8 {
		configuration = 7
	}
	for index := range uint32(13) {
		if AACRate(index) != rateHz || silentElements(configuration) == nil {
			continue
		}
		w := bitWriter{}
		w.put(2, 5) // AAC-LC
		w.put(index, 4)
		w.put(uint32(configuration), 4)
		w.put(0, 3) // 1,024 samples a frame, no core coder, no extension
		return Config{
			Kind: Audio, Codec: AAC, Record: w.bytes, Codecs: "mp4a.40.2",
			Timescale:    uint32(rateHz), //nolint:gosec // one of the table
			SampleRateHz: rateHz, Channels: channels,
		}, true
	}
	return Config{}, false
}

// SilentAAC returns one AAC-LC access unit of 1,024 silent samples for a
// channel configuration of ISO/IEC 14496-3, table 1.19 (1 to 7); nil for any
// other. The bytes are a raw_data_block (4.4.2.1) whose channel elements have
// max_sfb 0, that is: no spectrum at all. HE-AAC decoders take it as well.
func SilentAAC(channelConfiguration int) []byte {
	var w bitWriter
	for i, element := range silentElements(channelConfiguration) {
		w.silentElement(element, i)
	}
	if w.bits == 0 {
		return nil
	}
	w.put(elementEnd, 3)
	return w.bytes
}

// The syntactic elements of ISO/IEC 14496-3, table 4.85.
const (
	elementSingle = 0
	elementPair   = 1
	elementLFE    = 3
	elementEnd    = 7
)

// silentElements lists the elements of a channel configuration in their order.
func silentElements(channelConfiguration int) []uint32 {
	switch channelConfiguration {
	case 1:
		return []uint32{elementSingle}
	case 2:
		return []uint32{elementPair}
	case 3:
		return []uint32{elementSingle, elementPair}
	case 4:
		return []uint32{elementSingle, elementPair, elementSingle}
	case 5:
		return []uint32{elementSingle, elementPair, elementPair}
	case 6:
		return []uint32{elementSingle, elementPair, elementPair, elementLFE}
	case 7:
		return []uint32{elementSingle, elementPair, elementPair, elementPair, elementLFE}
	}
	return nil
}

type bitWriter struct {
	bytes []byte
	bits  int
}

func (w *bitWriter) put(value uint32, n int) {
	for i := n - 1; i >= 0; i-- {
		if w.bits%8 == 0 {
			w.bytes = append(w.bytes, 0)
		}
		w.bytes[w.bits/8] |= byte(value>>i&1) << (7 - w.bits%8)
		w.bits++
	}
}

func (w *bitWriter) silentElement(element uint32, tag int) {
	w.put(element, 3)
	// Tags tell elements of one kind apart; counting all elements does that.
	w.put(uint32(tag&0xf), 4)
	if element == elementPair {
		w.put(0, 1) // common_window
		w.silentChannel()
	}
	w.silentChannel()
}

// silentChannel is an individual_channel_stream without spectrum.
func (w *bitWriter) silentChannel() {
	w.put(0, 8) // global_gain
	w.put(0, 1) // ics_reserved_bit
	w.put(0, 2) // ONLY_LONG_SEQUENCE
	w.put(0, 1) // window_shape
	w.put(0, 6) // max_sfb
	w.put(0, 1) // predictor_data_present
	w.put(0, 3) // pulse, tns and gain control data absent
}
