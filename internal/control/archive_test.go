package control_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/manifest"
	"github.com/roomcast/roomcast/internal/media"
)

// recorded is a world in which a show was live and has ended.
type recorded struct {
	*world
	bucket *memory
	room   broadcast.RoomID
	play   broadcast.PlayID
}

// upload publishes segments 1 to n of a play id as a worker does, 2 s each.
func upload(t testing.TB, m *memory, play broadcast.PlayID, n int, began time.Time) {
	t.Helper()
	p := manifest.Presentation{TargetDuration: 2 * time.Second, Window: 30 * time.Second}
	put := func(name string, body []byte) { m.objects["live/"+string(play)+"/"+name] = body }
	for i := range n {
		next, err := p.Version(1, began).Append(manifest.Addition{
			Epoch: 1, Run: i / 25, Start: began.Add(time.Duration(2*i) * time.Second),
			Tracks: []manifest.Track{{Timescale: 90_000, Rendition: manifest.Rendition{Name: "v", Kind: media.Video, Codecs: "avc1.64001f", WidthPixels: 320, HeightPixels: 180}}},
			Spans:  []manifest.Span{{PTS: media.Ticks(180_000 * i), Duration: 180_000, SizeBytes: 1000}},
		})
		if err != nil {
			t.Fatal(err)
		}
		p = next
		put(manifest.SegmentName(1, i/25, "v", uint64(i+1)), []byte("segment"))
		if p.IndexDue() {
			var name string
			var body []byte
			name, body, p = p.NextIndex()
			put(name, body)
		}
	}
	if n > 0 {
		put(manifest.RecordName, p.Playlist("v"))
	}
}

// newRecorded goes live after segment liveAt and ends with segments segments,
// the last told of which is told.
func newRecorded(t testing.TB, liveAt, told, segments int) *recorded {
	t.Helper()
	r := &recorded{world: newWorld(t), bucket: newMemory()}
	r.Service.Objects = r.bucket
	r.take("wrk_1")
	r.progress(uint64(liveAt))
	r.no(r.ApplyEvent(t.Context(), r.event(broadcast.Prep)))
	r.no(r.ApplyEvent(t.Context(), r.event(broadcast.Published)))
	r.room = r.world.room()
	v, err := r.StartRoom(t.Context(), r.caller, r.room)
	r.no(err)
	r.play = v.Room.PlayID
	upload(t, r.bucket, r.play, segments, r.clock.now().Add(-time.Duration(2*liveAt)*time.Second))
	r.clock.pass(time.Duration(2*(segments-liveAt)) * time.Second)
	if told >= 0 {
		r.progress(uint64(told))
	}
	r.no(r.ApplyEvent(t.Context(), r.event(broadcast.Stopped)))
	lease, err := r.db.Lease(t.Context(), r.key)
	r.no(err)
	r.no(r.db.ReleaseLease(t.Context(), r.key, r.epoch, r.session, lease.Progress))
	_, err = r.EndRoom(t.Context(), r.caller, r.room, false)
	r.no(err)
	return r
}

func (r *recorded) progress(last uint64) {
	r.Helper()
	r.no(r.db.RenewLease(r.Context(), r.key, r.epoch, r.session, broadcast.Progress{Mode: broadcast.ModeCMAF, LastSegment: last}))
}

// settle runs jobs until none is due, at most for an hour of the world's time.
func (r *recorded) settle() {
	r.Helper()
	for range 200 {
		_ = r.RunJobs(r.Context()) // what fails comes again
		due, err := r.db.DueJobs(r.Context(), r.clock.now().Add(time.Hour), 100)
		if err == nil && len(due) == 0 {
			return
		}
		r.clock.pass(20 * time.Second)
	}
	r.Fatal("the jobs never end")
}

func (r *recorded) posts() []control.PostView {
	r.Helper()
	list, err := r.Posts(r.Context(), r.caller, "", "", control.Page{Limit: 10})
	r.no(err)
	return list.Items
}

func numbers(from, to int) (list []string) {
	for n := from; n <= to; n++ {
		list = append(list, fmt.Sprintf("s1-%d/v/%d.m4s", (n-1)/25, n))
	}
	return list
}

// recorded names the segments of the post's playlist.
func (r *recorded) names(post broadcast.PostID) (list []string) {
	r.Helper()
	for line := range strings.Lines(string(r.bucket.objects["posts/"+string(post)+"/v.m3u8"])) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "../../live/"+string(r.play)+"/"); ok {
			list = append(list, name)
		}
	}
	return list
}

