// Package demux turns the bodies of RTMP audio and video messages (FLV tags,
// Adobe Flash Video File Format 10.1, E.4; enhanced RTMP v2) into access units
// and codec configurations. Bytes from outside never make it panic.
package demux

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/roomcast/roomcast/internal/media"
)

// maxBrokenUnits is how many broken access units in a row end a publisher.
const maxBrokenUnits = 50

// maxCTSMillis is the largest believable composition offset.
const maxCTSMillis = 10_000

// Event is what one message contained. The zero value means: nothing of use.
type Event struct {
	// Config is set when the track's configuration is new or has changed; it
	// holds from Data on.
	Config *media.Config
	// Data is one access unit, nil when there was none. It is part of the
	// message's payload, not a copy.
	Data []byte
	// CTSMillis is PTS - DTS as it came; 0 for audio.
	CTSMillis int32
	// Key is true when a decoder can start at Data (IDR; IRAP in HEVC).
	Key bool
	// Broken means that an access unit was there and had to be dropped.
	Broken bool
}

// Demuxer remembers the configurations of one publisher. The zero value is
// ready. Not safe for concurrent use.
type Demuxer struct {
	video       paramSets
	lengthSize  int
	videoHeader []byte // as received, to know a repetition
	audioHeader []byte
	haveVideo   bool // a complete video configuration was given out
	broken      int  // in a row
}

// Video reads the body of a video message. An error wraps ErrUnsupported or
// ErrMalformed and means that this publisher cannot be carried on.
func (d *Demuxer) Video(payload []byte) (Event, error) {
	tag, err := parseVideoTag(payload)
	if err != nil {
		return Event{}, err
	}
	switch tag.content {
	case tagHeader:
		return d.videoConfig(tag)
	case tagUnit:
		return d.videoUnit(tag)
	case tagNothing:
	}
	return Event{}, nil
}

// Audio reads the body of an audio message; errors as for Video.
func (d *Demuxer) Audio(payload []byte) (Event, error) {
	tag, err := parseAudioTag(payload)
	if err != nil {
		return Event{}, err
	}
	switch tag.content {
	case tagHeader:
		if bytes.Equal(d.audioHeader, tag.body) || len(tag.body) == 0 {
			return Event{}, nil
		}
		config, err := parseAudioSpecificConfig(tag.body)
		if err != nil {
			return Event{}, err
		}
		d.audioHeader = tag.body
		return Event{Config: &config}, nil
	case tagUnit:
		if d.audioHeader != nil && len(tag.body) > 0 {
			return Event{Data: tag.body, Key: true}, nil
		}
	case tagNothing:
	}
	return Event{}, nil
}

// videoConfig takes a sequence header in. A repeated one says nothing, even
// when in-band parameter sets have changed the configuration since.
func (d *Demuxer) videoConfig(tag tag) (Event, error) {
	if len(tag.body) == 0 || tag.codec == d.video.codec && bytes.Equal(d.videoHeader, tag.body) {
		return Event{}, nil
	}
	parse, lengthByte := parseAVCRecord, 4
	if tag.codec == media.HEVC {
		parse, lengthByte = parseHEVCRecord, 21
	}
	sets, lengthSize, err := parse(tag.body)
	if err != nil {
		return Event{}, err
	}
	if lengthSize == 3 {
		return Event{}, fmt.Errorf("%w: NAL length size 3", ErrMalformed)
	}
	known := d.haveVideo && d.video.same(&sets)
	d.video, d.lengthSize, d.videoHeader = sets, lengthSize, tag.body
	if known || !sets.complete() {
		d.haveVideo = known
		return Event{}, nil
	}
	record := tag.body
	if lengthSize != 4 {
		record = bytes.Clone(record)
		record[lengthByte] |= 3
	}
	config, err := d.video.config(record)
	if err != nil {
		return Event{}, err
	}
	d.haveVideo = true
	return Event{Config: &config}, nil
}

