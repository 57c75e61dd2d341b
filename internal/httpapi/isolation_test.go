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
		id := room
		if strings.Contains(path, "stream-keys") {
			id = key
		}
		if strings.Contains(path, "video-posts") {
			id = post
		}
		if strings.Contains(path, "webhook-endpoints") {
			id = hook
		}
		if strings.Contains(path, "transcoding-profiles") {
			id = profile
		}
		if strings.Contains(path, "events") {
			id = event
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
	for target, auth := range map[string]string{
		"/v2/apps/me/members?limit=100": other.basic(), "/v2/apps/me/stream-keys": other.basic(), "/v2/apps/me/video-rooms": other.basic(),
		"/v2/apps/me/webhook-endpoints": other.basic(), "/v2/apps/me/events": other.basic(), "/v2/members/me/events": sibling,
		"/v2/members/me/video-rooms": stranger, "/v2/members/me/video-rooms?limit=5": sibling,
		"/v2/apps/me/video-posts": other.basic(), "/v2/members/me/video-posts": sibling,
	} {
		if a := w.ok(w.send("GET", target, auth, "")); strings.Contains(a.raw, room) || strings.Contains(a.raw, post) || strings.Contains(a.raw, key) || strings.Contains(a.raw, hook) || strings.Contains(a.raw, `"kim"`) {
			t.Errorf("%s shows another's: %s", target, a.raw)
		}
	}
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
