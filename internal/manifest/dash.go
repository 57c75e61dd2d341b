package manifest

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/media"
)

// minPresentationDelay is how far behind the live edge a DASH player stays at
// least: two segments of 2 s (docs/cmaf.md).
const minPresentationDelay = 4 * time.Second

// MPD renders manifest.mpd (ISO/IEC 23009-1): dynamic, and static once Ended.
// Numbers are named ($Number$) and times listed (SegmentTimeline), because
// dash.js never starts with @duration on a variable GOP.
func (p Presentation) MPD() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- roomcast version epoch=%d counter=%d -->\n", p.Epoch, p.Counter)
	b.WriteString(`<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-live:2011"`)
	fmt.Fprintf(&b, " availabilityStartTime=\"%s\" publishTime=\"%s\" maxSegmentDuration=\"%s\" minBufferTime=\"%s\"",
		dateTime(p.AvailabilityStart), dateTime(p.Published), xsDuration(p.maxSegment()), xsDuration(p.TargetDuration))
	if p.Ended {
		fmt.Fprintf(&b, " type=\"static\" mediaPresentationDuration=\"%s\">\n", xsDuration(ceilMS(p.End())))
	} else {
		fmt.Fprintf(&b, " type=\"dynamic\" minimumUpdatePeriod=\"%s\" timeShiftBufferDepth=\"%s\" suggestedPresentationDelay=\"%s\">\n",
			xsDuration(p.TargetDuration/2), xsDuration(p.window()),
			xsDuration(max(minPresentationDelay, 2*p.TargetDuration)))
	}
	for _, d := range p.Periods {
		p.periodXML(&b, d)
	}
	if p.TimeURL != "" && !p.Ended {
		b.WriteString(`  <UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-xsdate:2014" value="`)
		_ = xml.EscapeText(&b, []byte(p.TimeURL)) // a Builder cannot fail
		b.WriteString("\"/>\n")
	}
	b.WriteString("</MPD>\n")
	return []byte(b.String())
}

// maxSegment is at least the longest S@d: the playlists' limit, or what was longer.
func (p Presentation) maxSegment() time.Duration {
	longest := p.TargetDuration + 500*time.Millisecond
	for i, s := range p.Segments {
		d := p.period(p.number(i))
		for j, span := range s.Spans {
			longest = max(longest, ceilMS(duration(span.Duration, d.Tracks[j].Timescale)))
		}
	}
	return longest
}

func (p Presentation) periodXML(b *strings.Builder, d Period) {
	fmt.Fprintf(b, "  <Period id=\"%d\" start=\"%s\">\n", d.Ordinal, xsDuration(d.Start))
	first := max(d.First, p.First)
	var segments []Segment
	sap := true
	for i := first - p.First; i < uint64(len(p.Segments)) && p.period(p.First+i).Ordinal == d.Ordinal; i++ {
		segments = append(segments, p.Segments[i])
		sap = sap && !p.Segments[i].Dependent
	}
	d.adaptationSets(b, first, ending(false), segments, sap)
	b.WriteString("  </Period>\n")
}

// adaptationSets writes one AdaptationSet for video and one for audio. The
// renditions of a kind have the same cuts (validate), so that they share
// template and timeline. suffix is the ending of the segments' names.
func (d Period) adaptationSets(b *strings.Builder, first uint64, suffix string, segments []Segment, sap bool) {
	for i, t := range d.Tracks {
		if i > 0 && d.Tracks[i-1].Kind == t.Kind {
			continue
		}
		alike, name := d.Tracks[i:i+1], t.Name
		for len(alike) < len(d.Tracks)-i && d.Tracks[i+len(alike)].Kind == t.Kind {
			alike, name = d.Tracks[i:i+len(alike)+1], "$RepresentationID$"
		}
		fmt.Fprintf(b, "    <AdaptationSet id=\"%d\" contentType=\"%s\" mimeType=\"%s/mp4\" segmentAlignment=\"true\"", int(t.Kind), t.Kind, t.Kind)
		if sap || t.Kind == media.Audio {
			b.WriteString(` startWithSAP="1"`)
		}
		b.WriteString(">\n")
		if t.Kind == media.Audio && t.Channels > 0 {
			fmt.Fprintf(b, "      <AudioChannelConfiguration schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" value=\"%d\"/>\n", t.Channels)
		}
		fmt.Fprintf(b, "      <SegmentTemplate timescale=\"%d\" presentationTimeOffset=\"%d\" startNumber=\"%d\" initialization=\"%s\" media=\"%s/%s/$Number$%s\">\n        <SegmentTimeline>\n",
			t.Timescale, t.Origin, first, InitName(d.Epoch, d.Run, name), Folder(d.Epoch, d.Run), name, suffix)
		timeline(b, segments, i)
		b.WriteString("        </SegmentTimeline>\n      </SegmentTemplate>\n")
		for _, r := range alike {
			representation(b, r)
		}
		b.WriteString("    </AdaptationSet>\n")
	}
}

// timeline lists S elements; @r joins those that follow without a hole.
func timeline(b *strings.Builder, segments []Segment, track int) {
	for i := 0; i < len(segments); {
		s := segments[i].Spans[track]
		n := 1
		for ; i+n < len(segments); n++ {
			next := segments[i+n].Spans[track]
			if next.Duration != s.Duration || next.PTS != s.PTS+media.Ticks(n)*s.Duration {
				break
			}
		}
		fmt.Fprintf(b, "          <S t=\"%d\" d=\"%d\"", s.PTS, s.Duration)
		if n > 1 {
			fmt.Fprintf(b, " r=\"%d\"", n-1)
		}
		b.WriteString("/>\n")
		i += n
	}
}

func representation(b *strings.Builder, t Track) {
	fmt.Fprintf(b, "      <Representation id=\"%s\" codecs=\"%s\" bandwidth=\"%d\"", t.Name, t.Codecs, t.BandwidthBPS)
	if t.Kind == media.Video && t.WidthPixels > 0 && t.HeightPixels > 0 {
		fmt.Fprintf(b, " width=\"%d\" height=\"%d\"", t.WidthPixels, t.HeightPixels)
	}
	if t.Kind == media.Audio {
		fmt.Fprintf(b, " audioSamplingRate=\"%d\"", t.SampleRateHz)
	}
	b.WriteString("/>\n")
}

func dateTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// xsDuration writes whole milliseconds as xs:duration, "PT2.5S".
func xsDuration(d time.Duration) string {
	s := fmt.Sprintf("%d.%03d", d/time.Second, d%time.Second/time.Millisecond)
	return "PT" + strings.TrimSuffix(strings.TrimRight(s, "0"), ".") + "S"
}
