package check

import (
	"fmt"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/manifest"
)

// holeTolerance is how far PROGRAM-DATE-TIME may be from the sum of the
// durations before it in one run: the reorder delay may differ by a picture. So
// may what is announced be shorter than what the samples last.
const holeTolerance = 150 * time.Millisecond

func (c *checker) playlist(w Write) {
	list, err := manifest.ParsePlaylist(w.Body)
	if err != nil {
		c.find("syntax", "%v", err)
		return
	}
	old, again := c.lists[c.key]
	c.lists[c.key] = list
	if c.target == 0 {
		c.target = list.TargetDuration
	}
	if list.TargetDuration != c.target {
		c.find("target-duration", "changes from %v to %v", c.target, list.TargetDuration)
	}
	if len(list.Entries) == 0 {
		c.find("sequence", "no segments")
		return
	}
	if again {
		c.follows(old, list)
	}
	for i, e := range list.Entries {
		c.entry(e)
		if i > 0 {
			c.neighbours(list.Entries[i-1], e)
		}
	}
}

// follows compares a version with the one before (RFC 8216, 6.2.1 and 6.2.2).
func (c *checker) follows(old, list manifest.Playlist) {
	oldLast, last := old.Entries[len(old.Entries)-1].Number, list.Entries[len(list.Entries)-1].Number
	switch {
	case list.MediaSequence < old.MediaSequence || last < oldLast:
		c.find("sequence", "goes back from %d–%d to %d–%d", old.MediaSequence, oldLast, list.MediaSequence, last)
	case list.MediaSequence > oldLast+1:
		c.find("sequence", "skips from %d to %d", oldLast, list.MediaSequence)
	}
	if list.DiscontinuitySequence < old.DiscontinuitySequence {
		c.find("discontinuity", "EXT-X-DISCONTINUITY-SEQUENCE goes back from %d to %d", old.DiscontinuitySequence, list.DiscontinuitySequence)
	}
	if old.Ended && !list.Ended {
		c.find("endlist", "EXT-X-ENDLIST is taken back")
	}
	if old.Ended && last > oldLast {
		c.find("endlist", "segments after EXT-X-ENDLIST")
	}
	var total time.Duration
	for _, e := range list.Entries {
		total += e.Duration
	}
	if list.MediaSequence > old.MediaSequence && total < 3*list.TargetDuration {
		c.find("window", "segments left a playlist of only %v", total)
	}
}

// entry compares a segment with what was said of it before, with its own
// playlist's limits, with its boxes, and with the other playlists.
func (c *checker) entry(e manifest.Entry) {
	name := fmt.Sprintf("%s %d", c.key, e.Number)
	was, again := c.entries[name]
	if again {
		was.Tag = e.Tag // an own tag may go when the segment is the first one
		if was != e {
			c.find("changed", "segment %d was %+v, is %+v", e.Number, was, e)
		}
		return
	}
	c.entries[name] = e
	if d, ok := c.discs[e.Number]; ok && d != e.Discontinuity {
		c.find("discontinuity", "segment %d has number %d here and %d in another playlist or version", e.Number, e.Discontinuity, d)
	} else {
		c.discs[e.Number] = e.Discontinuity
	}
	if e.Duration.Round(time.Second) > c.target {
		c.find("target-duration", "segment %d lasts %v, the target duration is %v", e.Number, e.Duration, c.target)
	}
	if e.Gap {
		return
	}
	if !c.readable(e.URI) || e.Map == "" || !c.readable(e.Map) {
		if e.Map == "" {
			c.find("map", "segment %d has no EXT-X-MAP", e.Number)
		}
		return
	}
	c.boxes(e)
}

