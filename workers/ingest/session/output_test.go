package session_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/mediatest/check"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

// folder is where a key's show lies now.
func folder(v control.KeyView) string { return "live/" + string(v.Lease.PlayID) + "/" }

// sound has the checker look at every version of every manifest.
func (w *world) sound(prefix string) {
	w.Helper()
	for _, f := range check.Check(w.recorder.Log(), prefix) {
		w.Error(f)
	}
}

// record is v.m3u8 as it was written last; "" = never.
func record(log []check.Write, prefix string) string {
	for i := len(log) - 1; i >= 0; i-- {
		if log[i].Key == prefix+"v.m3u8" {
			return string(log[i].Body)
		}
	}
	return ""
}

func written(log []check.Write, key string) bool {
	return slices.ContainsFunc(log, func(w check.Write) bool { return w.Key == key })
}

// lastPublished is the number of the newest segment that v.m3u8 names.
func lastPublished(log []check.Write, prefix string) uint64 {
	var last uint64
	for line := range strings.Lines(record(log, prefix)) {
		if name := strings.TrimSpace(line); path.Ext(name) == ".m4s" {
			n, err := strconv.ParseUint(strings.TrimSuffix(path.Base(name), ".m4s"), 10, 64)
			if err == nil {
				last = n
			}
		}
	}
	return last
}

// unit is an access unit; its time is in milliseconds.
type unit struct {
	pts  float64
	data []byte
}

// units reads the access units of tags, not with the demuxer.
func units(tags []rtmpout.Tag) map[string][]unit {
	all := map[string][]unit{}
	for _, g := range tags {
		ms := float64(g.TimestampMS)
		switch {
		case g.Type == rtmpout.TypeVideo && len(g.Payload) > 5 && g.Payload[1] == 1:
			cts := int32(binary.BigEndian.Uint32(g.Payload[1:])<<8) >> 8
			all["v"] = append(all["v"], unit{ms + float64(cts), g.Payload[5:]})
		case g.Type == rtmpout.TypeAudio && len(g.Payload) > 2 && g.Payload[1] == 1:
			all["a"] = append(all["a"], unit{ms, g.Payload[2:]})
		}
	}
	return all
}

// runs reads everything that was written below prefix: for each folder
// "s<epoch>-<run>", each track's access units.
func runs(t *testing.T, log []check.Write, prefix string) map[string]map[string][]unit {
	t.Helper()
	scales := map[string]float64{}
	all := map[string]map[string][]unit{}
	for _, w := range log {
		name, ours := strings.CutPrefix(w.Key, prefix)
		if !ours || w.Deleted || path.Ext(name) != ".m4s" && path.Ext(name) != ".mp4" {
			continue
		}
		f, err := mp4.DecodeFile(bytes.NewReader(w.Body))
		if err != nil {
			t.Fatal(err)
		}
		run := name[:strings.IndexByte(name, '/')]
		if track, ok := strings.CutSuffix(path.Base(name), "-init.mp4"); ok {
			scales[run+track] = float64(f.Init.Moov.Trak.Mdia.Mdhd.Timescale)
			continue
		}
		if all[run] == nil {
			all[run] = map[string][]unit{}
		}
		track := path.Base(path.Dir(name))
		all[run][track] = append(all[run][track], samples(f.Segments[0].Fragments[0], scales[run+track])...)
	}
	return all
}

func samples(frag *mp4.Fragment, scale float64) []unit {
	traf := frag.Moof.Traf
	dts, data := float64(traf.Tfdt.BaseMediaDecodeTime()), frag.Mdat.Data
	var list []unit
	for _, s := range traf.Trun.Samples {
		list = append(list, unit{(dts + float64(s.CompositionTimeOffset)) * 1000 / scale, data[:s.Size]})
		dts, data = dts+float64(s.Dur), data[s.Size:]
	}
	return list
}

// sameUnits demands that every access unit came out with its bytes, and all of
// both tracks with one offset: RTMP's milliseconds are rounded, ours are not.
func sameUnits(t *testing.T, got, want map[string][]unit) {
	t.Helper()
	if err := compare(got, want); err != nil {
		t.Fatal(err)
	}
}

func compare(got, want map[string][]unit) error {
	least, most := math.Inf(1), math.Inf(-1)
	if len(got) != len(want) {
		return fmt.Errorf("%d tracks, want %d", len(got), len(want))
	}
	for track, list := range want {
		if len(got[track]) != len(list) {
			return fmt.Errorf("track %s: %d access units, the source has %d", track, len(got[track]), len(list))
		}
		for i, u := range list {
			o := got[track][i]
			if !bytes.Equal(o.data, u.data) {
				return fmt.Errorf("track %s: access unit %d differs", track, i)
			}
			least, most = min(least, o.pts-u.pts), max(most, o.pts-u.pts)
		}
	}
	if most-least > 2 {
		return fmt.Errorf("offsets between %.2f and %.2f ms: not one for all", least, most)
	}
	return nil
}
