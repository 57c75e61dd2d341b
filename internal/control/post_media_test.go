package control_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ladder"
	"github.com/roomcast/roomcast/internal/manifest"
)

// factory is a Transcoder that notes what it is asked and can fail.
type factory struct {
	bucket         *memory
	noEncode       bool
	files          int // per recording; 0 = 1
	sourceErr      error
	processErr     error
	sources        int
	processes      int
	segments       int
	forgotten      []broadcast.PostID
	beforeSource   func()
	beforeProcess  func()
	reportProgress []int
	profiles       []control.TranscodingProfile // of the processes
	boxes          []control.PictureBox         // thumbnail and preview of the last one
}

func (f *factory) CanEncode() bool            { return !f.noEncode }
func (f *factory) Forget(id broadcast.PostID) { f.forgotten = append(f.forgotten, id) }

func (f *factory) Source(ctx context.Context, t control.SourceTask) ([]broadcast.PostFile, error) {
	f.sources++
	f.segments = 0
	if f.beforeSource != nil {
		f.beforeSource()
	}
	if err := t.Segments(ctx, func(manifest.IndexSegment) error { f.segments++; return nil }); err != nil {
		return nil, err
	}
	if f.sourceErr != nil {
		return nil, f.sourceErr
	}
	var list []broadcast.PostFile
	for i := range max(f.files, 1) {
		key := t.Folder + "source" + string(rune('0'+i)) + ".mp4"
		if _, err := f.bucket.Put(ctx, key, [][]byte{[]byte("mp4")}, control.PutOptions{}); err != nil {
			return nil, err
		}
		list = append(list, broadcast.PostFile{Key: key, SizeBytes: 3, ContentType: "video/mp4"})
	}
	return list, nil
}

func (f *factory) Process(ctx context.Context, t control.ProcessTask, progress func(int)) (control.Processed, error) {
	f.processes++
	f.profiles = append(f.profiles, t.Profile)
	f.boxes = []control.PictureBox{t.Thumbnail, t.Preview}
	if f.beforeProcess != nil {
		f.beforeProcess()
	}
	for _, p := range f.reportProgress {
		progress(p)
	}
	if f.processErr != nil {
		return control.Processed{}, f.processErr
	}
	if _, err := f.bucket.Put(ctx, t.Folder+"vod/master.m3u8", [][]byte{[]byte("m3u8")}, control.PutOptions{}); err != nil {
		return control.Processed{}, err
	}
	return control.Processed{
		Playback:     broadcast.PostPlayback{HLSKey: t.Folder + "vod/master.m3u8"},
		Renditions:   []broadcast.PostRendition{{Name: "720p", Kind: "video"}},
		ThumbnailKey: t.Folder + "thumbnail.jpg",
	}, nil
}

func withFactory(t *testing.T) (*recorded, *factory) {
	t.Helper()
	r := newRecorded(t, 4, 33, 33)
	f := &factory{bucket: r.bucket}
	r.Service.Transcoder = f
	return r, f
}

func (r *recorded) is(post broadcast.PostState, room broadcast.RoomState, vod broadcast.VODState) broadcast.VideoPost {
	r.Helper()
	posts := r.posts()
	stored, err := r.db.Room(r.Context(), r.room)
	r.no(err)
	if len(posts) != 1 || posts[0].Post.State != post || stored.State != room || stored.VODState != vod {
		r.Fatalf("%d posts, %+v, room %s %s; want %s, %s, %s", len(posts), posts[0].Post, stored.State, stored.VODState, post, room, vod)
	}
	return posts[0].Post
}

