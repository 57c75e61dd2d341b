package check

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// mpdDoc is the part of an MPD that is checked (ISO/IEC 23009-1, 5.3).
type mpdDoc struct {
	Type      string      `xml:"type,attr"`
	AST       string      `xml:"availabilityStartTime,attr"`
	Published string      `xml:"publishTime,attr"`
	MaxSeg    string      `xml:"maxSegmentDuration,attr"`
	Update    string      `xml:"minimumUpdatePeriod,attr"`
	Duration  string      `xml:"mediaPresentationDuration,attr"`
	Periods   []mpdPeriod `xml:"Period"`
}

type mpdPeriod struct {
	ID    string   `xml:"id,attr"`
	Start string   `xml:"start,attr"`
	Sets  []mpdSet `xml:"AdaptationSet"`
}

type mpdSet struct {
	ContentType string      `xml:"contentType,attr"`
	SAP         string      `xml:"startWithSAP,attr"`
	Template    mpdTemplate `xml:"SegmentTemplate"`
	Reps        []mpdRep    `xml:"Representation"`
}

type mpdRep struct {
	ID     string `xml:"id,attr"`
	Codecs string `xml:"codecs,attr"`
}

// of is the template of one representation (5.3.9.4.4).
func (m mpdTemplate) of(rep string) mpdTemplate {
	m.Init = strings.ReplaceAll(m.Init, "$RepresentationID$", rep)
	m.Media = strings.ReplaceAll(m.Media, "$RepresentationID$", rep)
	return m
}

type mpdTemplate struct {
	Timescale int64  `xml:"timescale,attr"`
	PTO       int64  `xml:"presentationTimeOffset,attr"`
	Number    uint64 `xml:"startNumber,attr"`
	Init      string `xml:"initialization,attr"`
	Media     string `xml:"media,attr"`
	S         []struct {
		T *int64 `xml:"t,attr"`
		D int64  `xml:"d,attr"`
		R int64  `xml:"r,attr"`
	} `xml:"SegmentTimeline>S"`
}

// listed is one segment that a SegmentTimeline lists.
type listed struct {
	number uint64
	t, d   int64
	uri    string
}

// segments expands the timeline.
func (m mpdTemplate) segments() ([]listed, error) {
	if m.Timescale <= 0 || strings.Count(m.Media, "$Number$") != 1 {
		return nil, errors.New("a template without timescale or $Number$")
	}
	var list []listed
	next, n := int64(0), m.Number
	for _, s := range m.S {
		if s.T != nil {
			if *s.T < next {
				return nil, fmt.Errorf("segment at S@t %d overlaps what ends at %d", *s.T, next)
			}
			next = *s.T
		}
		if s.R < 0 || s.R > 100_000 || s.D <= 0 {
			return nil, fmt.Errorf("timeline with S@d %d S@r %d", s.D, s.R)
		}
		for range s.R + 1 {
			list = append(list, listed{n, next, s.D, strings.Replace(m.Media, "$Number$", strconv.FormatUint(n, 10), 1)})
			next += s.D
			n++
		}
	}
	return list, nil
}

func parseMPD(body []byte) (mpdDoc, error) {
	var d mpdDoc
	err := xml.Unmarshal(body, &d)
	return d, err
}

// xsDuration reads "PT12.345S", the only form that is written.
func xsDuration(s string) (time.Duration, error) {
	body, ok := strings.CutPrefix(s, "PT")
	if !ok || !strings.HasSuffix(body, "S") || strings.ContainsAny(body, "mhnu") {
		return 0, fmt.Errorf("duration %q", s)
	}
	return time.ParseDuration(strings.ToLower(body))
}
