package recorded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/cmaf"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ffmpeg"
	"github.com/roomcast/roomcast/internal/ids"
	"github.com/roomcast/roomcast/internal/manifest"
	"github.com/roomcast/roomcast/internal/media"
	"github.com/roomcast/roomcast/internal/objects/disk"
	"github.com/roomcast/roomcast/internal/store/sqlite"
	"github.com/roomcast/roomcast/workers/transcoder/job"
)

const (
	perRun  = 2 // segments of two seconds
	allRuns = 2
	// goLive is how far in the first segment the room goes live; gop, in pictures
	// of 40 ms, is shorter than a segment.
	goLive = 500 * time.Millisecond
	gop    = 25
)

// show is a room that was live for two runs and is about to end.
type show struct {
	*testing.T
	dir    string
	db     *sqlite.DB
	disk   *disk.Disk
	tool   *ffmpeg.Tool
	caller control.Caller
	room   broadcast.RoomID
	play   broadcast.PlayID

	mu  sync.Mutex
	now time.Time
}

func (s *show) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *show) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *show) no(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// process starts one that dies in its n-th call: one machine's, with the scratch
// folder of the one before, or a task with a folder of its own.
func (s *show) process(at int, how death, task bool) (service *control.Service, l *life, ctx context.Context) {
	ctx, cancel := context.WithCancel(s.Context())
	l = &life{at: at, how: how, end: cancel}
	b := bucket{s.disk, l}
	log := slog.New(slog.DiscardHandler)
	scratch := filepath.Join(s.dir, "scratch")
	if task {
		scratch = s.TempDir()
	}
	return control.New(control.Options{
		Store: records{s.db, l}, Objects: b, IDs: ids.New(s.clock), Now: s.clock, Log: log,
		URLs:       control.URLs{HTTP: "http://h", RTMP: "rtmp://r"},
		CutFront:   cmaf.CutFront,
		Transcoder: job.New(job.Options{Tool: s.tool, Objects: b, Scratch: scratch, Keep: task, Parallel: 1, Log: log}),
	}), l, ctx
}

// newShow brings a room on air, lets publish leave what a worker leaves, and
// takes the publisher away. publish answers the last segment's number and how
// long it was on air.
func newShow(t *testing.T, publish func(s *show) (last uint64, lasted time.Duration)) *show {
	t.Helper()
	s := &show{T: t, dir: t.TempDir(), tool: ffmpeg.New(t.Context()), now: time.Date(2026, 12, 24, 20, 0, 0, 0, time.UTC)}
	var err error
	s.db, err = sqlite.Open(filepath.Join(s.dir, "db"), sqlite.Options{Now: s.clock})
	s.no(err)
	s.disk, err = disk.Open(filepath.Join(s.dir, "media"))
	s.no(err)
	t.Cleanup(func() { s.no(errors.Join(s.disk.Close(), s.db.Close())) })
	service, _, ctx := s.process(0, before, false)
	app, _, _, err := service.CreateApp(ctx, control.Actor{Kind: "operator"}, "test")
	s.no(err)
	s.caller = control.Caller{AppID: app.ID, Actor: control.Actor{Kind: "api_key"}}
	member, _, err := service.PutMember(ctx, s.caller, control.MemberInput{AppUserID: "ada"})
	s.no(err)
	room, err := service.CreateRoom(ctx, s.caller, control.RoomInput{Type: broadcast.BroadcastRTMP, AppUserID: "ada", ScheduledAt: s.clock()})
	s.no(err)
	s.room = room.Room.ID

	lease, err := s.db.Lease(ctx, member.KeyID)
	s.no(err)
	lease, err = s.db.TakeLease(ctx, member.KeyID, control.LeaseCondition{Generation: lease.KeyGeneration, Epoch: lease.Epoch},
		broadcast.Holder{Session: "ses_1", Worker: "wrk_1"}, broadcast.Progress{Mode: broadcast.ModeCMAF})
	s.no(err)
	tell := func(seq uint64, phase broadcast.Phase) {
		s.no(service.ApplyEvent(ctx, broadcast.Event{
			ID: broadcast.EventID(fmt.Sprint("evt_", seq)), KeyID: member.KeyID, Session: "ses_1", Epoch: lease.Epoch, Seq: seq,
			Phase: phase, Mode: broadcast.ModeCMAF, At: s.clock(),
		}))
	}
	tell(1, broadcast.Published)
	live, err := service.StartRoom(ctx, s.caller, s.room)
	s.no(err)
	s.play = live.Room.PlayID
	last, lasted := publish(s)
	s.pass(lasted)
	s.no(s.db.RenewLease(ctx, member.KeyID, lease.Epoch, "ses_1", broadcast.Progress{Mode: broadcast.ModeCMAF, LastSegment: last}))
	tell(2, broadcast.Stopped)
	return s
}

// tracks are those of cut.
func tracks() []manifest.Track {
	return []manifest.Track{
		{Timescale: 90_000, Rendition: manifest.Rendition{Name: "v", Kind: media.Video, Codecs: "avc1.64001f", WidthPixels: 320, HeightPixels: 180}},
		{Timescale: 48_000, Rendition: manifest.Rendition{Name: "a", Kind: media.Audio, Codecs: "mp4a.40.2"}},
	}
}

// cut makes a folder of the segments of src for each run.
func cut(t *testing.T, src string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	no := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for run := range allRuns {
		for i, track := range tracks() {
			dir := filepath.Join(folder, fmt.Sprintf("s1-%d", run), track.Name)
			no(os.MkdirAll(dir, 0o700))
			out, err := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-i", src, "-map", fmt.Sprint("0:", i), "-c", "copy",
				"-f", "dash", "-seg_duration", "2", "-format_options", "use_editlist=0:video_track_timescale=90000",
				"-init_seg_name", "../"+track.Name+"-init.mp4", "-media_seg_name", "n$Number$", filepath.Join(dir, "x.mpd")).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for n := range perRun {
				no(os.Rename(filepath.Join(dir, fmt.Sprint("n", n+1)), filepath.Join(dir, fmt.Sprintf("%d.m4s", run*perRun+n+1))))
			}
			no(os.Remove(filepath.Join(dir, "x.mpd")))
			rest, err := filepath.Glob(filepath.Join(dir, "n*"))
			no(err)
			for _, name := range rest {
				no(os.Remove(name))
			}
		}
	}
	return folder
}

