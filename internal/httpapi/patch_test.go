package httpapi

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAPatchChangesWhatItNamesAndNullClears(t *testing.T) {
	w := newWorld(t)
	auth := w.acme.basic()
	w.login(w.acme, "kim")
	room := "/v2/apps/me/video-rooms/" + w.newRoom(w.acme)
	key := "/v2/apps/me/stream-keys/" + w.keyOf(w.acme, "kim").text("id")
	for _, c := range []struct {
		path, body string
		want       map[string]any
	}{
		{"/v2/apps/me", `{"name":"New","reconnectWindowSeconds":30.0,"maxLiveSeconds":null}`, map[string]any{"name": "New", "reconnectWindowSeconds": 30.0, "maxLiveSeconds": nil, "defaultOutputMode": "CMAF"}},
		{"/v2/apps/me", `{"defaultOutputMode":"RTMP_CMAF","reconnectWindowSeconds":null}`, map[string]any{"name": "New", "reconnectWindowSeconds": nil, "defaultOutputMode": "RTMP_CMAF"}},
		{"/v2/apps/me", `{"defaultOutputMode":null}`, map[string]any{"defaultOutputMode": "CMAF"}},
		{"/v2/apps/me", `{}`, map[string]any{"name": "New"}},
		{"/v2/apps/me/members/kim", `{"appUserName":"Kim","customType":"vip","customData":{"a":"1","b":"2"}}`, map[string]any{"appUserName": "Kim", "customData": map[string]any{"a": "1", "b": "2"}}},
		{"/v2/apps/me/members/kim", `{"customType":null,"customData":{"b":null,"c":"3"}}`, map[string]any{"appUserName": "Kim", "customType": nil, "customData": map[string]any{"a": "1", "c": "3"}}},
		{"/v2/apps/me/members/kim", `{"customData":null}`, map[string]any{"appUserName": "Kim", "customData": map[string]any{}}},
		{key, `{"outputMode":"RTMP_CMAF"}`, map[string]any{"outputMode": "RTMP_CMAF", "mode": nil, "streamKeyState": "INACTIVE", "ingest": nil, "playback": nil}},
		{key, `{"outputMode":null}`, map[string]any{"outputMode": nil}},
		{room, `{"title":"Talk","customData":{"s":"2"},"scheduledAt":"2026-04-01T09:00:00.5+09:00"}`, map[string]any{"title": "Talk", "scheduledAt": "2026-04-01T00:00:00.500Z", "customData": map[string]any{"s": "2"}}},
		{room, `{"title":null,"accessLevel":null}`, map[string]any{"title": nil, "accessLevel": "PUBLIC", "customData": map[string]any{"s": "2"}}},
	} {
		a := w.want(w.send("PATCH", c.path, auth, c.body, "Content-Type", typeMergePatch), 200, "")
		for field, want := range c.want {
			if got, there := a.body[field]; !there || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("PATCH %s %s: %s is %v, want %v", c.path, c.body, field, got, want)
			}
		}
		stored := w.ok(w.send("GET", c.path, auth, ""))
		if stored.raw != a.raw || stored.header.Get("ETag") != a.header.Get("ETag") || stored.header.Get("ETag") == "" {
			t.Errorf("PATCH %s answered %s %s, GET %s %s", c.path, a.header.Get("ETag"), a.raw, stored.header.Get("ETag"), stored.raw)
		}
	}
}

func TestIfMatchGuardsEveryPatch(t *testing.T) {
	w := newWorld(t)
	auth := w.acme.basic()
	member := w.login(w.acme, "kim")
	room := "/video-rooms/" + w.newRoom(w.acme)
	for _, c := range []struct{ path, auth, body string }{
		{"/v2/apps/me", auth, `{"name":"N"}`},
		{"/v2/apps/me/members/kim", auth, `{"appUserName":"N","customData":{"a":"1"}}`},
		{"/v2/apps/me/members/kim", auth, `{"appUserName":"N"}`},
		{"/v2/apps/me/stream-keys/" + w.keyOf(w.acme, "kim").text("id"), auth, `{"outputMode":"CMAF"}`},
		{"/v2/members/me/stream-key", member, `{"outputMode":"RTMP"}`},
		{"/v2/apps/me" + room, auth, `{"title":"N","customData":{"a":"1"}}`},
		{"/v2/members/me" + room, member, `{"title":"M"}`},
	} {
		tag := w.ok(w.send("GET", c.path, c.auth, "")).header.Get("ETag")
		for _, bad := range []string{`"0"`, `"999"`, "W/" + tag, `abc`, `"abc"`, strings.Trim(tag, `"`), `"-1"`} {
			w.want(w.send("PATCH", c.path, c.auth, c.body, "If-Match", bad), 412, "VERSION_MISMATCH")
		}
		if now := w.ok(w.send("GET", c.path, c.auth, "")).header.Get("ETag"); now != tag {
			t.Errorf("%s changed from %s to %s", c.path, tag, now)
		}
		next := w.want(w.send("PATCH", c.path, c.auth, c.body, "If-Match", tag), 200, "").header.Get("ETag")
		if next == tag {
			t.Errorf("%s still has ETag %s", c.path, next)
		}
		w.want(w.send("PATCH", c.path, c.auth, c.body, "If-Match", tag), 412, "VERSION_MISMATCH")
		w.want(w.send("PATCH", c.path, c.auth, c.body, "If-Match", "*"), 200, "")
	}
	w.want(w.send("PATCH", "/v2/apps/me/video-rooms/room_x", auth, `{"title":"N"}`, "If-Match", `"1"`), 404, "VIDEO_ROOM_NOT_FOUND")
}

