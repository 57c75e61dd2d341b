package ladder_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/roomcast/roomcast/internal/ladder"
)

func TestTheLadderNeverRisesAboveTheSource(t *testing.T) {
	for _, test := range []struct {
		w, h int
		want []string
	}{
		{3840, 2160, []string{"1080p 1920x1080", "720p 1280x720", "480p 852x480", "360p 640x360"}},
		{1280, 720, []string{"720p 1280x720", "480p 852x480", "360p 640x360"}},
		{720, 1280, []string{"720p 720x1280", "480p 480x852", "360p 360x640"}},
		{854, 480, []string{"480p 854x480", "360p 640x360"}},
		{1600, 900, []string{"source 1600x900", "720p 1280x720", "480p 852x480", "360p 640x360"}},
		{320, 180, []string{"source 320x180"}},
		{321, 181, []string{"source 320x180"}},
		{1366, 768, []string{"720p 1280x720", "480p 852x480", "360p 640x360"}},
		{0, 0, nil},
	} {
		var got []string
		list := ladder.Video(ladder.VODDefault(), ladder.Source{WidthPixels: test.w, HeightPixels: test.h, FrameRate: 25, HasVideo: true})
		for i, r := range list {
			got = append(got, fmt.Sprintf("%s %dx%d", r.Name, r.WidthPixels, r.HeightPixels))
			if r.FrameRate != 25 || r.BitrateBPS < 100_000 || i > 0 && r.BitrateBPS >= list[i-1].BitrateBPS {
				t.Errorf("%dx%d: %+v", test.w, test.h, r)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%dx%d: %v, want %v", test.w, test.h, got, test.want)
		}
	}
	fast := ladder.Video(ladder.VODDefault(), ladder.Source{WidthPixels: 1280, HeightPixels: 720, FrameRate: 120, HasVideo: true})
	if fast[0].FrameRate != 60 {
		t.Errorf("frame rate %v", fast[0].FrameRate)
	}
}

func FuzzVideo(f *testing.F) {
	f.Add(1921, 1079)
	f.Add(2, 4000)
	f.Fuzz(func(t *testing.T, w, h int) {
		for _, r := range ladder.Video(ladder.VODDefault(), ladder.Source{WidthPixels: w, HeightPixels: h, FrameRate: 30, HasVideo: true}) {
			if r.WidthPixels > w || r.HeightPixels > h || r.WidthPixels < 2 || r.HeightPixels < 2 || r.WidthPixels%2+r.HeightPixels%2 != 0 {
				t.Errorf("%dx%d: %+v", w, h, r)
			}
		}
	})
}