// Pictures are made by the app's profiles, and by the shipped ones where the app
// names none.
func TestPicturesHaveTheSizesOfTheAppsProfiles(t *testing.T) {
	r, f := withFactory(t)
	p, err := r.CreateProfile(t.Context(), r.caller, control.ProfileInput{Type: control.ProfileThumbnail, Name: "square", Content: control.ProfileContent{
		VideoStreams: []control.VideoStream{{Name: "picture", WidthPixels: 400, HeightPixels: 400}},
	}})
	r.no(err)
	_, err = r.UpdateApp(t.Context(), r.caller, control.AppPatch{ThumbnailTranscodingProfileID: control.Field[broadcast.ProfileID]{Set: true, Value: &p.ID}})
	r.no(err)
	r.settleFor(100)
	r.is(broadcast.PostProcessed, broadcast.RoomArchived, broadcast.VODArchived)
	if want := []control.PictureBox{{WidthPixels: 400, HeightPixels: 400}, {WidthPixels: 320}}; !slices.Equal(f.boxes, want) {
		t.Errorf("boxes %v, want %v", f.boxes, want)
	}
	if err := r.DeleteProfile(t.Context(), r.caller, p.ID); err == nil {
		t.Error("a profile that the app names is deleted")
	}
}

// The revision that was the newest when the recording became playable is the
// one that it is made with, at every attempt, even when the profile is gone.
func TestARecordingStaysWithItsProfilesRevision(t *testing.T) {
	r, f := withFactory(t)
	ctx := t.Context()
	p, err := r.CreateProfile(ctx, r.caller, control.ProfileInput{Type: control.ProfileVideo, Name: "one", Content: control.ProfileContent{
		SegmentSeconds: 4, VideoStreams: []control.VideoStream{{Name: "a", WidthPixels: 640, HeightPixels: 360, BitrateBPS: 500_000}},
	}})
	r.no(err)
	id, other := p.ID, control.VODProfile
	_, err = r.UpdateApp(ctx, r.caller, control.AppPatch{VODTranscodingProfileID: control.Field[broadcast.ProfileID]{Set: true, Value: &id}})
	r.no(err)
	f.processErr = errors.New("not yet")
	f.beforeProcess = func() {
		f.processErr, f.beforeProcess = nil, nil
		name, seconds := "two", 6
		_, err := r.UpdateProfile(ctx, r.caller, id, control.ProfilePatch{
			Name: control.Field[string]{Set: true, Value: &name}, SegmentSeconds: control.Field[int]{Set: true, Value: &seconds},
		})
		r.no(err)
		_, err = r.UpdateApp(ctx, r.caller, control.AppPatch{VODTranscodingProfileID: control.Field[broadcast.ProfileID]{Set: true, Value: &other}})
		r.no(err)
		r.no(r.DeleteProfile(ctx, r.caller, id))
		f.processErr = errors.New("not yet")
		f.beforeProcess = func() { f.processErr = nil }
	}
	r.settleFor(100)
	post := r.is(broadcast.PostProcessed, broadcast.RoomArchived, broadcast.VODArchived)
	if post.TranscodingProfileID != id || post.TranscodingProfileRevision != 1 || len(f.profiles) != 2 {
		t.Errorf("made with %s revision %d in %d attempts", post.TranscodingProfileID, post.TranscodingProfileRevision, len(f.profiles))
	}
	for _, got := range f.profiles {
		if steps := got.Content.Ladder().Steps; got.Version != 1 || got.Content.SegmentSeconds != 4 || len(steps) != 1 || steps[0].ShortPixels != 360 {
			t.Errorf("made with %+v", got)
		}
	}
}

func TestTheShippedProfileOfRecordingsIsTheirLadder(t *testing.T) {
	p, ok := control.ShippedProfile(control.VODProfile)
	if d := cmp.Diff(ladder.VODDefault(), p.Content.Ladder()); !ok || d != "" {
		t.Error(d)
	}
}