func TestPatchesOfDifferentEntriesAtTheSameTimeLoseNothing(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	room := "/v2/apps/me/video-rooms/" + w.newRoom(w.acme)
	statuses := make([]int, 8)
	var wg sync.WaitGroup
	for i := range statuses {
		wg.Go(func() {
			statuses[i] = w.send("PATCH", room, w.acme.basic(), fmt.Sprintf(`{"customData":{"k%d":"v"}}`, i)).status
		})
	}
	wg.Wait()
	a := w.ok(w.send("GET", room, w.acme.basic(), ""))
	data, _ := a.body["customData"].(map[string]any)
	for i, status := range statuses {
		if _, there := data[fmt.Sprintf("k%d", i)]; (status == 200) != there || (status != 200 && status != 503) {
			t.Errorf("patch %d was answered %d, its entry is there: %v", i, status, there)
		}
	}
}

func TestMembersAreMadeOnceAndUpdated(t *testing.T) {
	w := newWorld(t)
	auth := w.acme.basic()
	made := w.want(w.send("POST", "/v2/apps/me/members", auth, `{"appUserId":"kim","appUserName":"Kim","customData":{"a":"1"}}`), 201, "")
	same := w.want(w.send("POST", "/v2/apps/me/members", auth, `{"appUserId":"kim","customType":"vip"}`), 200, "")
	if same.text("id") != made.text("id") || same.text("appUserName") != "Kim" || same.text("customType") != "vip" {
		t.Errorf("update: %s", same.raw)
	}
	w.want(w.send("POST", "/v2/apps/me/members", auth, `{"appUserId":"Kim"}`), 201, "")
	key := w.keyOf(w.acme, "kim")
	if key.text("streamKey") == "" || key.text("ingestURL") != "rtmp://127.0.0.1:1935/live" {
		t.Errorf("key: %s", key.raw)
	}
	w.want(w.send("DELETE", "/v2/apps/me/members/kim", auth, ""), 204, "")
	w.want(w.send("GET", "/v2/apps/me/members/kim", auth, ""), 404, "MEMBER_NOT_FOUND")
	w.want(w.send("GET", "/v2/apps/me/stream-keys/"+key.text("id"), auth, ""), 404, "STREAM_KEY_NOT_FOUND")
}

func TestStreamKeyCallsInBothAPIs(t *testing.T) {
	w := newWorld(t)
	member := w.login(w.acme, "kim")
	id := w.keyOf(w.acme, "kim").text("id")
	for path, auth := range map[string]string{"/v2/apps/me/stream-keys/" + id: w.acme.basic(), "/v2/members/me/stream-key": member} {
		old := w.ok(w.send("GET", path, auth, ""))
		if old.text("id") != id {
			t.Fatalf("another key: %s", old.raw)
		}
		fresh := w.want(w.send("POST", path+"/reissue", auth, `{}`), 200, "")
		if fresh.text("streamKey") == old.text("streamKey") || fresh.text("id") != id {
			t.Errorf("reissued: %s", fresh.raw)
		}
		w.want(w.send("POST", path+"/disconnect", auth, ""), 200, "")
	}
	w.advance(31 * time.Second) // a disconnected publisher is refused for 30 s
	w.ingest(w.acme, "kim", 9, 1, "PUBLISHED")
	refused := w.want(w.send("POST", "/v2/members/me/stream-key/reissue", member, ""), 409, "STREAM_KEY_STATE_NOT_INACTIVE")
	if refused.text("currentState") != "ACTIVE" || len(refused.body["allowedActions"].([]any)) == 0 {
		t.Errorf("refused: %s", refused.raw)
	}
	if cut := w.want(w.send("POST", "/v2/members/me/stream-key/disconnect", member, ""), 200, ""); cut.text("streamKeyState") != "INACTIVE" || cut.body["ingest"] != nil {
		t.Errorf("disconnected: %s", cut.raw)
	}
	w.want(w.send("POST", "/v2/apps/me/stream-keys/"+id+"/force-terminate", w.acme.basic(), `{"recording":"discard"}`), 200, "")
	w.want(w.send("POST", "/v2/apps/me/stream-keys/"+id+"/force-terminate", w.acme.basic(), ""), 200, "")
}