func TestTheRecordingRunsFromGoLiveToTheEnd(t *testing.T) {
	r := newRecorded(t, 4, 57, 57)
	r.settle()
	posts := r.posts()
	if len(posts) != 1 {
		t.Fatalf("%d posts", len(posts))
	}
	p := posts[0]
	if got, want := r.names(p.Post.ID), numbers(5, 57); !slices.Equal(got, want) {
		t.Errorf("recorded %v, want %v", got, want)
	}
	if p.Post.Duration != 106*time.Second || p.HLSURL != "http://h/posts/"+string(p.Post.ID)+"/master.m3u8" || p.DASHURL == "" {
		t.Errorf("%+v", p)
	}
	// Nothing can be transcoded in this world: the room is archived even so.
	room, err := r.Room(t.Context(), r.caller, r.room)
	r.no(err)
	if p.Post.State != broadcast.PostUploaded || room.Room.State != broadcast.RoomArchived || room.Room.VODState != broadcast.VODArchived || room.Room.PostID != p.Post.ID {
		t.Errorf("post %s, room %+v", p.Post.State, room.Room)
	}
	if !strings.Contains(string(r.bucket.objects["live/"+string(r.play)+"/v.m3u8"]), "#EXT-X-ENDLIST") {
		t.Error("the live playlist was not closed")
	}
}

// The lease was up to two seconds behind when the worker died: what is
// published counts, as long as it began before the end.
func TestADeadWorkersLastSegmentIsInTheRecording(t *testing.T) {
	r := newRecorded(t, 4, 18, 20)
	r.settle()
	if got, want := r.names(r.posts()[0].Post.ID), numbers(5, 20); !slices.Equal(got, want) {
		t.Errorf("recorded %v, want %v", got, want)
	}
}

func TestMissingIndexObjectsCostOnlyTheirSegments(t *testing.T) {
	r := newRecorded(t, 4, 60, 60)
	delete(r.bucket.objects, "live/"+string(r.play)+"/index/11.json")
	r.settle()
	if got, want := r.names(r.posts()[0].Post.ID), append(numbers(5, 10), numbers(21, 60)...); !slices.Equal(got, want) {
		t.Errorf("recorded %v, want %v", got, want)
	}
}

func TestAShowWithoutMediaFailsAndSaysSo(t *testing.T) {
	for name, segments := range map[string]int{"nothing was ever uploaded": 0, "nothing after go live": 5} {
		r := newRecorded(t, segments, segments, segments)
		r.settle()
		p := r.posts()[0].Post
		room, err := r.Room(t.Context(), r.caller, r.room)
		r.no(err)
		if p.State != broadcast.PostFailedUpload || p.Failure == nil || p.Failure.Code != control.CodeNoMedia || room.Room.VODState != broadcast.FailedArchiving {
			t.Errorf("%s: post %+v, room %+v", name, p, room.Room)
		}
	}
}

func TestARecordThatCannotBeReadDoesNotHangForEver(t *testing.T) {
	r := newRecorded(t, 4, 20, 20)
	r.bucket.objects["live/"+string(r.play)+"/v.m3u8"] = []byte("nonsense")
	for range 40 {
		_ = r.RunJobs(t.Context()) // CLOSE never succeeds
		r.clock.pass(time.Minute)
	}
	if p := r.posts()[0].Post; p.State != broadcast.PostFailedUpload || p.Failure.Code != control.CodeUnreadable {
		t.Errorf("%+v", p)
	}
}

// Every call of the store and of the bucket fails once, before or after its
// effect: there is exactly one playable post with every segment in it.
func TestOneFaultAnywhereLosesNothing(t *testing.T) {
	for _, late := range []bool{false, true} {
		for n := 1; ; n++ {
			r := newRecorded(t, 4, 33, 33)
			f := &faults{at: n, late: late}
			r.bucket.faults = f
			o := r.Service.Options
			o.Store = failing{r.db, f}
			r.Service = control.New(o)
			r.settle()
			posts := r.posts()
			if len(posts) != 1 || posts[0].Post.State != broadcast.PostUploaded || !slices.Equal(r.names(posts[0].Post.ID), numbers(5, 33)) {
				t.Fatalf("call %d (late %v) failed: %+v", n, late, posts)
			}
			room, err := r.db.Room(t.Context(), r.room)
			r.no(err)
			if room.State != broadcast.RoomArchived {
				t.Fatalf("call %d (late %v) failed: room %+v", n, late, room)
			}
			for _, key := range r.bucket.keys("posts/") {
				if !strings.HasPrefix(key, "posts/"+string(posts[0].Post.ID)+"/") {
					t.Errorf("call %d: %s belongs to nobody", n, key)
				}
			}
			if f.calls < n {
				t.Logf("%d calls (late %v)", f.calls, late)
				break
			}
		}
	}
}

