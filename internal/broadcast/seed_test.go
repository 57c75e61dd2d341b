package broadcast_test

import (
	"testing"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// One test per sentence of the text that the product was asked for in, where
// it speaks of states: the section "State of the stream key and the video
// room", and of sections 3 and 5 what they say of states. The comments are the
// sentences, translated from Korean. TestSeedDiagrams is the two diagrams.

func tell(t *testing.T, lines ...string) {
	t.Helper()
	text := ""
	for _, l := range lines {
		text += l + "\n"
	}
	if err := runScenario(t.Name(), text); err != nil {
		t.Fatal(err)
	}
}

// toLive is the beginning of many stories.
const toLive = "room A is scheduled\nroom B is scheduled\nencoder connects\nencoder becomes viewable\ngo live room A"

// "The stream key has the property streamKeyState and the video room has
// videoRoomState; these are the states of each."
func TestSeedKeyAndRoomEachHaveAState(t *testing.T) {
	tell(t, "room A is scheduled", "expect key INACTIVE, room A SCHEDULED")
}

// "The state changes with RTMP ingest by the stream key, and with whether the
// room's broadcast was started accordingly."
func TestSeedStatesFollowIngestAndTheStartOfTheBroadcast(t *testing.T) {
	tell(t, "room A is scheduled", "encoder connects", "expect key ACTIVE_PREP, room A SCHEDULED",
		"encoder becomes viewable", "expect key ACTIVE, room A SCHEDULED",
		"go live room A", "expect key ACTIVE_LIVE, room A LIVE")
}

// "INACTIVE: no stream is published with the stream key."
func TestSeedInactiveIsAKeyWithoutAStream(t *testing.T) {
	tell(t, "expect key INACTIVE", "encoder connects", "encoder stops", "expect key INACTIVE, key carries nothing")
}

// "ACTIVE_PREP: a stream published with the key was successfully recognised."
func TestSeedActivePrepIsARecognisedStream(t *testing.T) {
	tell(t, "encoder connects", "expect key ACTIVE_PREP, key carries nothing")
}

// "ACTIVE: the stream was converted to a form that can be watched."
func TestSeedActiveIsAViewableStream(t *testing.T) {
	tell(t, "encoder connects", "encoder becomes viewable", "expect key ACTIVE, key carries nothing")
}

// "ACTIVE_LIVE: the stream can be watched and its URLs are shown through the room."
func TestSeedActiveLiveIsAViewableStreamShownByARoom(t *testing.T) {
	tell(t, toLive, "expect key ACTIVE_LIVE, key carries room A, room A play id play-1, room A mode CMAF")
}

// "INACTIVE_LIVE: the stream was interrupted and so is the broadcast, but it
// can be resumed by publishing again."
func TestSeedInactiveLiveIsAnInterruptionThatCanBeResumed(t *testing.T) {
	tell(t, toLive, "encoder stops", "expect key INACTIVE_LIVE, key carries room A",
		"encoder connects", "encoder becomes viewable", "expect key ACTIVE_LIVE, room A LIVE")
}

// "ACTIVE_LIVE_PREP: after an interruption the stream's return was
// successfully recognised."
func TestSeedActiveLivePrepIsARecognisedReturn(t *testing.T) {
	tell(t, toLive, "encoder stops", "encoder connects", "expect key ACTIVE_LIVE_PREP, key carries room A")
}

// "SCHEDULED: the video room was created."
func TestSeedScheduledIsACreatedRoom(t *testing.T) {
	tell(t, "room A is scheduled", "expect room A SCHEDULED")
}

// "LIVE: on air."
func TestSeedLiveIsOnAir(t *testing.T) { tell(t, toLive, "expect room A LIVE") }

// "LIVE_INACTIVE: the broadcast is interrupted."
func TestSeedLiveInactiveIsInterrupted(t *testing.T) {
	tell(t, toLive, "encoder stops", "expect room A LIVE_INACTIVE")
}

// "ENDED: the broadcast is over."
func TestSeedEndedIsOver(t *testing.T) {
	tell(t, toLive, "encoder stops", "end room A", "expect room A ENDED, key carries nothing")
}

// "ARCHIVED: a video post was made with which the recording can be watched as VOD."
func TestSeedArchivedHasAVideoPost(t *testing.T) {
	tell(t, toLive, "encoder stops", "end room A", "the recording of room A is saved",
		"expect room A ARCHIVED, room A has a post, room A vod ARCHIVED")
}

// The two diagrams, arrow by arrow. (The one into ACTIVE_LIVE is labelled
// "Stop CMAF publish"; the prose says that the stream became viewable again.)
func TestSeedDiagrams(t *testing.T) {
	key := []broadcast.KeyRow{
		{From: "INACTIVE", On: "ingest started", To: "ACTIVE_PREP"},
		{From: "ACTIVE_PREP", On: "ingest stopped", To: "INACTIVE"},
		{From: "ACTIVE_PREP", On: "publish started", To: "ACTIVE"},
		{From: "ACTIVE", On: "publish stopped", To: "INACTIVE"},
		{From: "ACTIVE", On: "go live", To: "ACTIVE_LIVE"},
		{From: "ACTIVE_LIVE", On: "publish stopped", To: "INACTIVE_LIVE"},
		{From: "INACTIVE_LIVE", On: "ingest started", To: "ACTIVE_LIVE_PREP"},
		{From: "ACTIVE_LIVE_PREP", On: "ingest stopped", To: "INACTIVE_LIVE"},
		{From: "ACTIVE_LIVE_PREP", On: "publish started", To: "ACTIVE_LIVE"},
		{From: "INACTIVE_LIVE", On: "end broadcast", To: "INACTIVE"},
	}
	for _, want := range key {
		if to, ok := row(want.From, want.On); !ok || to != want.To {
			t.Errorf("%v: %s, %v", want, to, ok)
		}
	}
	tell(t, "room A is scheduled", "expect room A SCHEDULED", "encoder connects", "encoder becomes viewable",
		"go live room A", "expect room A LIVE", // Go Live
		"encoder stops", "expect key INACTIVE_LIVE, room A LIVE_INACTIVE", // Stream Key state becomes INACTIVE_LIVE
		"encoder connects", "encoder becomes viewable", "expect key ACTIVE_LIVE, room A LIVE", // … ACTIVE_LIVE
		"encoder stops", "end room A", "expect room A ENDED", // End Broadcast
		"the recording of room A is saved", "expect room A ARCHIVED") // Save broadcast
}

// "When the member's stream key becomes ACTIVE by publishing, a room that the
// member made can start its broadcast."
func TestSeedAnActiveKeyAllowsTheStart(t *testing.T) {
	tell(t, "room A is scheduled",
		"go live room A", "refused STREAM_KEY_STATE_NOT_ACTIVE",
		"encoder connects", "go live room A", "refused STREAM_KEY_STATE_NOT_ACTIVE",
		"encoder becomes viewable", "go live room A", "expect room A LIVE")
}

// "One stream key cannot carry two broadcasts at once, so a member cannot
// have two at once."
func TestSeedOneBroadcastAtATime(t *testing.T) {
	tell(t, toLive, "go live room B", "refused STREAM_KEY_BUSY", "expect room A LIVE, room B SCHEDULED")
}

// "So once a room is live, stopping the stream without ending the broadcast
// does not let another room start one."
func TestSeedAnInterruptedBroadcastStillHoldsTheKey(t *testing.T) {
	tell(t, toLive, "encoder stops", "go live room B", "refused STREAM_KEY_BUSY",
		"encoder connects", "go live room B", "refused STREAM_KEY_BUSY")
}

// "When a room goes live, the key becomes ACTIVE_LIVE and the room's URLs are
// filled in, so that it can be watched by way of the room."
func TestSeedGoLiveFillsTheRoomsAddresses(t *testing.T) {
	tell(t, toLive, "expect key ACTIVE_LIVE, room A LIVE, room A play id play-1, room A mode CMAF")
}

// "Other than an interrupted broadcast, which resumes when the stream does, an
// ended one cannot start again."
func TestSeedAnEndedBroadcastNeverStartsAgain(t *testing.T) {
	tell(t, toLive, "encoder stops", "end room A", "encoder connects", "encoder becomes viewable",
		"expect room A ENDED", "go live room A", "refused VIDEO_ROOM_STATE_NOT_SCHEDULED")
}

// "The regular and recommended way is to stop the stream and to end when the
// key has become INACTIVE_LIVE."
func TestSeedTheRegularEnd(t *testing.T) {
	tell(t, toLive, "end room A", "refused VIDEO_ROOM_STATE_NOT_LIVE_INACTIVE",
		"encoder stops", "expect key INACTIVE_LIVE", "end room A", "expect room A ENDED, key string number 1")
}

// "The other way is to force the end: possible at any time, but the member's
// stream key is renewed, has to be looked up and set in the software again."
func TestSeedForceEndAtAnyTimeRenewsTheKey(t *testing.T) {
	tell(t, toLive, "force end room A", "expect room A ENDED, key string number 2")
	tell(t, toLive, "encoder stops", "force end room A", "expect room A ENDED, key string number 2")
	tell(t, toLive, "encoder stops", "encoder connects", "force end room A", "expect room A ENDED, key string number 2")
}

// "It is renewed so that who stole the key and broadcasts unwholesome content
// against the owner's will cannot easily go on."
func TestSeedForceEndKeepsTheThiefOut(t *testing.T) {
	tell(t, toLive, "force end room A", "expect encoder is cut",
		"encoder connects", "refused UNKNOWN_KEY", "encoder becomes viewable", "expect nothing changed, key INACTIVE")
}

// "When the broadcast ends the key becomes INACTIVE again, and another room
// can start one."
func TestSeedTheEndFreesTheKeyForAnotherRoom(t *testing.T) {
	tell(t, toLive, "encoder stops", "end room A", "expect key INACTIVE, key carries nothing",
		"encoder connects", "encoder becomes viewable", "go live room B", "expect room B LIVE")
}

// "The recording of an ended broadcast, from its start to its end, is
// automatically turned into VOD."
func TestSeedTheEndBeginsTheRecordingFromStartToEnd(t *testing.T) {
	tell(t, "room A is scheduled", "encoder connects", "encoder becomes viewable", "segment 5 is acknowledged",
		"go live room A", "segment 50 is acknowledged", "encoder stops", "end room A",
		"expect room A recording from 7, room A recording to 50, room A vod ARCHIVING")
}

// "For VOD a video post is made automatically …", "it is known by the room's
// videoPostId."
func TestSeedTheEndMakesAVideoPost(t *testing.T) {
	w := worldAt(t, broadcast.KeyInactiveLive)
	out, refusal, err := w.do(0, broadcast.End{PlayID: "play-9", PostID: "post_9"})
	if err != nil || refusal != nil {
		t.Fatal(err, refusal)
	}
	if p := out.Post; p == nil || p.ID != "post_9" || p.RoomID != "room_A" || p.State != broadcast.PostCreated || out.Room.PostID != p.ID {
		t.Errorf("post %+v, room's post %q", p, out.Room.PostID)
	}
}

// "While the room's vodState is ARCHIVING it is being transcoded; ARCHIVED
// means that it is done."
func TestSeedVODStateSaysHowFarTheRecordingIs(t *testing.T) {
	tell(t, toLive, "expect room A vod NOT_ARCHIVED", "encoder stops", "end room A", "expect room A vod ARCHIVING, room A ENDED",
		"the recording of room A is saved", "expect room A vod ARCHIVED, room A ARCHIVED")
}
