package httpapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// events places what is new and reads a feed to its end.
func (w *world) events(auth, after string) []answer {
	w.t.Helper()
	if err := w.service.PlaceNotices(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	path := "/v2/apps/me/events"
	if strings.HasPrefix(auth, "Bearer") {
		path = "/v2/members/me/events"
	}
	var list []answer
	for {
		a := w.want(w.send("GET", path+"?limit=3&after="+after, auth, ""), 200, "")
		items, _ := a.body["items"].([]any)
		for _, i := range items {
			m, _ := i.(map[string]any)
			list = append(list, answer{body: m})
		}
		if after = a.text("nextAfter"); len(items) == 0 {
			return list
		}
	}
}

// show lets a room of kim's go live, drop and end.
func (w *world) show() string {
	w.t.Helper()
	id := w.newRoom(w.acme)
	room := "/v2/apps/me/video-rooms/" + id
	w.ingest(w.acme, "kim", 1, 1, broadcast.Published)
	w.ok(w.send("POST", room+"/start", w.acme.basic(), ""))
	w.ingest(w.acme, "kim", 1, 2, broadcast.Stopped)
	w.ok(w.send("POST", room+"/end", w.acme.basic(), ""))
	return id
}

func TestTheFeedHasEveryTransitionOnceAndInOrder(t *testing.T) {
	w := newWorld(t)
	kim, lee := w.login(w.acme, "kim"), w.login(w.acme, "lee")
	room := w.show()
	key := w.keyOf(w.acme, "kim")
	w.ok(w.send("POST", "/v2/apps/me/stream-keys/"+key.text("id")+"/reissue", w.acme.basic(), ""))

	feed := w.events(w.acme.basic(), "")
	next := map[string]float64{}
	var types []string
	for _, e := range feed {
		id := e.text("resourceId")
		next[id]++
		if got, _ := e.body["sequence"].(float64); got != next[id] {
			t.Errorf("%s %s has sequence %v, want %v", id, e.text("type"), got, next[id])
		}
		if id == room {
			types = append(types, e.text("type"))
		}
	}
	if got := strings.Join(types, " "); got != "video_room.created video_room.live video_room.live_inactive video_room.ended" {
		t.Errorf("the room's events: %s", got)
	}
	if last := feed[len(feed)-1]; last.text("type") != "stream_key.reissued" {
		t.Errorf("the last event is %s", last.text("type"))
	}
	raw, err := json.Marshal(feed[0].body)
	if err != nil {
		t.Fatal(err)
	}
	data, _ := feed[0].body["data"].(map[string]any)
	if data["videoRoom"] == nil || data["streamKey"] != nil {
		t.Errorf("the first event: %s", raw)
	}
	own := w.events(kim, "")
	if len(own) != len(feed) || len(w.events(lee, "")) != 0 {
		t.Errorf("kim has %d events of %d, lee %d", len(own), len(feed), len(w.events(lee, "")))
	}
	for _, e := range own {
		if raw, _ := json.Marshal(e.body); strings.Contains(string(raw), key.text("streamKey")) {
			t.Errorf("a stream key string is in an event: %s", raw)
		}
	}
}

func TestAReaderThatWaitsIsWokenByTheNextEvent(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	w.newRoom(w.acme)
	w.events(w.acme.basic(), "")
	latest := w.want(w.send("GET", "/v2/apps/me/events?after=latest", w.acme.basic(), ""), 200, "")
	if latest.text("nextAfter") != "1" || latest.body["pollAfterSeconds"] != 2.0 {
		t.Errorf("the end of the feed: %s", latest.raw)
	}
	var all sync.WaitGroup
	got := make([]answer, 5)
	for i := range got {
		all.Go(func() { got[i] = w.send("GET", "/v2/apps/me/events?wait=20&after=1", w.acme.basic(), "") })
	}
	w.newRoom(w.acme)
	w.events(w.acme.basic(), "")
	all.Wait()
	for _, a := range got {
		if items, _ := a.body["items"].([]any); a.status != http.StatusOK || len(items) != 1 || a.text("nextAfter") != "2" {
			t.Errorf("%d %s", a.status, a.raw)
		}
	}
	w.want(w.send("GET", "/v2/apps/me/events?after=x", w.acme.basic(), ""), 422, "INVALID_CURSOR")
	w.want(w.send("GET", "/v2/apps/me/events?wait=21", w.acme.basic(), ""), 422, "INVALID_FIELD")
}

func TestEventsAreKeptForThirtyDays(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	w.newRoom(w.acme)
	if n := len(w.events(w.acme.basic(), "")); n != 1 {
		t.Fatalf("%d events", n)
	}
	w.advance(30 * 24 * time.Hour)
	if n := len(w.events(w.acme.basic(), "")); n != 0 {
		t.Errorf("%d events after 30 days", n)
	}
	w.advance(time.Second)
	if err := w.service.PurgeFeed(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.newRoom(w.acme)
	if list := w.events(w.acme.basic(), "1"); len(list) != 1 {
		t.Errorf("a position is given twice: %v", list)
	}
}

func TestAWebhookEndpointIsMadeChangedAndDeleted(t *testing.T) {
	w := newWorld(t)
	auth, path := w.acme.basic(), "/v2/apps/me/webhook-endpoints"
	made := w.want(w.send("POST", path, auth, `{"url":"https://example.com/hook","eventTypes":["video_room.live"]}`), 201, "")
	if !strings.HasPrefix(made.text("secret"), "whsec_") || made.text("state") != "ENABLED" {
		t.Errorf("new endpoint: %s", made.raw)
	}
	one := path + "/" + made.text("id")
	got := w.want(w.send("GET", one, auth, ""), 200, "")
	if strings.Contains(got.raw, "whsec_") || got.header.Get("ETag") != `"1"` {
		t.Errorf("endpoint: %s", got.raw)
	}
	w.want(w.send("PATCH", one, auth, `{"eventTypes":null}`, "If-Match", `"7"`), 412, "VERSION_MISMATCH")
	got = w.want(w.send("PATCH", one, auth, `{"eventTypes":null,"state":"DISABLED"}`, "If-Match", `"1"`), 200, "")
	if got.body["eventTypes"] != nil || got.text("disabledReason") != "MANUAL" {
		t.Errorf("changed: %s", got.raw)
	}
	w.want(w.send("POST", one+"/test", auth, ""), 409, "WEBHOOK_ENDPOINT_DISABLED")
	w.ok(w.send("PATCH", one, auth, `{"state":null}`))
	w.want(w.send("POST", one+"/test", auth, ""), 202, "")
	if e := w.events(auth, ""); e[len(e)-1].text("type") != "test" {
		t.Errorf("events: %v", e)
	}
	rotated := w.want(w.send("POST", one+"/rotate-secret", auth, ""), 200, "")
	if s := rotated.text("secret"); s == made.text("secret") || !strings.HasPrefix(s, "whsec_") {
		t.Errorf("rotated: %s", rotated.raw)
	}
	w.want(w.send("GET", one+"/dead-letters", auth, ""), 200, "")
	for _, bad := range []string{`{"url":"http://example.com"}`, `{"url":"ftp://x"}`, `{"url":"https://u:p@example.com"}`, `{"url":"https://x","eventTypes":["x"]}`} {
		w.want(w.send("POST", path, auth, bad), 422, "INVALID_FIELD")
	}
	for range 15 {
		w.ok(w.send("POST", path, auth, `{"url":"https://example.com/hook"}`))
	}
	w.want(w.send("POST", path, auth, `{"url":"https://example.com/hook"}`), 409, "TOO_MANY_WEBHOOK_ENDPOINTS")
	w.want(w.send("DELETE", one, auth, ""), 204, "")
	w.want(w.send("GET", one, auth, ""), 404, "WEBHOOK_ENDPOINT_NOT_FOUND")
}