func TestADeletedPostLeavesNothingBehind(t *testing.T) {
	for n := 1; ; n++ { // every call of the deletion fails once
		r := newRecorded(t, 4, 33, 33)
		r.settle()
		id := r.posts()[0].Post.ID
		r.no(r.DeletePost(t.Context(), r.caller, id))
		_, err := r.Post(t.Context(), r.caller, id)
		r.code(err, broadcast.CodePostNotFound)
		r.bucket.faults = &faults{at: n}
		r.settle()
		if left := r.bucket.keys(""); len(left) > 0 {
			t.Fatalf("call %d failed: left %v", n, left)
		}
		room, err := r.db.Room(t.Context(), r.room)
		r.no(err)
		if room.PostID != "" {
			t.Errorf("the room still names post %s", room.PostID)
		}
		if r.bucket.calls < n {
			break
		}
	}
}

// A post that is deleted while it is being made leaves nothing behind, either.
func TestAPostDeletedWhileItIsArchived(t *testing.T) {
	r := newRecorded(t, 4, 33, 33)
	post, err := r.db.Room(t.Context(), r.room)
	r.no(err)
	r.no(r.DeletePost(t.Context(), r.caller, post.PostID))
	room, err := r.db.Room(t.Context(), r.room)
	r.no(err)
	if room.VODState != broadcast.NotArchived || room.PostID != "" {
		t.Errorf("%+v", room)
	}
	r.settle()
	if left := r.bucket.keys(""); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestADiscardedRecordingIsDeleted(t *testing.T) {
	r := &recorded{world: newWorld(t), bucket: newMemory()}
	r.Service.Objects = r.bucket
	r.room = r.live()
	room, err := r.db.Room(t.Context(), r.room)
	r.no(err)
	r.play = room.PlayID
	upload(t, r.bucket, r.play, 12, r.clock.now())
	_, err = r.ForceTerminateKey(t.Context(), r.caller, r.key, true)
	r.no(err)
	r.no(r.RunJobs(t.Context()))
	r.bucket.objects["live/"+string(r.play)+"/s1-0/v/13.m4s"] = []byte("an upload that was under way")
	r.settle()
	if left := r.bucket.keys(""); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if n := len(r.posts()); n != 0 {
		t.Errorf("%d posts", n)
	}
}

func TestARetryTakesAFailedPostUpAgain(t *testing.T) {
	r := newRecorded(t, 4, 33, 33)
	kept := r.bucket.objects
	r.bucket.objects = map[string][]byte{}
	r.settle()
	id := r.posts()[0].Post.ID
	r.bucket.objects = kept
	v, err := r.RetryPost(t.Context(), r.caller, id)
	r.no(err)
	if v.Post.State != broadcast.PostCreated || v.Post.Failure != nil {
		t.Fatalf("%+v", v.Post)
	}
	_, err = r.RetryPost(t.Context(), r.caller, id)
	r.code(err, broadcast.CodePostNotFailed)
	r.settle()
	if p := r.posts()[0].Post; p.State != broadcast.PostUploaded || len(r.names(id)) != 29 {
		t.Errorf("%+v", p)
	}
}

func TestAPatchOfAPost(t *testing.T) {
	r := newRecorded(t, 4, 33, 33)
	r.settle()
	p := r.posts()[0].Post
	title := "the best of"
	v, err := r.UpdatePost(t.Context(), r.caller, p.ID, control.PostPatch{Title: control.Field[string]{Set: true, Value: &title}, IfVersion: p.Revision})
	r.no(err)
	if v.Post.Title != title || v.Post.Revision != p.Revision+1 || !v.Post.Playable() {
		t.Errorf("%+v", v.Post)
	}
	_, err = r.UpdatePost(t.Context(), r.caller, p.ID, control.PostPatch{IfVersion: p.Revision})
	r.code(err, broadcast.CodeVersionMismatch)
	other := r.caller
	other.MemberID = "mem_other"
	_, err = r.UpdatePost(t.Context(), other, p.ID, control.PostPatch{})
	r.code(err, broadcast.CodePostNotFound)
}
