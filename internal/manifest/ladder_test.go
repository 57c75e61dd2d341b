package manifest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/manifest"
)

// rungs is segment i of a live ladder of two.
func rungs(i int) manifest.Addition {
	a := both(3, 0, i, began)
	low := a.Tracks[0]
	low.Name, low.WidthPixels, low.HeightPixels, low.BandwidthBPS = "360p", 640, 360, 1_000_000
	a.Tracks = []manifest.Track{a.Tracks[0], low, a.Tracks[1]}
	a.Spans = []manifest.Span{a.Spans[0], a.Spans[0], a.Spans[1]}
	return a
}

func TestRenditionsShareOneAdaptationSetAndOneCut(t *testing.T) {
	p := publish(t, publish(t, empty(), rungs(0)), rungs(1))
	mpd := string(p.MPD())
	if n := strings.Count(mpd, "<AdaptationSet"); n != 2 {
		t.Errorf("%d adaptation sets", n)
	}
	for _, want := range []string{
		`media="s3-0/$RepresentationID$/$Number$.m4s"`, `initialization="s3-0/$RepresentationID$-init.mp4"`,
		`<Representation id="v" `, `<Representation id="360p" codecs="avc1.64001f" bandwidth="1000000" width="640" height="360"/>`,
		`media="s3-0/a/$Number$.m4s"`,
	} {
		if !strings.Contains(mpd, want) {
			t.Errorf("no %s in\n%s", want, mpd)
		}
	}
	master := string(p.Master())
	if strings.Count(master, "#EXT-X-STREAM-INF") != 2 || strings.Count(master, "#EXT-X-MEDIA") != 1 ||
		strings.Index(master, "\nv.m3u8") > strings.Index(master, "\n360p.m3u8") {
		t.Errorf("master:\n%s", master)
	}
	if low := string(p.Playlist("360p")); !strings.Contains(low, "\ns3-0/360p/2.m4s\n") || strings.Contains(low, "EXT-X-GAP") {
		t.Errorf("playlist:\n%s", low)
	}
	for _, name := range []string{"v", "360p", "a"} {
		if l, err := manifest.ParsePlaylist(p.Playlist(name)); err != nil || l.HoldBack != 4*p.TargetDuration {
			t.Errorf("players of %s stay %s behind: %v", name, l.HoldBack, err)
		}
	}
	r := manifest.NewRecording("../../live/p/")
	for n := p.First; n <= p.Last(); n++ {
		if err := r.Add(p.IndexOf(n)); err != nil {
			t.Fatal(err)
		}
	}
	files, err := r.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Name == manifest.MPDName && strings.Count(string(f.Body), "<Representation ") != 3 {
			t.Errorf("the recording's MPD:\n%s", f.Body)
		}
	}

	uneven := rungs(2)
	uneven.Spans[1].Duration++
	if _, err := p.Append(uneven); err == nil {
		t.Error("renditions with different cuts were taken")
	}
	x := p.IndexOf(2)
	x.Tracks[1].PTS++
	if err := manifest.NewRecording("").Add(x); err == nil {
		t.Error("an index with different cuts was taken")
	}
}

func TestThePlaylistIsLongerThanPlayersStayBehind(t *testing.T) {
	p := empty()
	p.TargetDuration = 10 * time.Second
	for i := range 60 {
		p = publish(t, p, rungs(i))
	}
	l, err := manifest.ParsePlaylist(p.Playlist("v"))
	if err != nil {
		t.Fatal(err)
	}
	var length time.Duration
	for _, e := range l.Entries {
		length += e.Duration
	}
	if length < l.HoldBack+l.TargetDuration || length > 80*time.Second {
		t.Errorf("%s of media in the playlist, players stay %s behind", length, l.HoldBack)
	}
}
