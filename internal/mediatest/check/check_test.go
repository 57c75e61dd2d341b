package check_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/manifest"
	"github.com/roomcast/roomcast/internal/media"
	"github.com/roomcast/roomcast/internal/mediatest/check"
	"github.com/roomcast/roomcast/internal/mediatest/check/boxes"
)

const prefix = "live/p1/"

// run writes a good run without a storage: 24 segments of video with reorder
// delay and 44.1 kHz audio, a reconnect with 48 kHz after the 18th, the end.
type run struct {
	t   *testing.T
	log []check.Write
}

func (r *run) put(name, contentType, cache string, body []byte) {
	r.log = append(r.log, check.Write{
		Key: prefix + name, Body: body, Before: len(r.log),
		Options: control.PutOptions{ContentType: contentType, CacheControl: cache, IfNoneMatch: true},
	})
}

func (r *run) object(name string, kind media.Kind, body []byte, err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	r.put(name, kind.String()+"/mp4", "public, max-age=31536000, immutable", body)
}

func goodRun(t *testing.T) []check.Write {
	r := &run{t: t}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p := manifest.Presentation{TargetDuration: 2 * time.Second, Window: 30 * time.Second}
	for _, s := range []struct {
		epoch       uint64
		rate, count int
	}{{1, 44_100, 18}, {2, 48_000, 6}} {
		for _, k := range []media.Kind{media.Video, media.Audio} {
			scale := map[media.Kind]int{media.Video: 90_000, media.Audio: s.rate}[k]
			body, err := boxes.Init(k, uint32(scale))
			r.object(manifest.InitName(s.epoch, 0, k.String()[:1]), k, body, err)
		}
		for i := range s.count {
			p = r.segment(p, s.epoch, s.rate, i, at)
			at = at.Add(2 * time.Second)
		}
		at = at.Add(time.Minute)
	}
	files, err := manifest.Close(p.Playlist("v"), at)
	if err != nil {
		t.Fatal(err)
	}
	r.manifests(files)
	return r.log
}

func (r *run) segment(p manifest.Presentation, epoch uint64, rate, i int, at time.Time) manifest.Presentation {
	r.t.Helper()
	add := manifest.Addition{Epoch: epoch, Start: at, Tracks: []manifest.Track{
		{Timescale: 90_000, Rendition: manifest.Rendition{Name: "v", Kind: media.Video, Codecs: "avc1.42c01e"}},
		{Timescale: uint32(rate), Rendition: manifest.Rendition{Name: "a", Kind: media.Audio, Codecs: "mp4a.40.2", Channels: 2}},
	}, Spans: []manifest.Span{
		{PTS: media.Ticks(6_000 + i*180_000), Duration: 180_000, SizeBytes: 1},
		{PTS: media.Ticks(i * 93 * 1024), Duration: 93 * 1024, SizeBytes: 1},
	}}
	if p.IndexDue() {
		_, _, p = p.NextIndex()
	}
	p, err := p.Version(epoch, at).Append(add)
	if err != nil {
		r.t.Fatal(err)
	}
	body, err := boxes.Segment(media.Video, add.Spans[0].PTS-6_000, 50, 3_600, 6_000)
	r.object(manifest.SegmentName(epoch, 0, "v", p.Last()), media.Video, body, err)
	body, err = boxes.Segment(media.Audio, add.Spans[1].PTS, 93, 1024, 0)
	r.object(manifest.SegmentName(epoch, 0, "a", p.Last()), media.Audio, body, err)
	r.manifests(p.Files())
	return p
}

func (r *run) manifests(files []manifest.File) {
	for _, f := range files {
		r.put(f.Name, f.ContentType, manifest.CacheControl, f.Body)
	}
}

func TestAGoodRunHasNoFinding(t *testing.T) {
	for _, f := range check.Check(goodRun(t), prefix) {
		t.Error(f)
	}
}

func TestNothingWrittenIsAFinding(t *testing.T) {
	if len(check.Check(nil, prefix)) == 0 {
		t.Error("no finding")
	}
}

// text changes the text of every version of a manifest from a write on.
func text(log []check.Write, name string, from int, change func(string) string) []check.Write {
	for i := range log {
		if i >= from && log[i].Key == prefix+name {
			log[i].Body = []byte(change(string(log[i].Body)))
		}
	}
	return log
}

func replace(name, old, with string) func([]check.Write) []check.Write {
	return func(log []check.Write) []check.Write {
		return text(log, name, 0, func(s string) string { return strings.ReplaceAll(s, old, with) })
	}
}

// last is replace in the latest version alone.
func last(name, old, with string) func([]check.Write) []check.Write {
	return func(log []check.Write) []check.Write {
		from := 0
		for i, w := range log {
			if w.Key == prefix+name {
				from = i
			}
		}
		return text(log, name, from, func(s string) string { return strings.ReplaceAll(s, old, with) })
	}
}