func (d *Demuxer) videoUnit(tag tag) (Event, error) {
	if d.lengthSize == 0 || tag.codec != d.video.codec || len(tag.body) == 0 {
		return Event{}, nil // no header yet
	}
	unit, err := d.walk(tag.body)
	if err == nil && (tag.cts > maxCTSMillis || tag.cts < -maxCTSMillis) {
		err = fmt.Errorf("%w: composition offset of %d ms", ErrMalformed, tag.cts)
	}
	if err != nil {
		if d.broken++; d.broken >= maxBrokenUnits {
			return Event{}, fmt.Errorf("%d video access units in a row: %w", d.broken, err)
		}
		return Event{Broken: true}, nil
	}
	d.broken = 0
	var event Event
	if unit.changed != nil {
		if event.Config, err = d.adopt(unit.changed); err != nil {
			return Event{Broken: true}, nil //nolint:nilerr // the unit is dropped and counted
		}
	}
	if !unit.vcl || !d.haveVideo {
		return event, nil // parameter sets or SEI alone are no picture
	}
	event.Data, event.Key, event.CTSMillis = tag.body, unit.key, tag.cts
	if unit.rewrite {
		event.Data = rewriteLengths(tag.body, d.lengthSize)
	}
	return event, nil
}

// adopt makes in-band parameter sets the configuration.
func (d *Demuxer) adopt(sets *paramSets) (*media.Config, error) {
	if !sets.complete() {
		d.video = *sets
		return nil, nil
	}
	config, err := sets.config(nil)
	if err != nil {
		return nil, err
	}
	d.video, d.haveVideo = *sets, true
	return &config, nil
}

// unit is what a walk over the NAL units of an access unit found.
type unit struct {
	vcl, key bool
	rewrite  bool       // lengths are not plain 4-byte ones
	changed  *paramSets // in-band sets that differ from what is known
}

func (d *Demuxer) walk(body []byte) (unit, error) {
	found := unit{rewrite: d.lengthSize != 4}
	for len(body) > 0 {
		nal, rest, ok := nextNAL(body, d.lengthSize)
		if !ok {
			return unit{}, fmt.Errorf("%w: NAL unit length", ErrMalformed)
		}
		body = rest
		if len(nal) == 0 {
			found.rewrite = true // Chromium refuses an empty NAL unit
			continue
		}
		t := nalType(d.video.codec, nal[0])
		found.vcl = found.vcl || isVCL(d.video.codec, t)
		found.key = found.key || isKey(d.video.codec, t)
		if !isParamSet(d.video.codec, t) {
			continue
		}
		if err := d.inBand(&found, nal); err != nil {
			return unit{}, err
		}
	}
	return found, nil
}

// inBand compares a parameter set inside an access unit with what is known.
func (d *Demuxer) inBand(found *unit, nal []byte) error {
	sets := found.changed
	if sets == nil {
		sets = &d.video
		for i := range sets.sets {
			if bytes.Equal(sets.sets[i].nal, nal) {
				return nil
			}
		}
		clone := d.video.clone()
		sets = &clone
	}
	changed, err := sets.put(nal)
	if changed {
		found.changed = sets
	}
	return err
}

// nextNAL splits the first NAL unit off; ok is false when the length lies.
func nextNAL(body []byte, lengthSize int) (nal, rest []byte, ok bool) {
	if len(body) < lengthSize {
		return nil, nil, false
	}
	var size uint64
	for _, b := range body[:lengthSize] {
		size = size<<8 | uint64(b)
	}
	body = body[lengthSize:]
	if size > uint64(len(body)) {
		return nil, nil, false
	}
	return body[:size], body[size:], true
}

// rewriteLengths copies NAL units with 4-byte lengths, without empty ones.
// body has been walked.
func rewriteLengths(body []byte, lengthSize int) []byte {
	out := make([]byte, 0, len(body)+64)
	for len(body) > 0 {
		nal, rest, _ := nextNAL(body, lengthSize)
		body = rest
		if len(nal) > 0 {
			out = binary.BigEndian.AppendUint32(out, uint32(len(nal))) //nolint:gosec // part of a message
			out = append(out, nal...)
		}
	}
	return out
}
