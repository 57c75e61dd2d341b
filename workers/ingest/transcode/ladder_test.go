package transcode_test

import (
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/ladder"
	"github.com/roomcast/roomcast/internal/mediatest"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

func TestEveryRenditionIsCutWhereTheSourceIsCut(t *testing.T) {
	for name, spec := range map[string]mediatest.Spec{
		"b-frames":    {BFrames: 2, Duration: 9 * time.Second},
		"short gop":   {Duration: 9 * time.Second, GOP: 25, SampleRate: 44_100},
		"video alone": {Duration: 8 * time.Second, NoAudio: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			_, tags := source(t, spec)
			k := s.publish(twoSteps())
			k.push(tags)
			k.end()
			s.sound("v", "90p")
			want := "v:320x180 90p:160x90 a"
			if spec.NoAudio {
				want = "v:320x180 90p:160x90"
			}
			s.wantTracks(want)
			if n := len(s.record().Segments); n < 4 || n > 5 {
				t.Errorf("%d segments", n)
			}
			if w := k.ladder.Warnings(); len(w) > 0 || len(s.tool.started) != 1 {
				t.Errorf("warnings %q, %d children", w, len(s.tool.started))
			}
		})
	}
}

func TestTheChildThatDiesIsReplacedAndNothingIsLost(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	_, tags := source(t, mediatest.Spec{BFrames: 2, Duration: 16 * time.Second})
	k := s.publish(twoSteps())
	k.push(tags[:len(tags)/2])
	k.await(2)
	s.tool.last().Kill()
	k.push(tags[len(tags)/2:])
	k.end()
	s.sound("v", "90p")
	s.wantTracks("v:320x180 90p:160x90 a") // the same encoder again: not even a discontinuity
	s.whole(8, 0)
	if w := k.ladder.Warnings(); len(w) != 1 || len(s.tool.started) != 2 {
		t.Errorf("warnings %q, %d children", w, len(s.tool.started))
	}
}

func TestAfterTheSecondDeathTheSourceTakesEveryRenditionsPlace(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	_, tags := source(t, mediatest.Spec{BFrames: 2, Duration: 16 * time.Second})
	k := s.publish(twoSteps())
	third := len(tags) / 3
	k.push(tags[:third])
	k.await(1)
	s.tool.last().Kill()
	k.push(tags[third : 2*third])
	k.await(3)
	s.tool.last().Kill()
	k.push(tags[2*third:])
	k.end()
	s.sound("v", "90p")
	s.wantTracks("v:320x180 90p:160x90 a", "v:320x180 90p:320x180 a")
	s.whole(8, 1)
	if w := k.ladder.Warnings(); len(w) != 1 || !strings.Contains(w[0], "failed again") || len(s.tool.started) != 2 {
		t.Errorf("warnings %q, %d children", w, len(s.tool.started))
	}
}

// A child that stands still is given five seconds, once; what waits goes out
// as the source has it.
func TestAChildThatFallsBehindFreezesNoPlaylist(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	_, tags := source(t, mediatest.Spec{Duration: 24 * time.Second})
	k := s.publish(twoSteps())
	quarter := len(tags) / 4
	k.push(tags[:quarter])
	k.await(2)
	s.stop(s.tool.last())
	k.push(tags[quarter : 2*quarter]) // to 12 s
	k.quiet()
	s.pass(5100 * time.Millisecond)
	k.await(5)
	s.eventually("another child", func() bool { return len(s.children()) == 2 })
	k.push(tags[2*quarter : 3*quarter])
	k.await(8)
	s.stop(s.tool.last())
	k.push(tags[3*quarter:])
	k.quiet()
	s.pass(5100 * time.Millisecond)
	k.await(11)
	k.end()
	s.sound("v", "90p")
	s.whole(12, 3)
	if got := s.tracks(); len(got) != 4 || got[0] != got[2] || got[1] != got[3] || got[0] == got[1] {
		t.Errorf("the periods are %q", got)
	}
}

func TestAnEncoderThatDoesNotWorkLeavesTheSource(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.tool.args = func(int, []string) []string { return []string{"-f", "nonsense"} }
	_, tags := source(t, mediatest.Spec{Duration: 8 * time.Second})
	k := s.publish(twoSteps())
	k.push(tags)
	k.end()
	s.sound("v", "90p")
	s.wantTracks("v:320x180 90p:320x180 a")
	s.whole(4, 0)
	if w := k.ladder.Warnings(); len(w) != 1 {
		t.Errorf("warnings %q", w)
	}
}

// What a viewer plays of a show stays alive whatever comes next: another size,
// a session without a ladder, no pictures at all.
func TestEveryRenditionLivesOnInLaterSessions(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	_, tags := source(t, mediatest.Spec{Duration: 6 * time.Second})
	_, upright := source(t, mediatest.Spec{Duration: 6 * time.Second, Width: 360, Height: 640, SampleRate: 44_100})
	_, small := source(t, mediatest.Spec{Duration: 6 * time.Second, Width: 64, Height: 36})
	_, sound := source(t, mediatest.Spec{Duration: 6 * time.Second, NoVideo: true})
	for _, c := range []struct {
		tags    []rtmpout.Tag
		profile ladder.Profile
	}{{tags, twoSteps()}, {upright, twoSteps()}, {small, twoSteps()}, {tags, ladder.Profile{}}, {sound, twoSteps()}} {
		k := s.publish(c.profile)
		k.push(c.tags)
		k.end()
		if w := k.ladder.Warnings(); len(w) > 0 {
			t.Errorf("warnings %q", w)
		}
	}
	s.sound()
	s.wantTracks("v:320x180 90p:160x90 a", "v:180x320 90p:90x160 a", "v:64x36 90p:64x36 a", "v:320x180 90p:320x180 a", "a")
	if len(s.tool.started) != 3 {
		t.Errorf("%d children", len(s.tool.started))
	}
}

// A publisher that changes its picture within a session gets a child for each.
func TestAChangedPictureIsAnotherRun(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	_, first := source(t, mediatest.Spec{BFrames: 2, Duration: 6 * time.Second})
	_, second := source(t, mediatest.Spec{Duration: 6 * time.Second, Width: 640, Height: 360, FPS: 30})
	k := s.publish(twoSteps())
	k.push(first)
	for i := range second {
		second[i].TimestampMS += 6000
	}
	k.push(second)
	k.end()
	s.sound()
	s.wantTracks("v:320x180 90p:160x90 a", "v:320x180 90p:160x90 a")
	s.whole(6, 1)
	if w := k.ladder.Warnings(); len(w) > 0 || len(s.tool.started) != 2 {
		t.Errorf("warnings %q, %d children", w, len(s.tool.started))
	}
}
