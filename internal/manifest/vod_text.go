package manifest

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"time"
)

// playlist renders the VOD playlist of one rendition (RFC 8216, 4.3.3.5).
func (r *Recording) playlist(rendition string) []byte {
	var b strings.Builder
	b.Grow(len(r.segments) * 140)
	longest := r.longest()
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MEDIA-SEQUENCE:0\n",
		int64((longest+time.Second/2)/time.Second))
	independent := true
	for _, s := range r.segments {
		independent = independent && !s.dependent
	}
	if independent {
		b.WriteString("#EXT-X-INDEPENDENT-SEGMENTS\n")
	}
	var mapped string
	r.each(func(i int, d vodPeriod) {
		breaks := i == d.first && !d.seamless
		if breaks && d.Ordinal > 0 {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		t := d.track(rendition)
		gap := t < 0
		if gap {
			t = 0 // the times of the first track stand in
		} else if m := r.base + InitName(d.Epoch, d.Run, rendition); m != mapped || breaks {
			fmt.Fprintf(&b, "#EXT-X-MAP:URI=\"%s\"\n", m)
			mapped = m
		}
		s := r.segments[i]
		fmt.Fprintf(&b, "#EXT-X-PROGRAM-DATE-TIME:%s\n", time.UnixMilli(s.startedAt).UTC().Format(programDateTime))
		if gap {
			b.WriteString("#EXT-X-GAP\n")
		}
		fmt.Fprintf(&b, "#EXTINF:%s,\n%s%s/%s/%d%s\n", seconds(r.of(i, d)[t].Duration, d.Tracks[t].Timescale),
			r.base, Folder(d.Epoch, d.Run), rendition, s.number, ending(d.opening))
	})
	b.WriteString("#EXT-X-ENDLIST\n")
	return []byte(b.String())
}

// mpd renders the static MPD (ISO/IEC 23009-1): one Period per stretch, times
// listed as in the live one.
func (r *Recording) mpd() []byte {
	var b strings.Builder
	b.Grow(len(r.segments) * 80)
	longest := r.longest()
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
	fmt.Fprintf(&b, "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" type=\"static\""+
		" mediaPresentationDuration=\"%s\" maxSegmentDuration=\"%s\" minBufferTime=\"PT2S\">\n  <BaseURL>", xsDuration(r.Duration()), xsDuration(ceilMS(longest)))
	_ = xml.EscapeText(&b, []byte(r.base)) // a Builder cannot fail
	b.WriteString("</BaseURL>\n")
	for n, d := range r.periods {
		until := len(r.segments)
		end := r.Duration()
		if n+1 < len(r.periods) {
			until, end = r.periods[n+1].first, r.periods[n+1].Start
		}
		segments := make([]Segment, 0, until-d.first)
		sap := true
		for i := d.first; i < until; i++ {
			segments = append(segments, Segment{Spans: r.of(i, d)})
			sap = sap && !r.segments[i].dependent
		}
		r.period(&b, d, end-d.Start, segments, sap)
	}
	b.WriteString("</MPD>\n")
	return []byte(b.String())
}

func (r *Recording) period(b *strings.Builder, d vodPeriod, length time.Duration, segments []Segment, sap bool) {
	fmt.Fprintf(b, "  <Period id=\"%d\" start=\"%s\" duration=\"%s\">\n", d.Ordinal, xsDuration(d.Start), xsDuration(length))
	d.Tracks = slices.Clone(d.Tracks)
	for i := range d.Tracks {
		for _, known := range r.renditions {
			if known.Name == d.Tracks[i].Name {
				d.Tracks[i].BandwidthBPS = known.BandwidthBPS
			}
		}
	}
	d.adaptationSets(b, d.First, ending(d.opening), segments, sap)
	b.WriteString("  </Period>\n")
}
