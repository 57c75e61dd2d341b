package control_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/cmaf"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/manifest"
	"github.com/roomcast/roomcast/internal/media"
)

// streamed is a show as a worker leaves it: segments of 50 pictures of 40 ms
// and of sound, each access unit with its own bytes.
type streamed struct {
	seconds   int // of a segment; 0 = 2
	gop       int // pictures; 0 = 12
	noVideo   bool
	ladder    bool          // two renditions
	gap       time.Duration // between segment 5 and 6: another run
	early     int           // frames of sound that stand before a segment's pictures
	dependent bool          // key frames, if any, are in the middle of segments
}

// unit is the bytes of an access unit.
func unit(track string, n int) []byte { return []byte(fmt.Sprintf("<%s %d>", track, n)) }

// publish uploads n segments, the first of which begins at began.
func (s streamed) publish(r *recorded, n int, began time.Time) {
	r.Helper()
	const scale = 90_000
	seconds, gop := max(s.seconds, 2), s.gop
	if gop == 0 {
		gop = 12
	}
	p := manifest.Presentation{TargetDuration: time.Duration(seconds) * time.Second, Window: 30 * time.Second}
	put := func(name string, body []byte) { r.bucket.objects["live/"+string(r.play)+"/"+name] = body }
	pictures, sounds, run := 0, 0, 0
	names := []string{"v", "360p"}
	if !s.ladder {
		names = names[:1]
	}
	if s.noVideo {
		names = nil
	}
	for i := range n {
		if i == 5 && s.gap > 0 {
			run, began = 1, began.Add(s.gap)
		}
		a := manifest.Addition{Epoch: 1, Run: run, Start: began.Add(time.Duration(i*seconds) * time.Second)}
		add := func(track manifest.Track, from int, samples []cmaf.Sample) {
			track.Timescale = map[media.Kind]uint32{media.Video: scale, media.Audio: 48_000}[track.Kind]
			var body []byte
			length := media.Ticks(0)
			for j := range samples {
				b := unit(track.Name, from+j)
				samples[j].SizeBytes = uint32(len(b))
				body, length = append(body, b...), length+media.Ticks(samples[j].DurationTicks)
			}
			at := media.Ticks(from) * media.Ticks(samples[0].DurationTicks)
			body = append(cmaf.Header(uint32(i+1), at, samples), body...)
			put(manifest.SegmentName(1, run, track.Name, uint64(i+1)), body)
			a.Tracks = append(a.Tracks, track)
			a.Spans = append(a.Spans, manifest.Span{PTS: at, Duration: length, SizeBytes: int64(len(body))})
		}
		for _, name := range names {
			samples := make([]cmaf.Sample, 25*seconds)
			for j := range samples {
				samples[j] = cmaf.Sample{DurationTicks: 3600, Sync: (pictures+j)%gop == 0 || !s.dependent && j == 0}
			}
			a.Dependent = !samples[0].Sync
			add(manifest.Track{Rendition: manifest.Rendition{Name: name, Kind: media.Video, Codecs: "avc1.64001f", WidthPixels: 320, HeightPixels: 180}}, pictures, samples)
		}
		pictures += 25 * seconds
		// Sound from the first frame that begins with the pictures or after them.
		until := ((i+1)*seconds*48_000+1023)/1024 - s.early
		if i == n-1 {
			until += s.early
		}
		samples := make([]cmaf.Sample, until-sounds)
		for j := range samples {
			samples[j] = cmaf.Sample{DurationTicks: 1024, Sync: true}
		}
		add(manifest.Track{Rendition: manifest.Rendition{Name: "a", Kind: media.Audio, Codecs: "mp4a.40.2", SampleRateHz: 48_000, Channels: 2}}, sounds, samples)
		sounds = until
		next, err := p.Version(1, began).Append(a)
		r.no(err)
		if p = next; p.IndexDue() {
			var name string
			var body []byte
			name, body, p = p.NextIndex()
			put(name, body)
		}
	}
	put(manifest.RecordName, p.Playlist("v"))
}

// onAir goes live at a moment of a show of n segments, when the lease says that
// told of them were acknowledged, and ends it.
func onAir(t testing.TB, s streamed, n, told int, at time.Duration) *recorded {
	t.Helper()
	r := &recorded{world: newWorld(t), bucket: newMemory()}
	r.Service.Objects = r.bucket
	r.take("wrk_1")
	r.progress(uint64(told))
	r.no(r.ApplyEvent(t.Context(), r.event(broadcast.Prep)))
	r.no(r.ApplyEvent(t.Context(), r.event(broadcast.Published)))
	r.room = r.world.room()
	began := r.clock.now()
	r.clock.pass(at)
	v, err := r.StartRoom(t.Context(), r.caller, r.room)
	r.no(err)
	r.play = v.Room.PlayID
	s.publish(r, n, began)
	r.clock.pass(time.Duration(n*max(s.seconds, 2))*time.Second + s.gap - at)
	r.progress(uint64(n))
	_, err = r.EndRoom(t.Context(), r.caller, r.room, true)
	r.no(err)
	return r
}