func (c *checker) boxes(e manifest.Entry) {
	init, segment := c.inits[e.Map], c.segments[e.URI]
	if init.timescale == 0 || segment.size == 0 {
		return // already found
	}
	// The folder of a segment holds the init segment that it was made with.
	if folder(e.Map) != folder(e.URI) {
		c.find("map", "segment %d is %s under %s", e.Number, e.URI, e.Map)
	}
	if got := ticks(segment.duration, int64(init.timescale)); !lasts(e.Duration, got) {
		c.find("duration", "segment %d has EXTINF %v, its boxes last %v", e.Number, e.Duration, got)
	}
	if !segment.key && c.lists[c.key].Independent {
		c.find("key-frame", "segment %d does not begin with a key frame", e.Number)
	}
}

// neighbours compares two segments that follow each other.
func (c *checker) neighbours(a, b manifest.Entry) {
	if !c.once(fmt.Sprintf("%s %d-%d", c.key, a.Number, b.Number)) {
		return
	}
	if a.Discontinuity != b.Discontinuity {
		return
	}
	if a.Map != b.Map || folder(a.URI) != folder(b.URI) {
		c.find("discontinuity", "segment %d has another init segment than %d and no EXT-X-DISCONTINUITY", b.Number, a.Number)
	}
	if hole := b.Time.Sub(a.Time.Add(a.Duration)); hole.Abs() > holeTolerance {
		c.find("program-date-time", "segment %d begins %v after the end of %d", b.Number, hole, a.Number)
	}
	init, x, y := c.inits[a.Map], c.segments[a.URI], c.segments[b.URI]
	if a.Gap || b.Gap || init.timescale == 0 || x.size == 0 || y.size == 0 {
		return
	}
	if y.tfdt != x.tfdt+x.duration {
		c.find("tfdt", "segment %d decodes from %d on, %d ends at %d", b.Number, y.tfdt, a.Number, x.tfdt+x.duration)
	}
	media := ticks(y.earliest-x.earliest, int64(init.timescale))
	if own := ticks(x.duration, int64(init.timescale)); !near(a.Duration, own) && !near(a.Duration, media) && x.key && y.key {
		c.find("duration", "segment %d has EXTINF %v, its boxes last %v, the next one is shown %v later", a.Number, a.Duration, own, media)
	}
	if pdt := b.Time.Sub(a.Time); !near(pdt, media) && (x.key && y.key || (pdt-media).Abs() > holeTolerance) {
		c.find("program-date-time", "from %d to %d it advances %v, the pictures %v", a.Number, b.Number, b.Time.Sub(a.Time), media)
	}
}

// master checks that every playlist that is named was there before.
func (c *checker) master(w Write) {
	uris := 0
	for line := range strings.Lines(string(w.Body)) {
		line = strings.TrimSuffix(line, "\n")
		if _, rest, ok := strings.Cut(line, `URI="`); ok {
			uri, _, _ := strings.Cut(rest, `"`)
			c.readable(uri)
		}
		if strings.HasPrefix(line, "#EXT-X-STREAM-INF:") && (!strings.Contains(line, "CODECS=") || !strings.Contains(line, "BANDWIDTH=")) {
			c.find("syntax", "a variant without CODECS or BANDWIDTH")
		}
		if line != "" && !strings.HasPrefix(line, "#") {
			uris++
			c.readable(line)
		}
	}
	if uris == 0 {
		c.find("syntax", "no variant")
	}
}

// folder is the run's folder, "s<epoch>-<run>".
func folder(uri string) string { f, _, _ := strings.Cut(uri, "/"); return f }

// begins is true where a segment may be announced from t on: with its earliest
// picture, or later where it begins in the middle of reordered ones.
func (s segmentInfo) begins(t, timescale int64) bool {
	late := ticks(t-s.earliest, timescale)
	return late == 0 || !s.key && late > 0 && late <= holeTolerance
}

// lasts is true where a duration may be announced for samples that last so long.
func lasts(announced, samples time.Duration) bool {
	return announced <= samples+2*time.Millisecond && announced >= samples-2*holeTolerance
}
