// Package cmaf writes CMAF initialization segments and fragments (ISO/IEC
// 23000-19) of one track each: brand cmfc, no edit list, unsigned composition
// offsets. The bytes depend on the arguments alone.
package cmaf

import (
	"bytes"
	"fmt"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/roomcast/roomcast/internal/media"
)

// trackID is the id of the only track of every file.
const trackID = 1

// Init returns ftyp and moov for one track. The decoder configuration record
// goes in as it is.
func Init(config media.Config) ([]byte, error) {
	entry, err := sampleEntry(config)
	if err != nil {
		return nil, err
	}
	segment := mp4.NewMP4Init()
	segment.AddChild(mp4.NewFtyp("cmfc", 0, []string{"iso6", "cmfc", "dash"}))
	moov := mp4.NewMoovBox()
	moov.AddChild(mp4.CreateMvhd())
	segment.AddChild(moov)
	trak := mp4.CreateEmptyTrak(trackID, config.Timescale, config.Kind.String(), "und")
	trak.Mdia.Hdlr.Name = "roomcast " + config.Kind.String()
	trak.Mdia.Minf.Stbl.Stsd.AddChild(entry)
	trak.Tkhd.Width = mp4.Fixed32(uint32(config.WidthPixels) << 16)   //nolint:gosec // checked below
	trak.Tkhd.Height = mp4.Fixed32(uint32(config.HeightPixels) << 16) //nolint:gosec // checked below
	moov.AddChild(trak)
	mvex := mp4.NewMvexBox()
	mvex.AddChild(mp4.CreateTrex(trackID))
	moov.AddChild(mvex)
	var out bytes.Buffer
	if err := segment.Encode(&out); err != nil {
		return nil, fmt.Errorf("encode init segment: %w", err)
	}
	return out.Bytes(), nil
}

func sampleEntry(config media.Config) (mp4.Box, error) {
	switch {
	case config.Kind == media.Video && config.Codec == media.AVC:
		return visualEntry(config, "avc1", "avcC")
	case config.Kind == media.Video && config.Codec == media.HEVC:
		return visualEntry(config, "hvc1", "hvcC")
	case config.Kind == media.Audio && config.Codec == media.AAC:
		return aacEntry(config)
	}
	return nil, fmt.Errorf("init segment for %s codec %q: not carried", config.Kind, config.Codec)
}

// visualEntry carries the record verbatim (ISO/IEC 14496-15, 5.4.2.1, 8.4.1).
func visualEntry(config media.Config, entry, box string) (mp4.Box, error) {
	w, h := config.WidthPixels, config.HeightPixels
	if w < 1 || h < 1 || w > 0xffff || h > 0xffff {
		return nil, fmt.Errorf("init segment for a picture of %d × %d pixels", w, h)
	}
	record := mp4.CreateUnknownBox(box, 8+uint64(len(config.Record)), config.Record)
	visual := mp4.CreateVisualSampleEntryBox(entry, uint16(w), uint16(h), record)
	visual.CompressorName = ""
	return visual, nil
}

// aacEntry is an mp4a entry (ISO/IEC 14496-14, 5.6) whose ES_ID is 0, as a
// file demands (3.1.2).
func aacEntry(config media.Config) (mp4.Box, error) {
	if config.SampleRateHz < 1 || config.Channels < 1 || config.Channels > 0xffff {
		return nil, fmt.Errorf("init segment for %d channels at %d Hz", config.Channels, config.SampleRateHz)
	}
	rate := config.SampleRateHz
	if rate > 0xffff {
		rate = 0 // does not fit 16.16; the configuration in esds says it
	}
	esds := mp4.CreateEsdsBox(config.Record)
	esds.EsID = 0
	return mp4.CreateAudioSampleEntryBox("mp4a", uint16(config.Channels), 16, uint16(rate), esds), nil
}
