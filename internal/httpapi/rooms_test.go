package httpapi

import (
	"testing"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// A later version may make rooms of other types and be rolled back: what it
// left is shown, changed, called off and deleted, but goes live from no key.
func TestOnlyABroadcastRoomGoesLiveFromAStreamKey(t *testing.T) {
	w := newWorld(t)
	own := w.login(w.acme, "kim")
	id := broadcast.RoomID(w.newRoom(w.acme))
	w.ingest(w.acme, "kim", 1, 1, "PUBLISHED")
	room, err := w.db.Room(t.Context(), id)
	if err != nil || room.Type != broadcast.BroadcastRTMP {
		t.Fatalf("type %q, %v", room.Type, err)
	}
	store := func(as broadcast.RoomType) {
		t.Helper()
		room.Type = as
		if err := w.db.Commit(t.Context(), control.Changes{ID: "tx_" + string(as), Rooms: []broadcast.VideoRoom{room}}); err != nil {
			t.Fatal(err)
		}
		room.Version++
	}
	store(broadcast.VideoConference)
	at, auth := "/video-rooms/"+string(id), w.acme.basic()
	for _, side := range []struct{ prefix, auth string }{{"/v2/apps/me", auth}, {"/v2/members/me", own}} {
		for _, call := range []struct{ action, body string }{{"start", ""}, {"end", ""}, {"end", `{"force":true}`}} {
			a := w.want(w.send("POST", side.prefix+at+"/"+call.action, side.auth, call.body), 409, "VIDEO_ROOM_TYPE_NOT_BROADCAST_RTMP")
			if a.body["currentState"] != nil {
				t.Errorf("no state forbids it: %s", a.raw)
			}
		}
	}
	if got := w.ok(w.send("GET", "/v2/apps/me"+at, auth, "")); got.text("type") != "VIDEO_CONFERENCE" || got.text("videoRoomState") != "SCHEDULED" {
		t.Errorf("the room: %s", got.raw)
	}
	if key := w.keyOf(w.acme, "kim"); key.text("streamKeyState") != "ACTIVE" {
		t.Errorf("the key: %s", key.raw)
	}
	journal := w.ok(w.send("GET", "/v2/apps/me"+at+"/journal", auth, ""))
	if items, _ := journal.body["items"].([]any); len(items) != 7 {
		t.Errorf("not every refusal is in the journal: %s", journal.raw)
	}
	store("") // of before rooms had a type
	if got := w.want(w.send("POST", "/v2/apps/me"+at+"/start", auth, ""), 200, ""); got.text("type") != "BROADCAST_RTMP" {
		t.Errorf("the room: %s", got.raw)
	}
}

func TestARoomGoesLiveDropsAndEndsOverTheAPI(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	room := "/v2/apps/me/video-rooms/" + w.newRoom(w.acme)
	auth := w.acme.basic()

	refused := w.want(w.send("POST", room+"/start", auth, ""), 409, "STREAM_KEY_STATE_NOT_ACTIVE")
	if refused.text("currentState") != "INACTIVE" || refused.body["allowedActions"] == nil {
		t.Errorf("the refusal does not say what holds it up: %s", refused.raw)
	}
	w.ingest(w.acme, "kim", 1, 1, "PREP")
	w.ingest(w.acme, "kim", 1, 2, "PUBLISHED")
	key := w.keyOf(w.acme, "kim")
	if key.text("streamKeyState") != "ACTIVE" || key.text("mode") != "CMAF" || key.body["playback"] == nil {
		t.Errorf("key while publishing: %s", key.raw)
	}
	health, _ := key.body["ingest"].(map[string]any)
	if health["width"] != 1280.0 || health["audioCodec"] != nil || health["keyFrameIntervalMs"] != 2000.0 || health["warnings"] == nil ||
		health["droppedFrames"] != 7.0 || health["clockDriftMs"] != -35.0 {
		t.Errorf("ingest: %v", health)
	}

	live := w.want(w.send("POST", room+"/start", auth, ""), 200, "")
	playback, _ := live.body["playback"].(map[string]any)
	if live.text("videoRoomState") != "LIVE" || playback["hlsURL"] == nil || playback["rtmpURL"] != nil {
		t.Errorf("live room: %s", live.raw)
	}
	w.want(w.send("POST", room+"/end", auth, ""), 409, "VIDEO_ROOM_STATE_NOT_LIVE_INACTIVE")
	w.want(w.send("DELETE", room, auth, ""), 409, "VIDEO_ROOM_IS_LIVE")
	w.want(w.send("DELETE", "/v2/apps/me/members/kim", auth, ""), 409, "MEMBER_IS_LIVE")
	other := "/v2/apps/me/video-rooms/" + w.newRoom(w.acme)
	w.want(w.send("POST", other+"/start", auth, ""), 409, "STREAM_KEY_BUSY")

	w.ingest(w.acme, "kim", 1, 3, "STOPPED")
	if got := w.ok(w.send("GET", room, auth, "")); got.text("videoRoomState") != "LIVE_INACTIVE" || got.body["playback"] == nil {
		t.Errorf("after the publisher has gone: %s", got.raw)
	}
	ended := w.want(w.send("POST", room+"/end", auth, `{}`), 200, "")
	if ended.text("videoRoomState") != "ENDED" || ended.text("endReason") != "ENDED" || ended.body["playback"] != nil || ended.text("videoPostId") == "" {
		t.Errorf("ended room: %s", ended.raw)
	}
	w.want(w.send("POST", room+"/end", auth, `{"force":true}`), 200, "")
	w.want(w.send("POST", other+"/end", auth, `{"force":true}`), 409, "VIDEO_ROOM_STATE_NOT_LIVE")

	journal := w.want(w.send("GET", room+"/journal?limit=100", auth, ""), 200, "")
	items, _ := journal.body["items"].([]any)
	first, _ := items[0].(map[string]any)
	if len(items) < 5 || first["on"] != "create" {
		t.Errorf("journal: %s", journal.raw)
	}
	w.want(w.send("DELETE", room, auth, ""), 204, "")
	w.want(w.send("GET", room, auth, ""), 404, "VIDEO_ROOM_NOT_FOUND")
}