// heard answers the access units that a track's playlist leads to.
func (r *recorded) heard(post broadcast.PostID, track string) (list []string) {
	r.Helper()
	gap := false
	for line := range strings.Lines(string(r.bucket.objects["posts/"+string(post)+"/"+track+".m3u8"])) {
		line = strings.TrimSpace(line)
		gap = gap || line == "#EXT-X-GAP"
		if strings.HasPrefix(line, "#") {
			continue
		}
		key := strings.TrimPrefix(line, "../../")
		body, ok := r.bucket.objects[key]
		if ok == gap {
			r.Fatalf("%s names %s: there %v, a gap %v", track, key, ok, gap)
		}
		gap = false
		for u := range bytes.SplitSeq(body, []byte("<")) {
			if s, ok := strings.CutSuffix(string(u), ">"); ok && strings.HasPrefix(s, track+" ") {
				list = append(list, s)
			}
		}
	}
	return list
}

func units(track string, from, until int) (list []string) {
	for n := from; n < until; n++ {
		list = append(list, fmt.Sprint(track, " ", n))
	}
	return list
}

// sound is the first frame of sound that begins with picture n or after it.
func sound(n int) int { return (n*40*48 + 1023) / 1024 }

func TestARecordingBeginsWithTheFirstKeyFrameAfterGoLive(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		show  streamed
		n     int           // segments
		told  int           // acknowledged at go live, as far as the lease knows
		at    time.Duration // go live
		first int           // picture
		spoil func(r *recorded)
	}{
		"within a segment":                  {n: 8, told: 3, at: 6500 * ms, first: 168},
		"at a key frame":                    {n: 8, told: 3, at: 6720 * ms, first: 168},
		"just after a key frame":            {n: 8, told: 3, at: 6721 * ms, first: 180},
		"after the last one of its segment": {n: 8, told: 3, at: 7950 * ms, first: 200},
		"at a segment's beginning":          {n: 8, told: 4, at: 8000 * ms, first: 200},
		"in the very first segment":         {n: 8, at: 100 * ms, first: 12},
		"at the very beginning":             {n: 8, first: 0},
		"the lease is two segments old":     {n: 8, told: 1, at: 6500 * ms, first: 168},
		"the lease knows of none":           {n: 8, at: 6500 * ms, first: 168},
		"segments of six seconds":           {show: streamed{seconds: 6, gop: 50}, n: 4, told: 1, at: 7500 * ms, first: 200},
		"the end comes in the same segment": {n: 4, told: 3, at: 6500 * ms, first: 168},
		"of an index object":                {n: 40, told: 3, at: 6500 * ms, first: 168},
		"a ladder":                          {show: streamed{ladder: true}, n: 8, told: 3, at: 6500 * ms, first: 168},
		"another run after":                 {show: streamed{gap: 7 * time.Second}, n: 8, told: 3, at: 8500 * ms, first: 216},
		"go live between two runs":          {show: streamed{gap: 7 * time.Second}, n: 8, told: 5, at: 13 * time.Second, first: 250},
		"sound before its pictures":         {show: streamed{early: 4}, n: 8, told: 4, at: 8000 * ms, first: 200},
		"within, sound before its pictures": {show: streamed{early: 4}, n: 8, told: 3, at: 6500 * ms, first: 168},
		"forced cuts":                       {show: streamed{gop: 130, dependent: true}, n: 10, told: 3, at: 6500 * ms, first: 260},
		"no clock that can be believed":     {n: 24, told: 3, at: 47 * time.Second, first: 1000},
		"no key frame for long":             {show: streamed{gop: 2000, dependent: true}, n: 24, told: 3, at: 6500 * ms, first: 200},
		"its segment is missing": {n: 8, told: 3, at: 6500 * ms, first: 200, spoil: func(r *recorded) {
			delete(r.bucket.objects, "live/"+string(r.play)+"/s1-0/v/4.m4s")
		}},
		"its segment is broken": {n: 8, told: 3, at: 6500 * ms, first: 200, spoil: func(r *recorded) {
			key := "live/" + string(r.play) + "/s1-0/v/4.m4s"
			r.bucket.objects[key] = r.bucket.objects[key][:400]
		}},
		"there is no key frame any more": {show: streamed{gop: 1000, dependent: true}, n: 6, told: 3, at: 6500 * ms, first: 200},
	} {
		t.Run(name, func(t *testing.T) {
			r := onAir(t, c.show, c.n, c.told, c.at)
			if c.spoil != nil {
				c.spoil(r)
			}
			r.settle()
			post := r.posts()[0].Post
			pictures := 25 * max(c.show.seconds, 2) * c.n
			got, heard := r.heard(post.ID, "v"), r.heard(post.ID, "a")
			if !slices.Equal(got, units("v", c.first, pictures)) {
				t.Errorf("pictures %v, want from %d to %d", got, c.first, pictures-1)
			}
			if !slices.Equal(heard, units("a", sound(c.first), sound(pictures))) {
				t.Errorf("sound %v, want from %d to %d", heard, sound(c.first), sound(pictures)-1)
			}
			if c.show.ladder && !slices.Equal(r.heard(post.ID, "360p"), units("360p", c.first, pictures)) {
				t.Errorf("360p has %v", r.heard(post.ID, "360p"))
			}
			if d := post.Duration - time.Duration(pictures-c.first)*40*ms; d < 0 || d > 100*ms {
				t.Errorf("it lasts %v, %v more than its pictures", post.Duration, d)
			}
		})
	}
}