func TestAMemberRunsItsOwnShow(t *testing.T) {
	w := newWorld(t)
	member := w.login(w.acme, "kim")
	w.want(w.send("POST", "/v2/members/me/video-rooms", member, roomBody), 422, "INVALID_FIELD") // appUserId is the caller
	made := w.want(w.send("POST", "/v2/members/me/video-rooms", member, strings.Replace(roomBody, `"appUserId":"kim",`, "", 1)), 201, "")
	if made.text("appUserId") != "kim" || made.text("scheduledAt") != "2026-03-01T12:00:00.000Z" || made.text("createdAt") != "2026-03-01T12:00:00.345Z" {
		t.Errorf("room: %s", made.raw)
	}
	room := "/v2/members/me/video-rooms/" + made.text("id")
	w.ingest(w.acme, "kim", 1, 1, "PUBLISHED")
	w.want(w.send("POST", room+"/start", member, ""), 200, "")
	w.want(w.send("POST", room+"/start", member, ""), 409, "VIDEO_ROOM_STATE_NOT_SCHEDULED")
	w.want(w.send("POST", room+"/cancel", member, ""), 409, "VIDEO_ROOM_STATE_NOT_SCHEDULED")
	ended := w.want(w.send("POST", room+"/end", member, `{"force":true}`), 200, "")
	if ended.body["forciblyTerminated"] != true || ended.text("endReason") != "FORCED" {
		t.Errorf("ended: %s", ended.raw)
	}
	next := w.ok(w.send("POST", "/v2/members/me/video-rooms", member, strings.Replace(roomBody, `"appUserId":"kim",`, "", 1)))
	if a := w.want(w.send("POST", "/v2/members/me/video-rooms/"+next.text("id")+"/cancel", member, ""), 200, ""); a.text("videoRoomState") != "CANCELLED" {
		t.Errorf("cancelled: %s", a.raw)
	}
	w.want(w.send("DELETE", room, member, ""), 204, "")
}

func TestListsArePagedInBothOrders(t *testing.T) {
	w := newWorld(t)
	auth := w.acme.basic()
	var made []string
	for i := range 5 {
		w.advance(time.Second)
		made = append(made, w.ok(w.send("POST", "/v2/apps/me/members", auth, fmt.Sprintf(`{"appUserId":"m%d"}`, i))).text("id"))
	}
	walk := func(query string) []string {
		var got []string
		cursor := ""
		for range 10 {
			a := w.want(w.send("GET", "/v2/apps/me/members?limit=2"+query+cursor, auth, ""), 200, "")
			items, _ := a.body["items"].([]any)
			for _, i := range items {
				m, _ := i.(map[string]any)
				got = append(got, fmt.Sprint(m["id"]))
			}
			if next, there := a.body["nextCursor"]; !there {
				t.Fatal("nextCursor is left out")
			} else if next == nil {
				return got
			}
			cursor = "&cursor=" + a.text("nextCursor")
		}
		t.Fatal("the list does not end")
		return nil
	}
	if got := walk("&order=asc"); !slices.Equal(got, made) {
		t.Errorf("oldest first: %v, want %v", got, made)
	}
	slices.Reverse(made)
	if got := walk(""); !slices.Equal(got, made) {
		t.Errorf("newest first: %v, want %v", got, made)
	}
	if a := w.want(w.send("GET", "/v2/apps/me/members", auth, ""), 200, ""); a.body["nextCursor"] != nil {
		t.Errorf("five fit into one page: %s", a.raw)
	}
}

func TestRoomsAreListedByStateAndMember(t *testing.T) {
	w := newWorld(t)
	auth := w.acme.basic()
	w.login(w.acme, "kim")
	lee := w.login(w.acme, "lee")
	kims := w.newRoom(w.acme)
	lees := w.ok(w.send("POST", "/v2/members/me/video-rooms", lee, strings.Replace(roomBody, `"appUserId":"kim",`, "", 1))).text("id")
	w.ok(w.send("POST", "/v2/apps/me/video-rooms/"+lees+"/cancel", auth, ""))
	for query, want := range map[string][]string{
		"": {kims, lees}, "?appUserId=kim": {kims}, "?appUserId=lee": {lees}, "?videoRoomState=SCHEDULED": {kims},
		"?videoRoomState=CANCELLED": {lees}, "?videoRoomState=CANCELLED&appUserId=kim": nil, "?videoRoomState=LIVE": nil,
	} {
		a := w.want(w.send("GET", "/v2/apps/me/video-rooms"+query, auth, ""), 200, "")
		for _, id := range []string{kims, lees} {
			if slices.Contains(want, id) != strings.Contains(a.raw, id) {
				t.Errorf("%q: %s", query, a.raw)
			}
		}
	}
}