func TestARecordingIsProcessedAndItsRoomArchived(t *testing.T) {
	r, f := withFactory(t)
	r.settleFor(100)
	p := r.is(broadcast.PostProcessed, broadcast.RoomArchived, broadcast.VODArchived)
	if f.segments != 29 || f.sources != 1 || f.processes != 1 || !slices.Equal(f.forgotten, []broadcast.PostID{p.ID}) {
		t.Errorf("%+v", f)
	}
	if len(p.Sources) != 1 || len(p.Renditions) != 1 || p.ThumbnailKey == "" || p.Playback.HLSKey != "posts/"+string(p.ID)+"/vod/master.m3u8" {
		t.Errorf("%+v", p)
	}
	var steps []string
	list, err := r.Journal(t.Context(), r.caller, r.room, control.Page{Limit: 100, Ascending: true})
	r.no(err)
	for _, e := range list.Items {
		if e.Machine == broadcast.PostMachine {
			steps = append(steps, e.To)
		}
	}
	if want := []string{"UPLOADED", "QUEUED", "PROCESSING", "PROCESSED"}; !slices.Equal(steps, want) {
		t.Errorf("the journal says %v, want %v", steps, want)
	}
	// Live segments stay for a day, for who loaded the first playlists.
	if n := len(r.bucket.keys("live/")); n == 0 {
		t.Error("the live segments went at once")
	}
	r.clock.pass(25 * 3600e9)
	r.no(r.RunJobs(t.Context()))
	if left := r.bucket.keys("live/"); len(left) > 0 {
		t.Errorf("after a day: %v", left)
	}
}

// settleFor runs what is due, a few seconds apart.
func (r *recorded) settleFor(passes int) {
	r.Helper()
	for range passes {
		_ = r.RunJobs(r.Context()) // what fails comes again
		r.clock.pass(5e9)
	}
}

func TestWithoutFFmpegAPostIsPlayableAndItsRoomArchived(t *testing.T) {
	r, f := withFactory(t)
	f.noEncode = true
	r.settleFor(20)
	p := r.is(broadcast.PostUploaded, broadcast.RoomArchived, broadcast.VODArchived)
	if !p.Playable() || f.processes != 0 || len(p.Sources) != 1 {
		t.Errorf("%+v", p)
	}
	r.clock.pass(25 * 3600e9)
	r.settleFor(2)
	if len(r.bucket.keys("live/")) == 0 {
		t.Error("the segments that the post points at are gone")
	}
}

func TestOriginalsThatCannotBeJoinedAreProcessedTogether(t *testing.T) {
	r, f := withFactory(t)
	f.files = 2
	r.settleFor(100)
	if p := r.is(broadcast.PostProcessed, broadcast.RoomArchived, broadcast.VODArchived); f.processes != 1 || len(p.Sources) != 2 || p.ThumbnailKey == "" {
		t.Errorf("%+v", p)
	}
}

func TestProcessingIsTriedThreeTimesThenTheAppDecides(t *testing.T) {
	r, f := withFactory(t)
	f.processErr = errors.New("no")
	r.settleFor(50)
	p := r.is(broadcast.PostFailedProcessing, broadcast.RoomEnded, broadcast.FailedArchiving)
	if f.processes != 3 || p.Failure == nil || p.Failure.Code != control.CodeProcessingFailed || !p.Playable() {
		t.Errorf("%d tries, %+v", f.processes, p)
	}
	f.processErr = nil
	v, err := r.RetryPost(t.Context(), r.caller, p.ID)
	r.no(err)
	if v.Post.State != broadcast.PostQueued {
		t.Fatalf("%+v", v.Post)
	}
	r.is(broadcast.PostQueued, broadcast.RoomEnded, broadcast.Archiving)
	r.settleFor(5)
	r.is(broadcast.PostProcessed, broadcast.RoomArchived, broadcast.VODArchived)

	r, f = withFactory(t)
	f.sourceErr = errors.New("no")
	r.settleFor(50)
	if p := r.is(broadcast.PostFailedUpload, broadcast.RoomEnded, broadcast.FailedArchiving); f.sources != 3 || p.Failure.Code != control.CodeSourceFailed || !p.Playable() {
		t.Errorf("%d tries, %+v", f.sources, p)
	}
	f.sourceErr = nil
	_, err = r.RetryPost(t.Context(), r.caller, r.posts()[0].Post.ID)
	r.no(err)
	r.settleFor(10)
	r.is(broadcast.PostProcessed, broadcast.RoomArchived, broadcast.VODArchived)
}

// A process that dies while it works says nothing: its beginnings count.
func TestAJobThatKillsItsProcessIsGivenUp(t *testing.T) {
	r, f := withFactory(t)
	f.beforeProcess = func() { panic("killed") }
	for range 20 {
		func() {
			defer func() { _ = recover() }() // the process starts again
			_ = r.RunJobs(t.Context())
		}()
		r.clock.pass(60e9)
	}
	p := r.is(broadcast.PostFailedProcessing, broadcast.RoomEnded, broadcast.FailedArchiving)
	if f.processes != 3 || !p.Playable() {
		t.Errorf("%d tries, %+v", f.processes, p)
	}
}

