package e2e

import (
	"encoding/json"
	"math"
	"os/exec"
	"strconv"
	"testing"
)

// packet is an access unit of a file.
type packet struct {
	kind, hash string
	at         float64 // seconds, PTS
}

func packets(t *testing.T, input string) (list []packet) {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-of", "json", "-show_packets", "-show_data_hash", "md5",
		"-show_entries", "packet=codec_type,pts_time,data_hash", input).Output()
	if err != nil {
		t.Fatalf("packets of %s: %v", input, err)
	}
	var p struct {
		Packets []struct {
			Kind string `json:"codec_type"`
			PTS  string `json:"pts_time"`
			Hash string `json:"data_hash"`
		}
	}
	if err := json.Unmarshal(out, &p); err != nil {
		t.Fatal(err)
	}
	for _, x := range p.Packets {
		at, err := strconv.ParseFloat(x.PTS, 64)
		if err != nil {
			t.Fatalf("a packet of %s at %q", input, x.PTS)
		}
		list = append(list, packet{x.Kind, x.Hash, at})
	}
	return list
}

// apart is how far audio may be from its video.
const apart = 0.040

// synced checks that in each session of a recording the source's pictures and
// its sound stand to each other as they do in the source.
func synced(t *testing.T, source, recorded string, sessions int) {
	t.Helper()
	when := map[packet]float64{}
	for _, p := range packets(t, source) {
		key := packet{kind: p.kind, hash: p.hash}
		if _, twice := when[key]; twice {
			p.at = math.NaN() // its place cannot be told
		}
		when[key] = p.at
	}
	moves := map[string][]float64{} // of each kind's sessions
	for _, p := range packets(t, recorded) {
		at, ok := when[packet{kind: p.kind, hash: p.hash}]
		if !ok || math.IsNaN(at) {
			continue
		}
		list, move := moves[p.kind], p.at-at
		if n := len(list); n == 0 || math.Abs(list[n-1]-move) > 0.5 {
			moves[p.kind] = append(list, move)
		} else if math.Abs(list[n-1]-move) > apart/4 {
			t.Errorf("%s moves by %.3f s within a session", p.kind, move-list[n-1])
			list[n-1] = move
		}
	}
	video, audio := moves["video"], moves["audio"]
	if len(video) != sessions || len(audio) != sessions {
		t.Fatalf("video of %d sessions, audio of %d, want %d", len(video), len(audio), sessions)
	}
	for i := range video {
		if d := audio[i] - video[i]; math.Abs(d) > apart {
			t.Errorf("in session %d audio is %.3f s from its video", i+1, d)
		}
	}
}

// beginsAs checks that what was encoded anew begins with its sound and its
// picture as far from each other as the original.
func beginsAs(t *testing.T, url, original string) {
	t.Helper()
	late := func(url string) float64 {
		return probe(t, url, "v:0", "stream=start_time") - probe(t, url, "a:0", "stream=start_time")
	}
	if got, want := late(url), late(original); math.Abs(got-want) > apart {
		t.Errorf("%s begins with its picture %.3f s after its sound, the original %.3f s", url, got, want)
	}
}
