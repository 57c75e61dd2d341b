package broadcast_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

const postTable = `
                  | create              | CREATED
CREATED           | original saved      | UPLOADED
CREATED           | original failed     | FAILED_UPLOAD
UPLOADED          | transcoding queued  | QUEUED
UPLOADED          | queuing failed      | FAILED_QUEUING
QUEUED            | transcoding started | PROCESSING
QUEUED            | transcoding failed  | FAILED_PROCESSING
PROCESSING        | transcoding done    | PROCESSED
PROCESSING        | transcoding failed  | FAILED_PROCESSING
FAILED_UPLOAD     | retry               | CREATED
FAILED_QUEUING    | retry               | QUEUED
FAILED_PROCESSING | retry               | QUEUED`

var postWords = []broadcast.On{
	broadcast.OnSourceSaved, broadcast.OnSourceFailed, broadcast.OnQueued, broadcast.OnQueuingFailed,
	broadcast.OnProcessing, broadcast.OnProcessed, broadcast.OnProcessFailed, broadcast.OnRetry,
	broadcast.OnCreate, broadcast.OnEnd,
}

func TestThePostTableIsTheOneThatWasPromised(t *testing.T) {
	var rows []string
	for _, r := range broadcast.PostTable {
		rows = append(rows, fmt.Sprint(r.From, "|", r.On, "|", r.To))
	}
	sameRows(t, "video post", rows, postTable)
}

var postNow = time.Date(2026, 12, 24, 22, 0, 0, 0, time.UTC)

// endedWith is the room that a post in state s has.
func endedWith(s broadcast.PostState) (broadcast.VideoPost, broadcast.VideoRoom) {
	p := broadcast.VideoPost{
		ID: "post_1", RoomID: "room_1", State: s, Sequence: 3, Version: 5,
		Playback: broadcast.PostPlayback{HLSKey: "posts/post_1/master.m3u8"},
	}
	r := broadcast.VideoRoom{ID: "room_1", State: broadcast.RoomEnded, VODState: broadcast.Archiving, PostID: p.ID, Sequence: 4, Version: 9}
	switch {
	case s == broadcast.PostProcessed:
		r.State, r.VODState = broadcast.RoomArchived, broadcast.VODArchived
	case s.Failed():
		p.Failure = &broadcast.PostFailure{Code: "OLD"}
		r.VODState = broadcast.FailedArchiving
	}
	return p, r
}

// Every state with every word: the row or a refusal, and the room's vodState
// says the same as the post.
func TestEveryPostStateTakesExactlyTheRowsOfItsTable(t *testing.T) {
	why := &broadcast.PostFailure{Code: "NEW"}
	for _, from := range append([]broadcast.PostState{""}, broadcast.PostStates[:]...) {
		for _, on := range postWords {
			var to broadcast.PostState
			for _, row := range broadcast.PostTable {
				if row.From == from && row.On == on && from != "" {
					to = row.To
				}
			}
			p, r := endedWith(from)
			was, roomWas := p, r
			out, err := broadcast.StepPost(p, &r, broadcast.PostMove{On: on, Failure: why}, postNow)
			if !reflect.DeepEqual(p, was) || !reflect.DeepEqual(r, roomWas) {
				t.Fatalf("%s on %s changed what it was given", on, from)
			}
			var refused *broadcast.Refusal
			if to == "" {
				if !errors.As(err, &refused) || refused.State != string(from) {
					t.Errorf("%s on %q: %v, want a refusal", on, from, err)
				}
				continue
			}
			if err != nil || out.Post.State != to || out.Post.Sequence != 4 || out.Post.Version != 5 || !out.Post.Playable() {
				t.Fatalf("%s on %s: %+v, %v", on, from, out.Post, err)
			}
			if (out.Post.Failure == why) != to.Failed() || out.Post.Failure != nil && !to.Failed() {
				t.Errorf("%s on %s: failure %+v", on, from, out.Post.Failure)
			}
			want := broadcast.Archiving
			switch {
			case to == broadcast.PostProcessed:
				want = broadcast.VODArchived
			case to.Failed():
				want = broadcast.FailedArchiving
			}
			if out.Room.VODState != want || (out.Room.State == broadcast.RoomArchived) != (want == broadcast.VODArchived) {
				t.Errorf("%s on %s: the room is %s, %s, want %s", on, from, out.Room.State, out.Room.VODState, want)
			}
			if out.RoomChanged == reflect.DeepEqual(*out.Room, r) {
				t.Errorf("%s on %s: RoomChanged is %v", on, from, out.RoomChanged)
			}
		}
	}
}

func TestWithoutTranscodingTheRoomIsArchivedWithTheOriginal(t *testing.T) {
	p, r := endedWith(broadcast.PostCreated)
	out, err := broadcast.StepPost(p, &r, broadcast.PostMove{On: broadcast.OnSourceSaved, Last: true}, postNow)
	if err != nil || out.Post.State != broadcast.PostUploaded || out.Room.State != broadcast.RoomArchived || out.Room.VODState != broadcast.VODArchived {
		t.Fatalf("%+v, %v", out, err)
	}
	if n := len(out.Transitions); n != 2 || out.Transitions[1].On != broadcast.OnSaved || out.Transitions[1].Sequence != 5 {
		t.Errorf("transitions %+v", out.Transitions)
	}
}

func TestAPostOutlivesItsRoom(t *testing.T) {
	p, r := endedWith(broadcast.PostProcessing)
	out, err := broadcast.StepPost(p, nil, broadcast.PostMove{On: broadcast.OnProcessed}, postNow)
	if err != nil || out.Post.State != broadcast.PostProcessed || out.Room != nil {
		t.Fatalf("%+v, %v", out, err)
	}
	r.PostID = "post_2" // the room is another post's
	out, err = broadcast.StepPost(p, &r, broadcast.PostMove{On: broadcast.OnProcessed}, postNow)
	if err != nil || out.Room != nil || out.RoomChanged {
		t.Fatalf("%+v, %v", out, err)
	}
}

func TestTheEndMakesAPostThatKnowsItsMedia(t *testing.T) {
	w := worldAt(t, broadcast.KeyInactiveLive)
	out, refusal, err := w.do(0, broadcast.End{PlayID: "play-9", PostID: "post_9"})
	if err != nil || refusal != nil {
		t.Fatal(err, refusal)
	}
	if out.Post.PlayID == "" || out.Post.PlayID != out.Room.PlayID || out.Post.Sequence != 1 || out.Post.Playable() {
		t.Errorf("post %+v of the show %s", out.Post, out.Room.PlayID)
	}
}