// object changes the bytes of a segment or init segment.
func object(name string, change func([]byte) []byte) func([]check.Write) []check.Write {
	return func(log []check.Write) []check.Write {
		for i := range log {
			if log[i].Key == prefix+name {
				log[i].Body = change(bytes.Clone(log[i].Body))
			}
		}
		return log
	}
}

func segment(kind media.Kind, tfdt media.Ticks, count int, dur, cts uint32) func([]byte) []byte {
	return func([]byte) []byte {
		body, err := boxes.Segment(kind, tfdt, count, dur, cts)
		if err != nil {
			panic(err)
		}
		return body
	}
}

// patch overwrites bytes behind a box's name.
func patch(box string, offset int, with ...byte) func([]byte) []byte {
	return func(b []byte) []byte {
		copy(b[bytes.Index(b, []byte(box))+4+offset:], with)
		return b
	}
}

func editList(b []byte) []byte {
	// An empty edts in the place of a udta-like box: grow trak and moov by 8.
	i := bytes.Index(b, []byte("mdia")) - 4
	b = slices.Insert(b, i, 0, 0, 0, 8, 'e', 'd', 't', 's')
	for _, box := range []string{"moov", "trak"} {
		j := bytes.Index(b, []byte(box)) - 1
		b[j] += 8
	}
	return b
}

func move(key, behind string) func([]check.Write) []check.Write {
	return func(log []check.Write) []check.Write {
		i := slices.IndexFunc(log, func(w check.Write) bool { return w.Key == prefix+key })
		w := log[i]
		log = slices.Delete(log, i, i+1)
		at := i
		for at < len(log) && log[at].Key != prefix+behind {
			at++
		}
		log = slices.Insert(log, at+1, w)
		for i := range log {
			log[i].Before = i
		}
		return log
	}
}

func again(name string, change func([]byte) []byte) func([]check.Write) []check.Write {
	return func(log []check.Write) []check.Write {
		for _, w := range log {
			if w.Key == prefix+name {
				w.Body, w.Before = change(bytes.Clone(w.Body)), len(log)
				return append(log, w)
			}
		}
		return log
	}
}

