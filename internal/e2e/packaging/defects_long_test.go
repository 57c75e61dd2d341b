//go:build long

package packaging

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/roomcast/roomcast/internal/media"
	"github.com/roomcast/roomcast/workers/ingest/segment"
)

// picture is a sample while it is being tampered with.
type picture struct {
	dur, flags uint32
	cts        int32
	data       []byte
}

// rebuild takes a segment's boxes apart, lets edit change them, and writes them
// anew with the version of trun that edit answers.
func rebuild(t *segment.TrackSegment, edit func(tfdt *uint64, list []picture) ([]picture, byte)) {
	f, err := mp4.DecodeFile(bytes.NewReader(bytes.Join(t.Body, nil)))
	if err != nil {
		panic(err)
	}
	frag := f.Segments[0].Fragments[0]
	traf, data := frag.Moof.Traf, frag.Mdat.Data
	var list []picture
	for _, s := range traf.Trun.Samples {
		list = append(list, picture{s.Dur, s.Flags, s.CompositionTimeOffset, data[:s.Size]})
		data = data[s.Size:]
	}
	tfdt := traf.Tfdt.BaseMediaDecodeTime()
	list, version := edit(&tfdt, list)
	frag.Mdat.Data = nil
	traf.Tfdt.SetBaseMediaDecodeTime(tfdt)
	trun := traf.Trun
	trun.Version, trun.Samples = version, nil
	for _, p := range list {
		trun.AddSample(mp4.Sample{Dur: p.dur, Flags: p.flags, CompositionTimeOffset: p.cts, Size: uint32(len(p.data))})
		frag.Mdat.Data = append(frag.Mdat.Data, p.data...)
	}
	trun.DataOffset = int32(frag.Moof.Size()) + 8
	var b bytes.Buffer
	if err := f.Encode(&b); err != nil {
		panic(err)
	}
	t.Body, t.SizeBytes = [][]byte{b.Bytes()}, int64(b.Len())
}

// of runs do on the n-th segment's track, or on all of them with n < 0.
func of(n int, name string, do func(*segment.TrackSegment)) func(*segment.Segment) {
	at := -1
	return func(s *segment.Segment) {
		if at++; n >= 0 && at != n {
			return
		}
		s.Tracks = slices.Clone(s.Tracks)
		for i := range s.Tracks {
			if s.Tracks[i].Name == name {
				do(&s.Tracks[i])
			}
		}
	}
}

// samplesOf is of with the samples.
func samplesOf(n int, name string, edit func([]picture) []picture) func(*segment.Segment) {
	return of(n, name, func(t *segment.TrackSegment) {
		rebuild(t, func(_ *uint64, list []picture) ([]picture, byte) { return edit(list), 0 })
	})
}

// moved shifts a track in time, boxes and manifests alike.
func moved(name string, by media.Ticks) func(*segment.Segment) {
	return of(-1, name, func(t *segment.TrackSegment) {
		t.BaseDTS += by
		t.EarliestPTS += by
		rebuild(t, func(tfdt *uint64, list []picture) ([]picture, byte) { *tfdt += uint64(by); return list, 0 })
	})
}

func inits(name string, edit func([]byte) []byte) func(*segment.Init) {
	return func(in *segment.Init) {
		in.Tracks = slices.Clone(in.Tracks)
		for i := range in.Tracks {
			if in.Tracks[i].Name == name {
				in.Tracks[i].Body = edit(bytes.Clone(in.Tracks[i].Body))
			}
		}
	}
}

func editList(b []byte) []byte {
	i := bytes.Index(b, []byte("mdia")) - 4
	b = slices.Insert(b, i, 0, 0, 0, 8, 'e', 'd', 't', 's')
	for _, box := range []string{"moov", "trak"} {
		j := bytes.Index(b, []byte(box)) - 4
		binary.BigEndian.PutUint32(b[j:], binary.BigEndian.Uint32(b[j:])+8)
	}
	return b
}

// esID sets the ES_ID in esds: it stands behind version, flags, tag and length.
func esID(b []byte) []byte {
	i := bytes.Index(b, []byte("esds")) + 4 + 4
	for i++; b[i]&0x80 != 0; i++ { // the length takes 1 to 4 bytes
	}
	b[i+2] = 1
	return b
}

// oldInit keeps the first run's init segments for ever.
func oldInit() func(*segment.Init) {
	first := map[string][]byte{}
	return func(in *segment.Init) {
		in.Tracks = slices.Clone(in.Tracks)
		for i, t := range in.Tracks {
			if first[t.Name] == nil {
				first[t.Name] = t.Body
			}
			in.Tracks[i].Body = first[t.Name]
		}
	}
}

// notAtAKeyFrame moves the key frame of the fourth segment to the end of the
// third.
func notAtAKeyFrame() func(*segment.Segment) {
	at, held := -1, picture{}
	return func(s *segment.Segment) {
		at++
		of(-1, "v", func(t *segment.TrackSegment) {
			switch at {
			case 2: // give the last picture of this one to the next
				rebuild(t, func(_ *uint64, list []picture) ([]picture, byte) {
					held = list[len(list)-1]
					return list[:len(list)-1], 0
				})
				t.Duration -= media.Ticks(held.dur)
			case 3:
				rebuild(t, func(tfdt *uint64, list []picture) ([]picture, byte) {
					*tfdt -= uint64(held.dur)
					return append([]picture{held}, list...), 0
				})
				t.BaseDTS -= media.Ticks(held.dur)
				t.EarliestPTS -= media.Ticks(held.dur)
				t.Duration += media.Ticks(held.dur)
			}
		})(s)
	}
}

