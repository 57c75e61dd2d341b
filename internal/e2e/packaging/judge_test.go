package packaging

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/roomcast/roomcast/internal/mediatest"
	"github.com/roomcast/roomcast/internal/mediatest/check"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

// unit is an access unit; its time is in milliseconds.
type unit struct {
	pts  float64
	data []byte
}

// run is what was written below one s<epoch>-<n>/.
type run struct {
	name  string
	files map[string][]byte // track → init and segments as one file
	units map[string][]unit
}

// runs reads all that was written, in the order of the writes.
func runs(log []check.Write) ([]*run, error) {
	scales := map[string]float64{}
	var all []*run
	for _, w := range log {
		name := w.Key[len(prefix):]
		if ext := path.Ext(name); w.Deleted || ext != ".m4s" && ext != ".mp4" {
			continue
		}
		folder := path.Dir(name)
		if path.Ext(name) == ".m4s" {
			folder = path.Dir(folder)
		}
		i := slices.IndexFunc(all, func(r *run) bool { return r.name == folder })
		if i < 0 {
			i = len(all)
			all = append(all, &run{name: folder, files: map[string][]byte{}, units: map[string][]unit{}})
		}
		f, err := mp4.DecodeFile(bytes.NewReader(w.Body))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if f.Init != nil {
			track := name[len(folder)+1 : len(name)-len("-init.mp4")]
			scales[folder+track] = float64(f.Init.Moov.Trak.Mdia.Mdhd.Timescale)
			all[i].files[track] = append(all[i].files[track], w.Body...)
			continue
		}
		track := path.Base(path.Dir(name))
		all[i].files[track] = append(all[i].files[track], w.Body...)
		all[i].units[track] = append(all[i].units[track], samples(f.Segments[0].Fragments[0], scales[folder+track])...)
	}
	return all, nil
}

func samples(frag *mp4.Fragment, scale float64) []unit {
	traf := frag.Moof.Traf
	dts, data := float64(traf.Tfdt.BaseMediaDecodeTime()), frag.Mdat.Data
	var list []unit
	for _, s := range traf.Trun.Samples {
		size := min(int(s.Size), len(data))
		list = append(list, unit{(dts + float64(s.CompositionTimeOffset)) * 1000 / scale, data[:size]})
		dts, data = dts+float64(s.Dur), data[size:]
	}
	return list
}

// sent lists the access units of what was published, not with the demuxer,
// unwrapped per session.
func sent(sessions [][]step) map[string][]unit {
	all := map[string][]unit{}
	for _, steps := range sessions {
		var last uint32
		var ms float64
		for i, s := range steps {
			if i == 0 {
				ms = float64(s.tag.TimestampMS)
			} else {
				ms += float64(int32(s.tag.TimestampMS - last))
			}
			last = s.tag.TimestampMS
			if track, cts, data := accessUnit(s.tag); data != nil {
				all[track] = append(all[track], unit{ms + cts, data})
			}
		}
	}
	return all
}

func accessUnit(g rtmpout.Tag) (track string, cts float64, data []byte) {
	p := g.Payload
	signed := func(b []byte) float64 { return float64(int32(binary.BigEndian.Uint32(b)<<8) >> 8) }
	switch {
	case g.Type == rtmpout.TypeVideo && len(p) > 5 && p[0]&0x80 == 0 && p[1] == 1:
		return "v", signed(p[1:]), p[5:]
	case g.Type == rtmpout.TypeVideo && len(p) > 8 && p[0]&0x8f == 0x81: // enhanced RTMP, coded frames
		return "v", signed(p[4:]), p[8:]
	case g.Type == rtmpout.TypeAudio && len(p) > 2 && p[1] == 1:
		return "a", 0, p[2:]
	}
	return "", 0, nil
}

// judgeUnits demands every access unit with its bytes, in order, and in every
// run one offset for both tracks. What was made up to fill holes is passed over
// where that is allowed: silence, and pictures of before that stand still.
func judgeUnits(got []*run, want map[string][]unit, filled bool, tolerance float64) error {
	known := map[string]bool{}
	for _, u := range want["a"] {
		known[string(u.data)] = true
	}
	at, shown := map[string]int{}, map[string]bool{}
	for _, r := range got {
		least, most := math.Inf(1), math.Inf(-1)
		for _, track := range []string{"v", "a"} {
			for _, u := range r.units[track] {
				if filled && track == "a" && !known[string(u.data)] {
					continue
				}
				i := at[track]
				expected := i < len(want[track]) && bytes.Equal(u.data, want[track][i].data)
				if filled && track == "v" && !expected && shown[string(u.data)] {
					continue
				}
				shown[string(u.data)] = true
				if !expected {
					return fmt.Errorf("run %s, track %s: access unit %d of %d is not the source's", r.name, track, i, len(want[track]))
				}
				at[track]++
				offset := u.pts - want[track][i].pts
				least, most = min(least, offset), max(most, offset)
			}
		}
		if most-least > tolerance {
			return fmt.Errorf("run %s: offsets between %.2f and %.2f ms: not one for all", r.name, least, most)
		}
	}
	for track, list := range want {
		if at[track] != len(list) {
			return fmt.Errorf("track %s: %d access units, the source has %d", track, at[track], len(list))
		}
	}
	return nil
}

// judgeFrames decodes every run strictly; its pictures must be the source's.
func judgeFrames(t *testing.T, got []*run, files []string) error {
	t.Helper()
	dir := t.TempDir()
	var frames, source []string
	for _, r := range got {
		for _, track := range []string{"v", "a"} {
			if r.files[track] == nil {
				continue
			}
			name := filepath.Join(dir, r.name+track+".mp4")
			if err := os.WriteFile(name, r.files[track], 0o600); err != nil {
				return err
			}
			if err := mediatest.Decode(name); err != nil {
				return err
			}
			if track == "v" {
				frames = append(frames, mediatest.FrameMD5(t, name)...)
			}
		}
	}
	for _, f := range files {
		source = append(source, mediatest.FrameMD5(t, f)...)
	}
	if !slices.Equal(frames, source) {
		return fmt.Errorf("%d pictures, the source decodes to %d; equal: false", len(frames), len(source))
	}
	return nil
}