func TestARecordingOfSoundBeginsWithTheFirstAfterGoLive(t *testing.T) {
	r := onAir(t, streamed{noVideo: true}, 8, 3, 6500*time.Millisecond)
	r.settle()
	post := r.posts()[0].Post
	if got, want := r.heard(post.ID, "a"), units("a", (65*480*10+1023)/1024, sound(400)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A rendition whose segment is not there has a gap; the others do not wait.
func TestARenditionThatIsMissingAtGoLiveHasAGap(t *testing.T) {
	r := onAir(t, streamed{ladder: true}, 8, 3, 6500*time.Millisecond)
	delete(r.bucket.objects, "live/"+string(r.play)+"/s1-0/360p/4.m4s")
	r.settle()
	post := r.posts()[0].Post
	if got := r.heard(post.ID, "v"); !slices.Equal(got, units("v", 168, 400)) {
		t.Errorf("v has %v", got)
	}
	if got := r.heard(post.ID, "360p"); !slices.Equal(got, units("360p", 200, 400)) {
		t.Errorf("360p has %v", got)
	}
}

// Where nothing of a show came after go live, there is nothing.
func TestAShowWithoutMediaAfterGoLive(t *testing.T) {
	for at, want := range map[time.Duration]broadcast.PostState{7900 * time.Millisecond: broadcast.PostFailedUpload, 7500 * time.Millisecond: broadcast.PostUploaded} {
		r := onAir(t, streamed{}, 4, 3, at)
		r.settle()
		if p := r.posts()[0].Post; p.State != want {
			t.Errorf("live at %v: %+v", at, p)
		}
	}
}

// A post of before LiveFrom is as it was: with the segment of its RecordFrom.
func TestAPostThatDoesNotKnowItsMomentBeginsWithASegment(t *testing.T) {
	r := onAir(t, streamed{}, 8, 3, 6500*time.Millisecond)
	post, err := r.db.Post(t.Context(), r.posts()[0].Post.ID)
	r.no(err)
	post.LiveFrom = time.Time{}
	r.no(r.db.Commit(t.Context(), control.Changes{ID: "tx_1", Posts: []broadcast.VideoPost{post}}))
	r.settle()
	if got := r.heard(post.ID, "v"); !slices.Equal(got, units("v", 200, 400)) {
		t.Errorf("%v", got)
	}
}

// Whatever call fails, the recording begins where it should, and what its
// deletion leaves is nothing.
func TestAFaultWhileARecordingIsOpenedCostsNothing(t *testing.T) {
	for _, late := range []bool{false, true} {
		for n := 1; ; n++ {
			r := onAir(t, streamed{ladder: true}, 8, 3, 6500*time.Millisecond)
			f := &faults{at: n, late: late}
			r.bucket.faults = f
			o := r.Service.Options
			o.Store = failing{r.db, f}
			r.Service = control.New(o)
			r.settle()
			posts := r.posts()
			if len(posts) != 1 || !slices.Equal(r.heard(posts[0].Post.ID, "v"), units("v", 168, 400)) || !slices.Equal(r.heard(posts[0].Post.ID, "360p"), units("360p", 168, 400)) {
				t.Fatalf("call %d (late %v) failed: %+v, %v", n, late, posts, r.heard(posts[0].Post.ID, "v"))
			}
			calls := f.calls
			f.at = 0
			r.no(r.DeletePost(t.Context(), r.caller, posts[0].Post.ID))
			r.settle()
			if left := r.bucket.keys(""); len(left) > 0 {
				t.Fatalf("call %d (late %v) failed: left %v", n, late, left)
			}
			if calls < n {
				break
			}
		}
	}
}

// A post is deleted while its opening is written, at any moment.
func TestAPostDeletedWhileItIsOpenedLeavesNothing(t *testing.T) {
	for n := 1; ; n++ {
		r := onAir(t, streamed{}, 8, 3, 6500*time.Millisecond)
		id := r.posts()[0].Post.ID
		deleted := false
		r.bucket.faults = &faults{at: n, then: func() {
			deleted = true
			r.no(r.DeletePost(t.Context(), r.caller, id))
			r.no(r.RunJobs(t.Context(), control.JobDelete))
		}}
		r.settle()
		if !deleted {
			break
		}
		if left := r.bucket.keys(""); len(left) > 0 {
			t.Fatalf("deleted at call %d: left %v", n, left)
		}
	}
}
