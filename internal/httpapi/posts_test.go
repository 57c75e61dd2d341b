package httpapi

import (
	"testing"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// recorded lets the member's show be live and end, and answers the post's id.
func (w *world) recorded(app tenant, user string) string {
	w.t.Helper()
	room := "/v2/apps/me/video-rooms/" + w.newRoom(app)
	w.ingest(app, user, 1, 1, broadcast.Published)
	w.ok(w.send("POST", room+"/start", app.basic(), ""))
	w.ingest(app, user, 1, 2, broadcast.Stopped)
	return w.ok(w.send("POST", room+"/end", app.basic(), "")).text("videoPostId")
}

// set writes what the jobs would find out.
func (w *world) set(id string, edit func(*broadcast.VideoPost)) {
	w.t.Helper()
	p, err := w.db.Post(w.t.Context(), broadcast.PostID(id))
	if err == nil {
		edit(&p)
		p.Revision++
		err = w.db.Commit(w.t.Context(), control.Changes{ID: "set " + string(rune('a'+p.Revision)), Posts: []broadcast.VideoPost{p}})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestAPostIsReadChangedRetriedAndDeleted(t *testing.T) {
	w := newWorld(t)
	kim := w.login(w.acme, "kim")
	id := w.recorded(w.acme, "kim")
	path, auth := "/v2/apps/me/video-posts/"+id, w.acme.basic()

	fresh := w.want(w.send("GET", path, auth, ""), 200, "")
	if fresh.text("videoPostState") != "CREATED" || fresh.body["playback"] != nil || fresh.body["durationMs"] != nil || fresh.text("type") != "LIVE_RECORDED" {
		t.Errorf("new post: %s", fresh.raw)
	}
	w.want(w.send("POST", path+"/retry", auth, ""), 409, "VIDEO_POST_STATE_NOT_FAILED")

	w.set(id, func(p *broadcast.VideoPost) {
		p.State, p.Duration = broadcast.PostFailedProcessing, 90_500_000_000
		p.Playback = broadcast.PostPlayback{HLSKey: "posts/x/master.m3u8", DASHKey: "posts/x/manifest.mpd"}
		p.Sources = []broadcast.PostFile{{Key: "posts/x/source.mp4", SizeBytes: 12, ContentType: "video/mp4"}}
		p.Renditions = []broadcast.PostRendition{{Name: "a", Kind: "audio", BitrateBPS: 128_000}}
		p.Failure = &broadcast.PostFailure{Code: "PROCESSING_FAILED", Message: "no"}
	})
	for _, a := range []answer{w.want(w.send("GET", path, auth, ""), 200, ""), w.want(w.send("GET", "/v2/members/me/video-posts/"+id, kim, ""), 200, "")} {
		source, _ := a.body["source"].(map[string]any)
		playback, _ := a.body["playback"].(map[string]any)
		failure, _ := a.body["failure"].(map[string]any)
		if a.body["durationMs"] != 90_500.0 || source["size"] != 12.0 || playback["hlsURL"] == nil || playback["mp4URL"] != nil || failure["code"] != "PROCESSING_FAILED" {
			t.Errorf("failed post: %s", a.raw)
		}
	}
	tag := w.send("GET", path, auth, "").header.Get("ETag")
	changed := w.want(w.send("PATCH", path, auth, `{"title":"the best of"}`, "If-Match", tag), 200, "")
	if changed.text("title") != "the best of" || changed.header.Get("ETag") == tag {
		t.Errorf("changed post: %s", changed.raw)
	}
	w.want(w.send("PATCH", path, auth, `{"title":"late"}`, "If-Match", tag), 412, "VERSION_MISMATCH")
	if again := w.want(w.send("POST", path+"/retry", auth, ""), 200, ""); again.text("videoPostState") != "QUEUED" || again.body["failure"] != nil {
		t.Errorf("retried post: %s", again.raw)
	}

	if list := w.want(w.send("GET", "/v2/apps/me/video-posts?videoPostState=QUEUED&appUserId=kim", auth, ""), 200, ""); len(list.body["items"].([]any)) != 1 {
		t.Errorf("list: %s", list.raw)
	}
	w.want(w.send("DELETE", path, auth, ""), 204, "")
	w.want(w.send("GET", path, auth, ""), 404, "VIDEO_POST_NOT_FOUND")
	w.want(w.send("DELETE", path, auth, ""), 404, "VIDEO_POST_NOT_FOUND")
	if list := w.want(w.send("GET", "/v2/members/me/video-posts", kim, ""), 200, ""); len(list.body["items"].([]any)) != 0 {
		t.Errorf("list: %s", list.raw)
	}
}
