package httpapi

import (
	"strings"
	"testing"
)

// TestNobodyReachesAnotherAppsThings walks every operation that names a thing,
// with the ids of another app, and of another member of the same app.
func TestNobodyReachesAnotherAppsThings(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	post := w.recorded(w.acme, "kim")
	key, room := w.keyOf(w.acme, "kim").text("id"), w.newRoom(w.acme)
	hook := w.ok(w.send("POST", "/v2/apps/me/webhook-endpoints", w.acme.basic(), `{"url":"https://example.com/"}`)).text("id")
	profile := w.newProfile(w.acme, profileBody)
	event := w.events(w.acme.basic(), "")[0].text("id")
	ids := map[string]string{
		"members": "kim", "stream-keys": key, "video-rooms": room, "video-posts": post, "webhook-endpoints": hook,
		"events": event, "transcoding-profiles": profile, "api-keys": w.acme.key,
	}
	before := w.everything("kim", room)

	other := w.newTenant("Other")
	stranger := w.login(other, "lee")
	sibling := w.login(w.acme, "lee")
	bodies := map[string]string{
		"updateMember": `{"appUserName":"x"}`, "updateStreamKey": `{"outputMode":"RTMP"}`, "updateVideoRoom": `{"title":"x"}`,
		"ownUpdateVideoRoom": `{"title":"x","customData":{"a":"b"}}`, "forceTerminateStreamKey": `{"recording":"discard"}`,
		"updateVideoPost": `{"title":"x"}`, "updateTranscodingProfile": `{"name":"x"}`, "updateWebhookEndpoint": `{"state":"DISABLED"}`,
		"redeliverToWebhookEndpoint": `{"from":"2026-01-01T00:00:00Z"}`, "endVideoRoom": `{"force":true}`, "ownEndVideoRoom": `{"force":true}`,
	}
	walked := 0
	for pattern, op := range w.ops {
		method, path, _ := strings.Cut(pattern, " ")
		if !strings.Contains(path, "{") || strings.HasPrefix(path, "/v2/admin") {
			continue
		}
		kind := strings.Split(strings.TrimPrefix(path, "/v2/"), "/")[2]
		id := ids[kind]
		if id == "" {
			t.Errorf("%s: give this test a thing of kind %q of another app", pattern, kind)
			continue
		}
		path = strings.NewReplacer("{id}", id, "{appUserId}", "kim").Replace(path)
		auths := []string{other.basic()}
		if strings.HasPrefix(path, "/v2/members/me") {
			auths = []string{stranger, sibling}
		}
		for _, auth := range auths {
			a := w.send(method, path, auth, bodies[op.OperationID])
			if a.status != 404 || !strings.HasSuffix(a.text("errorCode"), "_NOT_FOUND") || strings.Contains(a.raw, "currentState") {
				t.Errorf("%s %s: %d %s", method, path, a.status, a.raw)
			}
			walked++
		}
	}
	if walked < 20 {
		t.Fatalf("walked %d operations only", walked)
	}
	lists := 0
	for pattern := range w.ops {
		method, path, _ := strings.Cut(pattern, " ")
		if method != "GET" || strings.Contains(path, "{") || strings.HasPrefix(path, "/v2/admin") {
			continue
		}
		auths := []string{other.basic()}
		if strings.HasPrefix(path, "/v2/members/me") {
			auths = []string{stranger, sibling}
		}
		for _, auth := range auths {
			a := w.ok(w.send("GET", path, auth, ""))
			lists++
			for kind, id := range ids {
				// An app's profiles are its members' as well.
				if strings.Contains(a.raw, `"`+id+`"`) && (auth != sibling || kind != "transcoding-profiles") {
					t.Errorf("%s shows another's %s: %s", path, kind, a.raw)
				}
			}
		}
	}
	if lists < 12 {
		t.Errorf("read %d lists only", lists)
	}
	w.want(w.send("POST", "/v2/apps/me/video-rooms", other.basic(), roomBody), 404, "MEMBER_NOT_FOUND")
	w.want(w.send("PATCH", "/v2/apps/me", other.basic(), `{"defaultTranscodingProfileId":"`+profile+`"}`), 404, "TRANSCODING_PROFILE_NOT_FOUND")
	w.want(w.send("GET", "/v2/apps/me/video-posts?appUserId=kim", other.basic(), ""), 404, "MEMBER_NOT_FOUND")
	w.want(w.send("GET", "/v2/apps/me/video-rooms?appUserId=kim", other.basic(), ""), 404, "MEMBER_NOT_FOUND")
	if after := w.everything("kim", room); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
}

// everything is the stored state of a member, its key and a room, as text.
func (w *world) everything(user, room string) string {
	w.t.Helper()
	var b strings.Builder
	for _, path := range []string{"/members/" + user, "/members/" + user + "/stream-key", "/video-rooms/" + room} {
		a := w.ok(w.send("GET", "/v2/apps/me"+path, w.acme.basic(), ""))
		b.WriteString(a.raw + a.header.Get("ETag"))
	}
	return b.String()
}

func TestOperatorsSeeAllAppsAndNoStreamKeyString(t *testing.T) {
	w := newWorld(t)
	other := w.newTenant("Other")
	auth := "Bearer " + operatorToken
	var secrets []string
	for _, app := range []tenant{w.acme, other} {
		w.login(app, "kim")
		secrets = append(secrets, w.keyOf(app, "kim").text("streamKey"))
		w.newRoom(app)
	}
	keys := w.want(w.send("GET", "/v2/admin/stream-keys?state=INACTIVE", auth, ""), 200, "")
	rooms := w.want(w.send("GET", "/v2/admin/video-rooms?videoRoomState=SCHEDULED", auth, ""), 200, "")
	for _, a := range []answer{keys, rooms} {
		if items, _ := a.body["items"].([]any); len(items) != 2 || !strings.Contains(a.raw, w.acme.id) || !strings.Contains(a.raw, other.id) {
			t.Errorf("not both apps: %s", a.raw)
		}
	}
	if strings.Count(keys.raw, `"streamKey":null`) != 2 {
		t.Errorf("operators see strings: %s", keys.raw)
	}
	for _, s := range secrets {
		if s == "" || strings.Contains(keys.raw, s) {
			t.Errorf("operators see the string %q", s)
		}
	}
	if a := w.ok(w.send("GET", "/v2/admin/stream-keys?state=ACTIVE", auth, "")); a.raw != `{"items":[],"nextCursor":null}`+"\n" {
		t.Errorf("no key is ACTIVE: %s", a.raw)
	}
	w.want(w.send("GET", "/v2/admin/apps/"+other.id, auth, ""), 200, "")
	w.want(w.send("GET", "/v2/admin/apps/app_x", auth, ""), 404, "APP_NOT_FOUND")
	w.want(w.send("POST", "/v2/admin/apps/app_x/api-keys", auth, ""), 404, "APP_NOT_FOUND")
	fresh := w.want(w.send("POST", "/v2/admin/apps/"+other.id+"/api-keys", auth, ""), 201, "")
	for _, c := range []tenant{other, {key: fresh.text("apiKey"), secret: fresh.text("apiSecret")}} {
		if a := w.ok(w.send("GET", "/v2/apps/me", c.basic(), "")); a.text("id") != other.id {
			t.Errorf("key of another app: %s", a.raw)
		}
	}
}
