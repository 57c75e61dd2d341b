package control_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// copies is a CDN that notes what it is to forget, and what the bucket had then.
type copies struct {
	bucket    *memory
	fail      int // calls that fail first
	forgotten []string
	refs      []string
	left      []string
}

func (c *copies) Forget(_ context.Context, reference string, prefixes []string) error {
	if c.fail > 0 {
		c.fail--
		return errors.New("too many at once")
	}
	c.refs = append(c.refs, reference)
	c.forgotten = append(c.forgotten, prefixes...)
	for _, p := range prefixes {
		c.left = append(c.left, c.bucket.keys(p)...)
	}
	return nil
}

func TestWhatIsDeletedTheCDNForgetsAfterwards(t *testing.T) {
	r := newRecorded(t, 4, 33, 33)
	cdn := &copies{bucket: r.bucket, fail: 2}
	r.Service.CDN = cdn
	r.settle()
	if len(cdn.forgotten) > 0 {
		t.Fatalf("forgotten although nothing was deleted: %v", cdn.forgotten)
	}
	id := r.posts()[0].Post.ID
	r.no(r.DeletePost(t.Context(), r.caller, id))
	r.settle()
	if want := []string{"live/" + string(r.play) + "/", "posts/" + string(id) + "/"}; !slices.Equal(cdn.forgotten, want) || len(cdn.left) > 0 {
		t.Errorf("forgotten %v, want %v; %v was still in the bucket", cdn.forgotten, want, cdn.left)
	}
}

func TestADiscardedRecordingIsForgottenByTheCDNBothTimes(t *testing.T) {
	r := &recorded{world: newWorld(t), bucket: newMemory()}
	r.Service.Objects = r.bucket
	cdn := &copies{bucket: r.bucket}
	r.Service.CDN = cdn
	r.room = r.live()
	room, err := r.db.Room(t.Context(), r.room)
	r.no(err)
	upload(t, r.bucket, room.PlayID, 12, r.clock.now())
	_, err = r.ForceTerminateKey(t.Context(), r.caller, r.key, true)
	r.no(err)
	r.settle()
	live := "live/" + string(room.PlayID) + "/"
	if !slices.Equal(cdn.forgotten, []string{live, live}) || len(cdn.refs) != 2 || cdn.refs[0] == cdn.refs[1] || len(cdn.left) > 0 {
		t.Errorf("forgotten %v under %v, left %v", cdn.forgotten, cdn.refs, cdn.left)
	}
}

// A day after ARCHIVED neither live segments nor the playlists over them are
// there, whatever a rendition is called; what is watched is.
func TestADayLaterTheLiveSegmentsAndTheirPlaylistsAreGone(t *testing.T) {
	r, _ := withFactory(t)
	r.settleFor(100)
	p := r.is(broadcast.PostProcessed, broadcast.RoomArchived, broadcast.VODArchived)
	folder := "posts/" + string(p.ID) + "/"
	if _, ok := r.bucket.objects[folder+"v.m3u8"]; !ok {
		t.Fatal("the first playlists go before their time")
	}
	for _, name := range []string{"wide.m3u8", "360p.m3u8", "vod/media_0.m3u8", "vod/manifest.mpd", "thumbnail.jpg"} {
		r.bucket.objects[folder+name] = []byte("x")
	}
	for i := range 300 {
		r.bucket.objects[folder+"vod/0-"+string(rune('a'+i%26))+strings.Repeat("0", i/26)+".m4s"] = []byte("x")
	}
	r.clock.pass(25 * time.Hour)
	r.no(r.RunJobs(t.Context()))
	if left := r.bucket.keys("live/"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	var names []string
	for _, key := range r.bucket.keys(folder) {
		if name := strings.TrimPrefix(key, folder); !strings.HasSuffix(name, ".m4s") {
			names = append(names, name)
		}
	}
	if want := []string{"source0.mp4", "thumbnail.jpg", "vod/manifest.mpd", "vod/master.m3u8", "vod/media_0.m3u8"}; !slices.Equal(names, want) {
		t.Errorf("the post's folder has %v, want %v", names, want)
	}
}
