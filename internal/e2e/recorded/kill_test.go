package recorded

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/mediatest"
)

// outcome is what is left of a show of the segments of a folder.
type outcome struct {
	segments      string
	task          bool
	original      []byte
	objects, rest []string // a minute after, and a day later
}

func source(t *testing.T) string {
	t.Helper()
	return mediatest.Generate(t, mediatest.Spec{BFrames: 2, GOP: gop, Duration: 2 * perRun * time.Second, Container: "mp4"})
}

// ends checks that a show has become one whole post, and answers what it left.
func (s *show) ends(what string) (o outcome) {
	s.Helper()
	room, err := s.db.Room(s.Context(), s.room)
	s.no(err)
	post, err := s.db.Post(s.Context(), room.PostID)
	s.no(err)
	if post.State != broadcast.PostProcessed || room.State != broadcast.RoomArchived || room.VODState != broadcast.VODArchived || len(post.Sources) != 1 {
		s.Fatalf("%s: post %+v, room %s %s", what, post, room.State, room.VODState)
	}
	for _, key := range []string{post.Playback.HLSKey, post.Playback.DASHKey, post.Playback.MP4Key, post.ThumbnailKey, post.PreviewKey, post.SpriteKey, post.SpriteVTTKey} {
		if key == "" || len(s.file(key)) == 0 {
			s.Errorf("%s: object %q", what, key)
		}
	}
	o.original, o.objects = s.file(post.Sources[0].Key), s.keys("")
	s.pass(25 * time.Hour)
	last, l, ctx := s.process(0, before, false)
	s.work(ctx, last, l)
	o.rest = s.keys("")
	return o
}

// unharmed is the show of a process, or task, that lives, and how often it calls.
func unharmed(t *testing.T, task bool) (o outcome, calls int) {
	t.Helper()
	src := source(t)
	segments := cut(t, src)
	s := newShow(t, published(segments))
	service, l, ctx := s.process(0, before, task)
	s.work(ctx, service, l)
	calls = l.calls
	o = s.ends("nobody was killed")
	o.segments, o.task = segments, task
	room, err := s.db.Room(t.Context(), s.room)
	s.no(err)
	frames := mediatest.FrameMD5(t, src)
	want := slices.Concat(frames[gop:], frames) // the first key frame came before go live
	file := fmt.Sprintf("%s/media/posts/%s/source.mp4", s.dir, room.PostID)
	if got := mediatest.FrameMD5(t, file); !slices.Equal(got, want) {
		t.Errorf("the original has %d frames, want %d", len(got), len(want))
	}
	if i := slices.IndexFunc(o.rest, func(k string) bool { return k[:5] == "live/" }); i >= 0 {
		t.Errorf("after a day %s is left", o.rest[i])
	}
	t.Logf("%d calls, %d objects, after a day %d", calls, len(o.objects), len(o.rest))
	return o, calls
}

// killed kills the process in its n-th call; another one goes on.
func killed(t *testing.T, n int, how death, want outcome) {
	t.Helper()
	what := fmt.Sprintf("killed in call %d (%d)", n, how)
	s := newShow(t, published(want.segments))
	service, l, ctx := s.process(n, how, want.task)
	s.work(ctx, service, l)
	if !l.died() {
		return
	}
	s.pass(31 * time.Second) // until its claim is over
	next, l, ctx := s.process(0, before, want.task)
	s.work(ctx, next, l)
	got := s.ends(what)
	if !bytes.Equal(got.original, want.original) {
		t.Errorf("%s: the original has %d bytes, not %d, or others", what, len(got.original), len(want.original))
	}
	if !slices.Equal(got.objects, want.objects) {
		t.Errorf("%s: the bucket has\n%v, want\n%v", what, got.objects, want.objects)
	}
	if !slices.Equal(got.rest, want.rest) {
		t.Errorf("%s: after a day the bucket has\n%v, want\n%v", what, got.rest, want.rest)
	}
}

// Some of what make test-long does at every call.
func TestAKilledProcessCostsNothing(t *testing.T) {
	want, calls := unharmed(t, false)
	for i, how := range []death{after, amid, before} {
		killed(t, 1+calls*(i+1)/4, how, want)
	}
	want, calls = unharmed(t, true)
	killed(t, calls*2/3, after, want)
}
