package manifest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Playlist is a media playlist as read: the subset of RFC 8216 that Playlist
// renders, strictly.
type Playlist struct {
	TargetDuration        time.Duration
	MediaSequence         uint64
	DiscontinuitySequence uint64
	Independent, Ended    bool
	HoldBack              time.Duration // 0 = not said: three target durations
	Entries               []Entry
}

// Entry is one segment of a Playlist.
type Entry struct {
	Number uint64
	// Discontinuity is the discontinuity sequence number; Tag: it has the tag.
	Discontinuity uint64
	Tag           bool
	// Map is the URI of the init segment in force; "" = none.
	Map      string
	Time     time.Time
	Duration time.Duration
	Gap      bool
	URI      string
}

// ParsePlaylist reads a media playlist. An unknown or repeated tag, a missing
// one, or anything out of bounds is an error.
func ParsePlaylist(body []byte) (Playlist, error) {
	if len(body) > maxBodyBytes {
		return Playlist{}, fmt.Errorf("%d bytes are too many for a playlist", len(body))
	}
	lines := strings.Split(string(body), "\n")
	if lines[0] != "#EXTM3U" || lines[len(lines)-1] != "" {
		return Playlist{}, errors.New("not a whole playlist")
	}
	q := parser{seen: map[string]bool{}}
	for i, line := range lines[1 : len(lines)-1] {
		if err := q.line(line); err != nil {
			return Playlist{}, fmt.Errorf("line %d: %w", i+2, err)
		}
	}
	if !q.seen["#EXT-X-VERSION"] || !q.seen["#EXT-X-TARGETDURATION"] || !q.seen["#EXT-X-MEDIA-SEQUENCE"] || q.open {
		return Playlist{}, errors.New("the playlist lacks a tag or a segment")
	}
	return q.list, nil
}

// parser holds the tags that wait for the URI that they belong to.
type parser struct {
	list  Playlist
	seen  map[string]bool
	entry Entry
	open  bool // a segment's tag without its URI yet
	disc  uint64
}

func (q *parser) line(line string) error {
	switch {
	case q.list.Ended:
		return errors.New("text after EXT-X-ENDLIST")
	case line == "":
		return errors.New("empty line")
	case !strings.HasPrefix(line, "#"):
		return q.uri(line)
	case !strings.HasPrefix(line, "#EXT"):
		return nil
	}
	name, value, _ := strings.Cut(line, ":")
	once := !strings.Contains(" #EXT-X-DISCONTINUITY #EXT-X-MAP #EXT-X-PROGRAM-DATE-TIME #EXT-X-GAP #EXTINF ", " "+name+" ")
	if once && (q.seen[name] || len(q.list.Entries) > 0 && name != "#EXT-X-ENDLIST") {
		return fmt.Errorf("%s is repeated or comes late", name)
	}
	q.seen[name] = true
	if once {
		return q.head(name, value)
	}
	return q.segment(name, value)
}

func (q *parser) head(name, value string) (err error) {
	switch name {
	case "#EXT-X-VERSION":
		if value != "7" {
			return fmt.Errorf("version %q", value)
		}
	case "#EXT-X-TARGETDURATION":
		var s uint64
		s, err = strconv.ParseUint(value, 10, 8)
		q.list.TargetDuration = time.Duration(s) * time.Second
	case "#EXT-X-MEDIA-SEQUENCE":
		q.list.MediaSequence, err = number(value)
	case "#EXT-X-DISCONTINUITY-SEQUENCE":
		q.list.DiscontinuitySequence, err = number(value)
		q.disc = q.list.DiscontinuitySequence
	case "#EXT-X-INDEPENDENT-SEGMENTS":
		q.list.Independent = true
	case "#EXT-X-SERVER-CONTROL":
		seconds, ok := strings.CutPrefix(value, "HOLD-BACK=")
		if !ok {
			return errors.New("EXT-X-SERVER-CONTROL without HOLD-BACK")
		}
		var s uint64
		s, err = strconv.ParseUint(seconds, 10, 16)
		q.list.HoldBack = time.Duration(s) * time.Second
	case "#EXT-X-ENDLIST":
		if q.open {
			return errors.New("EXT-X-ENDLIST inside a segment")
		}
		q.list.Ended = true
	default:
		return fmt.Errorf("unknown tag %.40q", name)
	}
	return err
}

func (q *parser) segment(name, value string) (err error) {
	q.open = true
	switch name {
	case "#EXT-X-DISCONTINUITY":
		if q.entry.Tag {
			return errors.New("two discontinuities")
		}
		q.entry.Tag = true
		q.disc++
		q.entry.Map = ""
	case "#EXT-X-MAP":
		uri, ok := strings.CutPrefix(value, `URI="`)
		if uri, ok2 := strings.CutSuffix(uri, `"`); ok && ok2 && uri != "" && !strings.Contains(uri, `"`) {
			q.entry.Map = uri
			return nil
		}
		return errors.New("EXT-X-MAP without a URI")
	case "#EXT-X-PROGRAM-DATE-TIME":
		q.entry.Time, err = time.Parse(programDateTime, value)
	case "#EXT-X-GAP":
		q.entry.Gap = true
	case "#EXTINF":
		q.entry.Duration, err = extinf(value)
	}
	return err
}

func (q *parser) uri(line string) error {
	if q.entry.Duration <= 0 || q.entry.Time.IsZero() {
		return errors.New("a segment without EXTINF or EXT-X-PROGRAM-DATE-TIME")
	}
	if len(q.list.Entries) >= maxSegments {
		return errors.New("too many segments")
	}
	q.entry.URI = line
	q.entry.Number = q.list.MediaSequence + uint64(len(q.list.Entries))
	q.entry.Discontinuity = q.disc
	q.list.Entries = append(q.list.Entries, q.entry)
	q.entry = Entry{Map: q.entry.Map}
	q.open = false
	return nil
}

func number(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err == nil && n > maxNumber {
		err = fmt.Errorf("%d is too large", n)
	}
	return n, err
}

// extinf reads "2.000000," (RFC 8216, 4.3.2.1).
func extinf(value string) (time.Duration, error) {
	whole, fraction, _ := strings.Cut(strings.TrimSuffix(value, ","), ".")
	if len(whole) > 5 || len(fraction) != 6 || !strings.HasSuffix(value, ",") {
		return 0, fmt.Errorf("EXTINF %.40q", value)
	}
	us, err := strconv.ParseUint(whole+fraction, 10, 40)
	return time.Duration(us) * time.Microsecond, err
}
