package httpapi

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestNoSecretReachesTheLog makes every kind of secret pass through the API,
// well used and misplaced, and looks for each in the log.
func TestNoSecretReachesTheLog(t *testing.T) {
	w := newWorld(t)
	member := w.login(w.acme, "kim")
	key := w.keyOf(w.acme, "kim")
	fresh := w.ok(w.send("POST", "/v2/apps/me/stream-keys/"+key.text("id")+"/reissue", w.acme.basic(), ""))
	rotated := w.ok(w.send("POST", "/v2/admin/apps/"+w.acme.id+"/api-keys", "Bearer "+operatorToken, ""))
	secrets := []string{
		w.acme.secret, rotated.text("apiSecret"), operatorToken, strings.TrimPrefix(member, "Bearer "),
		key.text("streamKey"), fresh.text("streamKey"), strings.TrimPrefix(w.acme.basic(), "Basic "),
	}
	for _, s := range secrets {
		if len(s) < 16 {
			t.Fatalf("%q is no secret", s)
		}
		w.send("GET", "/v2/apps/me/members/"+s, w.acme.basic(), "")
		w.send("GET", "/v2/apps/me?key="+s, w.acme.basic(), "")
		w.send("GET", "/"+s, "Bearer "+s, "")
		w.send("PATCH", "/v2/apps/me", w.acme.basic(), `{"name":{"`+s+`":"`+s+`"},"`+s+`":1}`)
		w.send("GET", "/v2/apps/me", "Basic "+s, "", "User-Agent", s, "Cookie", s)
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/v2/apps/me", nil)
		r.Method = s
		w.do(r)
	}
	log := w.log.String()
	for _, s := range secrets {
		if strings.Contains(log, s) {
			t.Errorf("%q is in the log", s)
		}
	}
}

func TestEachRequestIsOneLineThatNamesWhoAndWhat(t *testing.T) {
	w := newWorld(t)
	member := w.login(w.acme, "kim")
	mark := len(w.log.String())
	w.send("GET", "/v2/members/me/video-rooms/room_x", member, "", "X-Request-Id", "r1")
	var line map[string]any
	if err := json.Unmarshal([]byte(w.log.String()[mark:]), &line); err != nil {
		t.Fatalf("not one line: %v\n%s", err, w.log.String()[mark:])
	}
	me := w.ok(w.send("GET", "/v2/members/me", member, ""))
	for field, want := range map[string]any{
		"request": "r1", "method": "GET", "route": "GET /v2/members/me/video-rooms/{id}", "status": 404.0,
		"app_id": w.acme.id, "member_id": me.text("id"), "error_code": "VIDEO_ROOM_NOT_FOUND", "msg": "request",
	} {
		if line[field] != want {
			t.Errorf("%s is %v, want %v", field, line[field], want)
		}
	}
	if _, there := line["duration_ms"]; !there {
		t.Error("no duration")
	}
}

func TestAJournalSaysWhichRequestDidIt(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	room := "/v2/apps/me/video-rooms/" + w.newRoom(w.acme)
	w.ok(w.send("POST", room+"/cancel", w.acme.basic(), "", "X-Request-Id", "cancelled-by-me"))
	a := w.ok(w.send("GET", room+"/journal?order=desc&limit=1", w.acme.basic(), ""))
	if !strings.Contains(a.raw, `"requestId":"cancelled-by-me"`) || !strings.Contains(a.raw, `"to":"CANCELLED"`) {
		t.Errorf("journal: %s", a.raw)
	}
}