func TestEveryPlantedDefectIsFound(t *testing.T) {
	defects := map[string]struct {
		rule  string
		plant func([]check.Write) []check.Write
	}{
		"missing discontinuity":             {"discontinuity", replace("v.m3u8", "#EXT-X-DISCONTINUITY\n", "")},
		"discontinuity missing in audio":    {"discontinuity", replace("a.m3u8", "#EXT-X-DISCONTINUITY\n", "")},
		"discontinuity counted twice":       {"changed", last("v.m3u8", "DISCONTINUITY-SEQUENCE:0", "DISCONTINUITY-SEQUENCE:1")},
		"EXTINF off by a frame":             {"duration", replace("v.m3u8", "#EXTINF:2.000000,\ns1-0/v/4.", "#EXTINF:2.040000,\ns1-0/v/4.")},
		"EXTINF changes later":              {"changed", last("v.m3u8", "#EXTINF:2.000000", "#EXTINF:2.000011")},
		"sequence starts anew":              {"sequence", last("v.m3u8", "SEQUENCE:10\n", "SEQUENCE:1\n")},
		"numbers differ between playlists":  {"numbers", replace("a.m3u8", "MEDIA-SEQUENCE:1\n", "MEDIA-SEQUENCE:2\n")},
		"target duration too small":         {"target-duration", replace("v.m3u8", "TARGETDURATION:2", "TARGETDURATION:1")},
		"target duration changes":           {"target-duration", last("a.m3u8", "TARGETDURATION:2", "TARGETDURATION:3")},
		"old init segment kept":             {"map", replace("v.m3u8", `MAP:URI="s2-0/v-init.mp4"`, `MAP:URI="s1-0/v-init.mp4"`)},
		"no init segment after a seam":      {"map", replace("a.m3u8", `#EXT-X-MAP:URI="s2-0/a-init.mp4"`+"\n", "")},
		"tfdt wrong":                        {"tfdt", object("s1-0/v/5.m4s", segment(media.Video, 4*180_000+900, 50, 3_600, 6_000))},
		"tfdt starts anew":                  {"tfdt", object("s1-0/a/5.m4s", segment(media.Audio, 0, 93, 1024, 0))},
		"a sample lost":                     {"duration", object("s1-0/v/5.m4s", segment(media.Video, 4*180_000, 49, 3_600, 6_000))},
		"composition offset lost":           {"timeline", object("s1-0/v/5.m4s", segment(media.Video, 4*180_000, 50, 3_600, 0))},
		"edit list":                         {"boxes", object("s1-0/v-init.mp4", editList)},
		"negative composition offsets":      {"boxes", object("s1-0/v/3.m4s", patch("trun", 0, 1))},
		"negative offset written unsigned":  {"boxes", object("s1-0/v/3.m4s", segment(media.Video, 2*180_000, 50, 3_600, 1<<32-3_600))},
		"wrong data offset":                 {"boxes", object("s1-0/v/3.m4s", patch("trun", 11, 1))},
		"segment cut short":                 {"boxes", object("s1-0/v/3.m4s", func(b []byte) []byte { return b[:len(b)-5] })},
		"init segment is garbage":           {"boxes", object("s1-0/v-init.mp4", func(b []byte) []byte { return b[7:] })},
		"not a key frame":                   {"key-frame", object("s1-0/v/6.m4s", notKey)},
		"audio with the timescale of video": {"timescale", replace("manifest.mpd", `timescale="44100"`, `timescale="90000"`)},
		"segment written twice":             {"immutable", again("s1-0/v/5.m4s", segment(media.Video, 0, 1, 3_600, 0))},
		"segment after its playlist":        {"readable", move("s1-0/a/7.m4s", "a.m3u8")},
		"init segment after its playlist":   {"readable", move("s2-0/v-init.mp4", "manifest.mpd")},
		"master names what is not there":    {"readable", replace("master.m3u8", "v.m3u8", "w.m3u8")},
		"time jumps inside a run":           {"program-date-time", replace("v.m3u8", "12:00:08.067Z", "12:00:09.067Z")},
		"HLS and DASH times differ":         {"program-date-time", replace("manifest.mpd", `presentationTimeOffset="0" startNumber="1" initialization="s1-0/v`, `presentationTimeOffset="9000" startNumber="1" initialization="s1-0/v`)},
		"Period moves":                      {"period", last("manifest.mpd", `start="PT96S"`, `start="PT97S"`)},
		"Periods overlap":                   {"period", replace("manifest.mpd", `start="PT96S"`, `start="PT0S"`)},
		"publishTime stands still":          {"publish-time", replace("manifest.mpd", `publishTime="2026-03-01T12:00:08.000Z"`, `publishTime="2026-03-01T12:00:06.000Z"`)},
		"availabilityStartTime moves":       {"availability-start", last("manifest.mpd", `availabilityStartTime="2026-03-01T12:00:00`, `availabilityStartTime="2026-03-01T12:00:01`)},
		"maxSegmentDuration too small":      {"max-segment", replace("manifest.mpd", `maxSegmentDuration="PT2.5S"`, `maxSegmentDuration="PT1.9S"`)},
		"MPD lacks a segment":               {"numbers", last("manifest.mpd", ` r="5"`, ` r="4"`)},
		"S@t off":                           {"timeline", replace("manifest.mpd", `<S t="6000"`, `<S t="6001"`)},
		"startNumber off":                   {"numbers", replace("manifest.mpd", `startNumber="19"`, `startNumber="18"`)},
		"ENDLIST before the end":            {"endlist", endlistEarly},
		"live again after the end":          {"endlist", again("manifest.mpd", func(b []byte) []byte { return b })},
		"segment cached for a second":       {"header", header("s1-0/v/5.m4s", func(o *control.PutOptions) { o.CacheControl = "max-age=1" })},
		"manifest cached for a year":        {"header", header("v.m3u8", func(o *control.PutOptions) { o.CacheControl = "public, max-age=31536000, immutable" })},
		"manifest without a condition":      {"unconditional", header("v.m3u8", func(o *control.PutOptions) { o.IfNoneMatch = false })},
	}
	for name, d := range defects {
		t.Run(name, func(t *testing.T) {
			good := goodRun(t)
			log := d.plant(slices.Clone(good))
			if slices.EqualFunc(good, log, func(a, b check.Write) bool {
				return a.Key == b.Key && a.Options == b.Options && bytes.Equal(a.Body, b.Body)
			}) {
				t.Fatal("nothing was planted")
			}
			found := check.Check(log, prefix)
			if !slices.ContainsFunc(found, func(f check.Finding) bool { return f.Rule == d.rule }) {
				t.Errorf("no finding of %q among %d: %v", d.rule, len(found), found[:min(len(found), 5)])
			}
		})
	}
}

// notKey makes every sample one that decoding cannot begin with.
func notKey(b []byte) []byte {
	trun := bytes.Index(b, []byte("trun"))
	i := bytes.Index(b[trun:], []byte{0x02, 0, 0, 0}) // the flags of a sync sample
	copy(b[trun+i:], []byte{0x01, 0x01, 0, 0})
	return b
}

func endlistEarly(log []check.Write) []check.Write {
	n := 0
	for i, w := range log {
		if w.Key == prefix+"v.m3u8" {
			if n++; n == 3 {
				log[i].Body = append(bytes.Clone(w.Body), "#EXT-X-ENDLIST\n"...)
			}
		}
	}
	return log
}

func header(name string, change func(*control.PutOptions)) func([]check.Write) []check.Write {
	return func(log []check.Write) []check.Write {
		for i := range log {
			if log[i].Key == prefix+name {
				change(&log[i].Options)
			}
		}
		return log
	}
}
