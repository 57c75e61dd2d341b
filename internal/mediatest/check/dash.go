package check

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// seenPeriod is what the first version with a Period said of it.
type seenPeriod struct {
	start string
	order int
	sets  map[string]string // representation → what must not change
}

func (c *checker) mpd(w Write) {
	doc, err := parseMPD(w.Body)
	if err != nil || len(doc.Periods) == 0 {
		c.find("syntax", "not an MPD with a Period: %v", err)
		return
	}
	c.versions(doc)
	c.doc = &doc
	ast, err := time.Parse(time.RFC3339Nano, doc.AST)
	if err != nil {
		c.find("syntax", "availabilityStartTime %q", doc.AST)
		return
	}
	last := time.Duration(-1)
	named := map[string]map[uint64]bool{}
	for _, p := range doc.Periods {
		start, err := xsDuration(p.Start)
		if err != nil || start <= last {
			c.find("period", "period %s starts at %s, not after the one before (%v)", p.ID, p.Start, last)
		}
		last = start
		c.period(p)
		for _, set := range p.Sets {
			c.adaptationSet(p, set, ast.Add(start), named)
		}
	}
	c.sameNumbers(named)
}

// versions compares an MPD with the one before.
func (c *checker) versions(doc mpdDoc) {
	at, err := time.Parse(time.RFC3339Nano, doc.Published)
	if err != nil || c.doc != nil && !at.After(c.published) {
		c.find("publish-time", "%q does not come after %v", doc.Published, c.published)
	}
	c.published = at
	switch {
	case c.doc != nil && doc.AST != c.doc.AST:
		c.find("availability-start", "changes from %s to %s", c.doc.AST, doc.AST)
	case c.doc != nil && c.doc.Type == "static":
		c.find("endlist", "written after the static MPD")
	}
	switch doc.Type {
	case "dynamic":
		if _, err := xsDuration(doc.Update); err != nil || doc.Duration != "" {
			c.find("syntax", "dynamic with minimumUpdatePeriod %q, duration %q", doc.Update, doc.Duration)
		}
	case "static":
		if _, err := xsDuration(doc.Duration); err != nil || doc.Update != "" {
			c.find("syntax", "static with minimumUpdatePeriod %q, duration %q", doc.Update, doc.Duration)
		}
	default:
		c.find("syntax", "type %q", doc.Type)
	}
}

// period: its start never changes and its id rises.
func (c *checker) period(p mpdPeriod) {
	id, err := strconv.Atoi(p.ID)
	if err != nil {
		c.find("period", "id %q", p.ID)
	}
	seen, again := c.periods[p.ID]
	if !again {
		for _, o := range c.periods {
			if o.order >= id {
				c.find("period", "period %s is new after %d", p.ID, o.order)
			}
		}
		c.periods[p.ID] = seenPeriod{start: p.Start, order: id, sets: map[string]string{}}
	} else if seen.start != p.Start {
		c.find("period", "the start of period %s changes from %s to %s", p.ID, seen.start, p.Start)
	}
}

func (c *checker) adaptationSet(p mpdPeriod, set mpdSet, start time.Time, named map[string]map[uint64]bool) {
	if len(set.Reps) == 0 {
		c.find("syntax", "no representation")
	}
	for _, rep := range set.Reps {
		c.representation(p, set, rep, start, named)
	}
}

func (c *checker) representation(p mpdPeriod, set mpdSet, rep mpdRep, start time.Time, named map[string]map[uint64]bool) {
	m := set.Template.of(rep.ID)
	fixed := fmt.Sprint(rep.Codecs, m.Timescale, m.PTO, m.Init, m.Media)
	if was, ok := c.periods[p.ID].sets[rep.ID]; ok && was != fixed {
		c.find("period", "%s of period %s changes from %s to %s", rep.ID, p.ID, was, fixed)
	}
	c.periods[p.ID].sets[rep.ID] = fixed
	list, err := m.segments()
	if err != nil {
		c.find("timeline", "%s of period %s: %v", rep.ID, p.ID, err)
		return
	}
	if named[rep.ID] == nil {
		named[rep.ID] = map[uint64]bool{}
	}
	if !c.readable(m.Init) {
		return
	}
	if init := c.inits[m.Init]; int64(init.timescale) != m.Timescale {
		c.find("timescale", "%s of period %s has %d, its init segment %d", rep.ID, p.ID, m.Timescale, init.timescale)
	}
	longest, _ := xsDuration(c.doc.MaxSeg)
	for _, s := range list {
		if named[rep.ID][s.number] {
			c.find("timeline", "%s lists segment %d twice", rep.ID, s.number)
		}
		named[rep.ID][s.number] = true
		if ticks(s.d, m.Timescale) > longest {
			c.find("max-segment", "segment %d of %s lasts %v, maxSegmentDuration is %q", s.number, rep.ID, ticks(s.d, m.Timescale), c.doc.MaxSeg)
		}
		c.listed(p, set, rep.ID, s, start)
	}
}

// listed compares one S with the boxes and with the playlist.
func (c *checker) listed(p mpdPeriod, set mpdSet, rep string, s listed, start time.Time) {
	m := set.Template.of(rep)
	if !c.once(fmt.Sprint("mpd ", rep, p.ID, " ", s, set.SAP)) {
		return
	}
	if !c.readable(s.uri) {
		return
	}
	segment := c.segments[s.uri]
	if segment.size > 0 && (!segment.begins(s.t, m.Timescale) || !lasts(ticks(s.d, m.Timescale), ticks(segment.duration, m.Timescale))) {
		c.find("timeline", "segment %d of %s is listed with t=%d d=%d, its boxes say %d and %d", s.number, rep, s.t, s.d, segment.earliest, segment.duration)
	}
	if segment.size > 0 && !segment.key && set.SAP != "" {
		c.find("key-frame", "segment %d of %s does not begin with a key frame, startWithSAP is %s", s.number, rep, set.SAP)
	}
	e, ok := c.entries[fmt.Sprintf("%s.m3u8 %d", rep, s.number)]
	if !ok {
		return // sameNumbers says so
	}
	at := start.Add(ticks(s.t-m.PTO, m.Timescale))
	if !near(at.Sub(e.Time), 0) {
		c.find("program-date-time", "segment %d of %s is at %v in HLS, %v in DASH", s.number, rep, e.Time, at)
	}
	if e.URI != s.uri || e.Map != m.Init || strconv.FormatUint(e.Discontinuity, 10) != p.ID {
		c.find("period", "segment %d of %s is %s in period %s, and %s after %d discontinuities in HLS", s.number, rep, s.uri, p.ID, e.URI, e.Discontinuity)
	}
}

// sameNumbers: the MPD lists what the playlists before it list, no more, no less.
func (c *checker) sameNumbers(named map[string]map[uint64]bool) {
	for rep := range named {
		if _, ok := c.lists[rep+".m3u8"]; !ok {
			c.find("numbers", "%s has no playlist", rep)
		}
	}
	for name, list := range c.lists {
		rep := strings.TrimSuffix(name, ".m3u8")
		numbers := named[rep]
		want := 0
		for _, e := range list.Entries {
			if e.Gap {
				continue
			}
			want++
			if !numbers[e.Number] {
				c.find("numbers", "segment %d of %s is in the playlist but not in the MPD", e.Number, rep)
			}
		}
		if want < len(numbers) {
			c.find("numbers", "the MPD lists %d segments of %s, the playlist %d", len(numbers), rep, want)
		}
	}
}