// A stop of the program is no failed attempt.
func TestAStopCostsNoAttempt(t *testing.T) {
	r, f := withFactory(t)
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		f.beforeProcess, f.processErr = cancel, context.Canceled
		_ = r.RunJobs(ctx)
		r.clock.pass(5e9)
		_ = r.RunJobs(ctx)
		cancel()
		r.clock.pass(5e9)
	}
	f.beforeProcess, f.processErr = nil, nil
	r.settleFor(10)
	r.is(broadcast.PostProcessed, broadcast.RoomArchived, broadcast.VODArchived)
}

func TestProgressIsShownAndChangesNoETag(t *testing.T) {
	r, f := withFactory(t)
	var before broadcast.VideoPost
	f.beforeProcess = func() { before = r.posts()[0].Post; f.beforeProcess = nil }
	f.reportProgress = []int{40, 41}
	f.processErr = errors.New("stop here")
	r.settleFor(3)
	seen := r.is(broadcast.PostProcessing, broadcast.RoomEnded, broadcast.Archiving)
	if seen.Progress == nil || *seen.Progress != 40 {
		t.Errorf("progress %v", seen.Progress)
	}
	if seen.Revision != before.Revision || seen.Version == before.Version {
		t.Errorf("revision %d, was %d; version %d, was %d", seen.Revision, before.Revision, seen.Version, before.Version)
	}
}

func TestOneFaultAnywhereWhileProcessingLosesNothing(t *testing.T) {
	for _, late := range []bool{false, true} {
		for n := 1; ; n++ {
			r, f := withFactory(t)
			cut := &faults{at: n, late: late}
			r.bucket.faults = cut
			o := r.Service.Options
			o.Store = failing{r.db, cut}
			r.Service = control.New(o)
			r.settleFor(40)
			p := r.is(broadcast.PostProcessed, broadcast.RoomArchived, broadcast.VODArchived)
			if len(p.Sources) != 1 || f.segments != 29 {
				t.Fatalf("call %d (late %v) failed: %+v, %d segments", n, late, p, f.segments)
			}
			if cut.calls < n {
				t.Logf("%d calls (late %v)", cut.calls, late)
				break
			}
			// Idle polls would go on for ever.
			if n > 60 {
				break
			}
		}
	}
}

func TestADeletionWhileProcessingLeavesNothingBehind(t *testing.T) {
	r, f := withFactory(t)
	f.beforeProcess = func() {
		f.beforeProcess = nil
		p := r.posts()[0].Post
		r.no(r.DeletePost(t.Context(), r.caller, p.ID))
		r.no(r.RunJobs(t.Context(), control.JobDelete))
	}
	r.settleFor(10)
	if left := r.bucket.keys(""); len(left) > 0 || len(r.posts()) > 0 {
		t.Errorf("left %v", left)
	}
	if len(f.forgotten) == 0 {
		t.Error("the scratch files stay")
	}
}

// The lane does not wait: a long job of one post holds up no other lane, and
// no job runs twice at once.
func TestALaneGoesOnWhileAJobRuns(t *testing.T) {
	r, f := withFactory(t)
	r.no(r.RunJobs(t.Context(), control.JobClose, control.JobArchive))
	r.no(r.RunJobs(t.Context(), control.JobSource))
	started, release := make(chan struct{}, 10), make(chan struct{})
	f.beforeProcess = func() { started <- struct{}{}; <-release }
	lane := r.NewLane(2, control.JobTranscode)
	for range 3 {
		r.no(lane.Pass(t.Context()))
	}
	<-started
	r.no(lane.Pass(t.Context()))
	close(release)
	lane.Wait()
	if f.processes != 1 {
		t.Errorf("it ran %d times", f.processes)
	}
	r.is(broadcast.PostProcessed, broadcast.RoomArchived, broadcast.VODArchived)
}