func text(name, pattern, with string) func(key, body string) string {
	re := regexp.MustCompile(pattern)
	return func(key, body string) string {
		if strings.HasSuffix(key, name) {
			return re.ReplaceAllString(body, with)
		}
		return body
	}
}

// defects are the bugs of packagers that we know of, and who must notice.
func defects() map[string]struct {
	defect
	found []string
} {
	type row = struct {
		defect
		found []string
	}
	by := func(found ...string) []string { return found }
	return map[string]row{
		"tfdt wrong in one segment": {defect{segment: of(2, "v", func(t *segment.TrackSegment) {
			rebuild(t, func(tfdt *uint64, list []picture) ([]picture, byte) { *tfdt += 900; return list, 0 })
		})}, by(byCheck, byUnits)},
		"EXTINF off by a picture":            {defect{segment: of(2, "v", func(t *segment.TrackSegment) { t.Duration += 3600 })}, by(byCheck)},
		"EXT-X-DISCONTINUITY missing":        {defect{objects: text("v.m3u8", "#EXT-X-DISCONTINUITY\n", "")}, by(byCheck)},
		"EXT-X-DISCONTINUITY missing, audio": {defect{objects: text("a.m3u8", "#EXT-X-DISCONTINUITY\n", "")}, by(byCheck)},
		"old init segment kept":              {defect{init: oldInit()}, by(byFrames)},
		"media sequence starts anew":         {defect{objects: text("a.m3u8", `MEDIA-SEQUENCE:\d+`, "MEDIA-SEQUENCE:0")}, by(byCheck)},
		"edit list":                          {defect{init: inits("v", editList)}, by(byCheck)},
		"negative composition offsets": {defect{segment: of(-1, "v", func(t *segment.TrackSegment) {
			t.EarliestPTS -= 7200
			rebuild(t, func(_ *uint64, list []picture) ([]picture, byte) {
				for i := range list {
					list[i].cts -= 7200
				}
				return list, 1
			})
		})}, by(byCheck, byUnits)},
		"composition offsets lost": {defect{segment: samplesOf(-1, "v", func(list []picture) []picture {
			for i := range list {
				list[i].cts = 0
			}
			return list
		})}, by(byCheck, byUnits)},
		"audio 300 ms late": {defect{segment: moved("a", 14_400)}, by(byUnits)},
		"constant composition offset": {defect{segment: of(-1, "v", func(t *segment.TrackSegment) {
			t.EarliestPTS += 18_000
			rebuild(t, func(_ *uint64, list []picture) ([]picture, byte) {
				for i := range list {
					list[i].cts += 18_000
				}
				return list, 0
			})
		})}, by(byUnits)},
		"segment not at a key frame": {defect{segment: notAtAKeyFrame()}, by(byCheck)},
		"ES_ID 1":                    {defect{init: inits("a", esID)}, by(byCheck)},
		"TARGETDURATION too small":   {defect{objects: text("a.m3u8", `TARGETDURATION:\d+`, "TARGETDURATION:1")}, by(byCheck)},
		"a picture lost at the end of a segment": {defect{segment: of(1, "v", func(t *segment.TrackSegment) {
			rebuild(t, func(_ *uint64, list []picture) ([]picture, byte) {
				list[len(list)-2].dur += list[len(list)-1].dur
				return list[:len(list)-1], 0
			})
		})}, by(byUnits, byFrames)},
		"an audio frame twice": {defect{segment: samplesOf(1, "a", func(list []picture) []picture {
			list[5].data = list[4].data
			return list
		})}, by(byUnits)},
		"pictures in another order": {defect{segment: samplesOf(1, "v", func(list []picture) []picture {
			list[7].data, list[8].data = list[8].data, list[7].data
			return list
		})}, by(byUnits, byFrames)},
		"a byte of a picture changed": {defect{segment: samplesOf(1, "v", func(list []picture) []picture {
			d := bytes.Clone(list[9].data)
			d[len(d)/2] ^= 0x40
			list[9].data = d
			return list
		})}, by(byUnits)},
		"playlist ahead of its segment": {defect{late: "s1-0/v/3.m4s"}, by(byCheck)},
		"program date time jumps":       {defect{objects: text("a.m3u8", `T12:00:04`, "T12:00:05")}, by(byCheck)},
		"audio with the timescale of another rate": {defect{init: inits("a", func(b []byte) []byte {
			i := bytes.Index(b, []byte("mdhd")) + 4
			binary.BigEndian.PutUint32(b[i+12:], 44_100)
			return b
		})}, by(byCheck, byUnits)},
		"Period moves": {defect{objects: text("manifest.mpd", `(<Period[^>]*start="PT)15`, "${1}14")}, by(byCheck)},
	}
}

// Each planted bug is found by the judges that are there for it. The show has
// a reconnect with another picture, B-frames and audio.
func TestJudgesFindEveryPlantedPackagingBug(t *testing.T) {
	s := reconnects(t, usual, "fps=25 gop=50 bf=2 size=320x180")
	for judge, err := range judges(t, publish(t, s.sessions, defect{}), s) {
		if err != nil {
			t.Fatalf("%s finds something where nothing is planted: %v", judge, err)
		}
	}
	for name, d := range defects() {
		t.Run(name, func(t *testing.T) {
			verdicts := judges(t, publish(t, s.sessions, d.defect), s)
			for _, judge := range d.found {
				if verdicts[judge] == nil {
					t.Errorf("%s finds nothing; %v", judge, verdicts)
				}
			}
			for _, judge := range []string{byUnits, byCheck, byFrames} {
				if err := verdicts[judge]; err != nil {
					t.Logf("%s: %.150s", judge, fmt.Sprint(err))
				}
			}
		})
	}
}
