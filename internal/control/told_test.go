package control_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// told are the types of the events of a room, key or post, in order and
// without a gap.
func (w *world) told(aggregate string) (types []string) {
	w.Helper()
	list, err := w.db.Unplaced(w.Context(), 1000)
	w.no(err)
	for _, n := range list {
		if n.Aggregate != aggregate {
			continue
		}
		types = append(types, n.Type)
		if n.Sequence != uint64(len(types)) {
			w.Errorf("%s has sequence %d, want %d", n.Type, n.Sequence, len(types))
		}
	}
	return types
}

// A show is told of from its room to its recording, one that could not be
// processed at first among them.
func TestAShowIsToldOfUntilItsRecordingIsThere(t *testing.T) {
	r, f := withFactory(t)
	f.processErr = errors.New("no")
	r.settleFor(50)
	post := r.is(broadcast.PostFailedProcessing, broadcast.RoomEnded, broadcast.FailedArchiving)
	f.processErr = nil
	_, err := r.RetryPost(t.Context(), r.caller, post.ID)
	r.no(err)
	r.settleFor(5)
	off := r.world.room()
	_, err = r.CancelRoom(t.Context(), r.caller, off)
	r.no(err)
	_, err = r.ReissueKey(t.Context(), r.caller, r.key)
	r.no(err)
	for aggregate, want := range map[string][]string{
		string(r.room): {"video_room.created", "video_room.live", "video_room.live_inactive", "video_room.ended", "video_room.archived"},
		string(post.ID): {
			"video_post.created", "video_post.ready", "video_post.queued", "video_post.processing", "video_post.failed",
			"video_post.queued", "video_post.processing", "video_post.processed",
		},
		string(off): {"video_room.created", "video_room.cancelled"},
		string(r.key): {
			"stream_key.state_changed", "stream_key.state_changed", "stream_key.state_changed", "stream_key.state_changed",
			"stream_key.state_changed", "stream_key.reissued",
		},
	} {
		got := r.told(aggregate)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", aggregate, got, want)
		}
		for _, kind := range got {
			if !slices.Contains(control.EventTypes[:], kind) {
				t.Errorf("no endpoint can ask for %s", kind)
			}
		}
	}
}
