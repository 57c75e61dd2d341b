package manifest

import (
	"fmt"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/media"
)

const programDateTime = "2006-01-02T15:04:05.000Z07:00"

// ladderHoldBack is how many target durations a player stays behind the end of a
// live playlist where it may choose among renditions (RFC 8216bis 4.4.3.8;
// docs/adr/0013-live-ladders.md). Without the tag it is three: too few to give a
// segment up and load another playlist and segment in time.
const ladderHoldBack = 4

// PlaylistName is the file name of a rendition's media playlist.
func PlaylistName(rendition string) string { return rendition + ".m3u8" }

// Playlist renders the media playlist of one rendition (RFC 8216, 4.3.3; version
// 7 for EXT-X-MAP with fragmented MP4). All renditions have the same numbers
// and discontinuities. The one named by RecordName carries the record.
func (p Presentation) Playlist(rendition string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-DISCONTINUITY-SEQUENCE:%d\n",
		int64(p.TargetDuration/time.Second), p.First, p.discontinuitySequence())
	if p.independent() {
		b.WriteString("#EXT-X-INDEPENDENT-SEGMENTS\n")
	}
	if !p.Ended && p.ladder() {
		fmt.Fprintf(&b, "#EXT-X-SERVER-CONTROL:HOLD-BACK=%d\n", int64(ladderHoldBack*p.TargetDuration/time.Second))
	}
	if PlaylistName(rendition) == RecordName {
		b.WriteString(p.recordLine())
	} else {
		b.WriteString(p.versionLine())
	}
	for i := range p.Segments {
		p.entry(&b, rendition, i)
	}
	if p.Ended {
		b.WriteString("#EXT-X-ENDLIST\n")
	}
	return []byte(b.String())
}

func (p Presentation) entry(b *strings.Builder, rendition string, i int) {
	n := p.number(i)
	d := p.period(n)
	if n == d.First && d.Ordinal > 0 {
		b.WriteString("#EXT-X-DISCONTINUITY\n")
	}
	t := d.track(rendition)
	gap := t < 0 || p.Hidden
	if gap {
		t = 0 // the times of the first track stand in
	} else if i == 0 || n == d.First {
		fmt.Fprintf(b, "#EXT-X-MAP:URI=\"%s\"\n", InitName(d.Epoch, d.Run, rendition))
	}
	span := p.Segments[i].Spans[t]
	at := p.AvailabilityStart.Add(d.offset(t, span)).Round(time.Millisecond)
	fmt.Fprintf(b, "#EXT-X-PROGRAM-DATE-TIME:%s\n", at.Format(programDateTime))
	if gap {
		b.WriteString("#EXT-X-GAP\n")
	}
	fmt.Fprintf(b, "#EXTINF:%s,\n%s\n", seconds(span.Duration, d.Tracks[t].Timescale), SegmentName(d.Epoch, d.Run, rendition, n))
}

// discontinuitySequence counts the tags that left the window: the first
// segment's own tag, when it has one, is still there (RFC 8216, 6.2.2).
func (p Presentation) discontinuitySequence() uint64 {
	d := p.period(p.First)
	if d.First == p.First && d.Ordinal > 0 {
		return d.Ordinal - 1
	}
	return d.Ordinal
}

func (p Presentation) independent() bool {
	for _, s := range p.Segments {
		if s.Dependent {
			return false
		}
	}
	return true
}

// ladder says whether a player may choose among renditions.
func (p Presentation) ladder() bool {
	n := 0
	for _, r := range p.Renditions {
		if r.Kind == media.Video {
			n++
		}
	}
	return n > 1
}

// seconds writes ticks with six decimals: enough to get every tick back.
func seconds(t media.Ticks, scale uint32) string {
	us := (int64(t)*1_000_000 + int64(scale)/2) / int64(scale)
	return fmt.Sprintf("%d.%06d", us/1_000_000, us%1_000_000)
}

// Master renders master.m3u8 (RFC 8216, 4.3.4). It changes only where a
// rendition does, except for its version line.
func (p Presentation) Master() []byte {
	var b strings.Builder
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n" + p.versionLine())
	var audio *Rendition
	video := false
	for _, r := range p.Renditions {
		if r.Kind == media.Audio {
			audio = &r
		} else {
			video = true
		}
	}
	if !video {
		for _, r := range p.Renditions {
			fmt.Fprintf(&b, "#EXT-X-STREAM-INF:BANDWIDTH=%d,CODECS=\"%s\"\n%s\n", r.BandwidthBPS, r.Codecs, PlaylistName(r.Name))
		}
		return []byte(b.String())
	}
	if audio != nil {
		fmt.Fprintf(&b, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"audio\",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"%d\",URI=\"%s\"\n",
			audio.Channels, PlaylistName(audio.Name))
	}
	for _, r := range p.Renditions {
		if r.Kind == media.Video {
			streamInf(&b, r, audio)
		}
	}
	return []byte(b.String())
}

func streamInf(b *strings.Builder, r Rendition, audio *Rendition) {
	bps, codecs, group := r.BandwidthBPS, r.Codecs, ""
	if audio != nil {
		bps, codecs, group = bps+audio.BandwidthBPS, codecs+","+audio.Codecs, ",AUDIO=\"audio\""
	}
	fmt.Fprintf(b, "#EXT-X-STREAM-INF:BANDWIDTH=%d,CODECS=\"%s\"", bps, codecs)
	if r.WidthPixels > 0 && r.HeightPixels > 0 {
		fmt.Fprintf(b, ",RESOLUTION=%dx%d", r.WidthPixels, r.HeightPixels)
	}
	fmt.Fprintf(b, "%s,CLOSED-CAPTIONS=NONE\n%s\n", group, PlaylistName(r.Name))
}
