package check

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/manifest"
)

// Finding is one rule that one write breaks.
type Finding struct {
	// Write is its index in the log.
	Write int
	Key   string
	// Rule is a short stable name, such as "discontinuity".
	Rule string
	Text string
}

func (f Finding) String() string {
	return fmt.Sprintf("write %d, %s: %s: %s", f.Write, f.Key, f.Rule, f.Text)
}

// Check goes through everything that was written below prefix
// ("live/<playId>/") and answers what is wrong, in the order of the writes.
// No finding and at least one manifest means that the run is sound.
func Check(log []Write, prefix string) []Finding {
	c := &checker{
		log: log, prefix: prefix, born: map[string]int{}, lists: map[string]manifest.Playlist{},
		entries: map[string]manifest.Entry{}, discs: map[uint64]uint64{}, periods: map[string]seenPeriod{},
		inits: map[string]initInfo{}, segments: map[string]segmentInfo{}, looked: map[string]bool{},
		latest: map[string][]byte{},
	}
	for i, w := range log {
		c.at, c.key = i, strings.TrimPrefix(w.Key, prefix)
		if strings.HasPrefix(w.Key, prefix) && !w.Deleted {
			c.write(w)
		}
	}
	if len(c.lists) == 0 {
		c.key = prefix
		c.find("nothing", "no playlist was written")
	}
	return c.found
}

// checker holds what the writes up to now have said. Keys are relative.
type checker struct {
	log    []Write
	prefix string
	at     int
	key    string
	found  []Finding

	born    map[string]int               // first write of every object
	lists   map[string]manifest.Playlist // latest version of each playlist
	entries map[string]manifest.Entry    // "<playlist> <number>" as first seen
	discs   map[uint64]uint64            // number → discontinuity, in every playlist
	target  time.Duration
	latest  map[string][]byte

	doc       *mpdDoc // the latest
	published time.Time
	periods   map[string]seenPeriod

	inits    map[string]initInfo
	segments map[string]segmentInfo
	looked   map[string]bool // names of pairs that were compared already
}

func (c *checker) find(rule, format string, args ...any) {
	c.found = append(c.found, Finding{Write: c.at, Key: c.key, Rule: rule, Text: fmt.Sprintf(format, args...)})
}

func (c *checker) write(w Write) {
	first, again := c.born[c.key]
	if !again {
		c.born[c.key] = c.at
	}
	c.header(w)
	if again && bytes.Equal(c.latest[c.key], w.Body) {
		return // written again as it is
	}
	c.latest[c.key] = w.Body
	switch path.Ext(c.key) {
	case ".m4s", ".mp4":
		if again {
			c.find("immutable", "was written with other bytes before (write %d)", first)
		}
		c.object(w)
	case ".json":
		if again {
			c.find("immutable", "was written with other bytes before (write %d)", first)
		}
	case ".m3u8":
		if c.key == manifest.MasterName {
			c.master(w)
		} else {
			c.playlist(w)
		}
	case ".mpd":
		c.mpd(w)
	default:
		c.find("name", "no such object belongs here")
	}
}

// header checks what the viewer's cache and player are told.
func (c *checker) header(w Write) {
	types := map[string]string{".m3u8": "application/vnd.apple.mpegurl", ".mpd": "application/dash+xml", ".json": "application/json"}
	ext := path.Ext(c.key)
	want, cache := types[ext], "public, max-age=31536000, immutable"
	if ext == ".m3u8" || ext == ".mpd" {
		cache = "max-age=0, s-maxage=1"
	}
	ok := w.Options.ContentType == want
	if want == "" {
		ok = w.Options.ContentType == "video/mp4" || w.Options.ContentType == "audio/mp4"
	}
	if !ok || w.Options.CacheControl != cache {
		c.find("header", "Content-Type %q, Cache-Control %q", w.Options.ContentType, w.Options.CacheControl)
	}
	if w.Options.IfMatch == "" && !w.Options.IfNoneMatch {
		c.find("unconditional", "written without a condition")
	}
}

func (c *checker) object(w Write) {
	var err error
	if strings.HasSuffix(c.key, "-init.mp4") {
		c.inits[c.key], err = readInit(w.Body)
	} else {
		c.segments[c.key], err = readSegment(w.Body)
	}
	if err != nil {
		c.find("boxes", "%v", err)
	}
}

// readable says that an object was there before this write began.
func (c *checker) readable(uri string) bool {
	i, ok := c.born[uri]
	if !ok || i >= c.log[c.at].Before {
		c.find("readable", "names %s, which was not there yet", uri)
		return false
	}
	return true
}

// once is true the first time that something is looked at.
func (c *checker) once(what string) bool {
	if c.looked[what] {
		return false
	}
	c.looked[what] = true
	return true
}

// near compares times that were rounded to milliseconds on their way.
func near(a, b time.Duration) bool { return (a - b).Abs() <= 2*time.Millisecond }

func ticks(t, scale int64) time.Duration {
	return time.Duration(t/scale)*time.Second + time.Duration(t%scale*int64(time.Second)/scale)
}