// published leaves the segments of a folder, and their record.
func published(folder string) func(s *show) (uint64, time.Duration) {
	return func(s *show) (uint64, time.Duration) {
		s.Helper()
		live := "live/" + string(s.play) + "/"
		s.no(os.CopyFS(filepath.Join(s.dir, "media", live), os.DirFS(folder)))
		began := s.clock().Add(-goLive)
		p := manifest.Presentation{TargetDuration: 2 * time.Second, Window: 30 * time.Second}
		for i := range perRun * allRuns {
			n := i % perRun
			next, err := p.Version(1, began).Append(manifest.Addition{
				Epoch: 1, Run: i / perRun, Start: began.Add(time.Duration(2*i) * time.Second), Tracks: tracks(),
				Spans: []manifest.Span{{PTS: media.Ticks(180_000 * n), Duration: 180_000, SizeBytes: 1}, {PTS: media.Ticks(96_000 * n), Duration: 96_000, SizeBytes: 1}},
			})
			s.no(err)
			p = next
		}
		_, err := s.disk.Put(s.Context(), live+manifest.RecordName, [][]byte{p.Playlist("v")}, control.PutOptions{})
		s.no(err)
		return perRun * allRuns, 2 * perRun * allRuns * time.Second
	}
}

// end ends the room. Whoever dies of it is asked again.
func (s *show) end(ctx context.Context, service *control.Service) {
	if r, err := s.db.Room(s.Context(), s.room); err == nil && r.State == broadcast.RoomLiveInactive {
		_, _ = service.EndRoom(ctx, s.caller, s.room, false) // what came of it is looked up
	}
}

// work does jobs until nothing is due within an hour, or the process is dead.
func (s *show) work(ctx context.Context, service *control.Service, l *life) {
	s.Helper()
	for range 100 {
		s.end(ctx, service)
		_ = service.RunJobs(ctx) // what fails comes again
		if l.died() {
			return
		}
		due, err := s.db.DueJobs(s.Context(), s.clock().Add(time.Hour), 10)
		s.no(err)
		if len(due) == 0 {
			return
		}
		s.pass(5 * time.Second)
	}
	s.Fatal("the jobs never end")
}

// keys lists the objects below a prefix, with the names of this show left out.
func (s *show) keys(prefix string) (list []string) {
	s.Helper()
	post, err := s.db.Posts(s.Context(), control.PostFilter{AppID: s.caller.AppID}, control.Page{Limit: 10})
	s.no(err)
	if len(post.Items) != 1 {
		s.Fatalf("%d posts", len(post.Items))
	}
	infos, err := s.disk.List(s.Context(), prefix, "", 1000)
	s.no(err)
	for _, i := range infos {
		key := strings.ReplaceAll(i.Key, string(post.Items[0].ID), "POST")
		list = append(list, strings.ReplaceAll(key, string(s.play), "PLAY"))
	}
	slices.Sort(list)
	return list
}

// file answers the whole object behind a key of a post.
func (s *show) file(key string) []byte {
	s.Helper()
	b, _, err := s.disk.Get(s.Context(), key)
	s.no(err)
	return b
}
