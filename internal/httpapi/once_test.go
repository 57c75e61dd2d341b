package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

func TestARepeatedCallTakesEffectOnceAndIsAnsweredAgain(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	auth := w.acme.basic()
	first := w.want(w.send("POST", "/v2/apps/me/video-rooms", auth, roomBody, keyHeader, "k1"), 201, "")
	if first.header.Get(replayedHeader) != "" {
		t.Error("the first answer says that it is a repetition")
	}
	// Other spacing and order are the same body.
	same := strings.Replace(roomBody, `{"type":"BROADCAST_RTMP",`, "{ ", 1)
	same = strings.TrimSuffix(same, "}") + `, "type": "BROADCAST_RTMP"}`
	again := w.want(w.send("POST", "/v2/apps/me/video-rooms", auth, same, keyHeader, "k1"), 201, "")
	if again.raw != first.raw || again.header.Get(replayedHeader) != "true" || again.header.Get("ETag") != first.header.Get("ETag") {
		t.Errorf("not the first answer: %v\n%s\n%s", again.header, again.raw, first.raw)
	}
	w.want(w.send("POST", "/v2/apps/me/video-rooms", auth, strings.Replace(roomBody, "kim", "lee", 1), keyHeader, "k1"), 422, "IDEMPOTENCY_KEY_REUSED")
	w.want(w.send("POST", "/v2/apps/me/members", auth, `{"appUserId":"kim"}`, keyHeader, "k1"), 422, "IDEMPOTENCY_KEY_REUSED")
	w.rooms(1)

	// The same key of another app is another call.
	other := w.newTenant("Other")
	w.login(other, "kim")
	if a := w.want(w.send("POST", "/v2/apps/me/video-rooms", other.basic(), roomBody, keyHeader, "k1"), 201, ""); a.text("id") == first.text("id") {
		t.Error("another app was answered from this one's record")
	}
	w.advance(24 * time.Hour)
	if err := w.service.PurgeOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.want(w.send("POST", "/v2/apps/me/video-rooms", auth, roomBody, keyHeader, "k1"), 201, "")
	w.rooms(2)
}

// rooms fails unless acme has so many.
func (w *world) rooms(want int) {
	w.t.Helper()
	items, _ := w.ok(w.send("GET", "/v2/apps/me/video-rooms?limit=100", w.acme.basic(), "")).body["items"].([]any)
	if len(items) != want {
		w.t.Errorf("%d rooms, want %d", len(items), want)
	}
}

func TestEveryPOSTIsRepeatable(t *testing.T) {
	w := newWorld(t)
	auth, admin := w.acme.basic(), "Bearer "+operatorToken
	member := w.login(w.acme, "kim")
	key := w.keyOf(w.acme, "kim").text("id")
	room := w.newRoom(w.acme)
	w.ingest(w.acme, "kim", 1, 1, "PREP")
	w.ingest(w.acme, "kim", 1, 2, "PUBLISHED")
	tried := map[string]bool{}
	twice := func(pattern, auth, body, id string) {
		t.Helper()
		path := strings.NewReplacer("{id}", id).Replace(pattern)
		tried["POST "+pattern] = true
		h := []string{keyHeader, "key of " + strings.ReplaceAll(path, " ", "")}
		h[1] = strings.ReplaceAll(h[1], " ", "-")
		first := w.ok(w.send("POST", path, auth, body, h...))
		again := w.send("POST", path, auth, body, h...)
		op := w.ops["POST "+pattern]
		if op.Responses["409"].Content["application/problem+json"].Examples[string(codeSecretShown)] != nil {
			w.want(again, 409, codeSecretShown)
			return
		}
		if again.status != first.status || again.header.Get(replayedHeader) != "true" {
			t.Errorf("%s: %d after %d, %v\n%s", pattern, again.status, first.status, again.header, again.raw)
		}
		if id := first.text("id"); id != "" && (again.text("id") != id || again.header.Get("ETag") != first.header.Get("ETag")) {
			t.Errorf("%s: another answer\n%s\n%s", pattern, first.raw, again.raw)
		}
	}
	own := strings.Replace(roomBody, `"appUserId":"kim",`, "", 1)
	scheduled := func() string { return w.newRoom(w.acme) }
	twice("/v2/apps/me/members", auth, `{"appUserId":"new"}`, "")
	twice("/v2/apps/me/members/login", auth, `{"appUserId":"newer"}`, "")
	twice("/v2/apps/me/video-rooms", auth, roomBody, "")
	twice("/v2/members/me/video-rooms", member, own, "")
	twice("/v2/apps/me/video-rooms/{id}/start", auth, "", room)
	twice("/v2/apps/me/stream-keys/{id}/disconnect", auth, "", key)
	w.ingest(w.acme, "kim", 1, 3, "STOPPED")
	twice("/v2/apps/me/video-rooms/{id}/end", auth, "", room)
	post := w.ok(w.send("GET", "/v2/apps/me/video-rooms/"+room, auth, "")).text("videoPostId")
	w.set(post, func(p *broadcast.VideoPost) { p.State = broadcast.PostFailedProcessing })
	twice("/v2/apps/me/video-posts/{id}/retry", auth, "", post)
	twice("/v2/apps/me/video-rooms/{id}/cancel", auth, "{}", scheduled())
	twice("/v2/members/me/video-rooms/{id}/cancel", member, "", scheduled())
	twice("/v2/apps/me/stream-keys/{id}/reissue", auth, "", key)
	twice("/v2/members/me/stream-key/reissue", member, "", "")
	twice("/v2/apps/me/stream-keys/{id}/force-terminate", auth, "", key)
	twice("/v2/members/me/stream-key/disconnect", member, "", "")
	w.advance(time.Minute)
	room = scheduled()
	w.ingest(w.acme, "kim", 2, 1, "PREP")
	w.ingest(w.acme, "kim", 2, 2, "PUBLISHED")
	twice("/v2/members/me/video-rooms/{id}/start", member, "", room)
	twice("/v2/members/me/video-rooms/{id}/end", member, `{"force":true}`, room)
	twice("/v2/apps/me/api-keys", auth, `{"name":"x"}`, "")
	twice("/v2/apps/me/transcoding-profiles", auth, profileBody, "")
	twice("/v2/apps/me/webhook-endpoints", auth, `{"url":"https://example.com/"}`, "")
	hook := w.ok(w.send("POST", "/v2/apps/me/webhook-endpoints", auth, `{"url":"https://example.com/"}`)).text("id")
	twice("/v2/apps/me/webhook-endpoints/{id}/test", auth, "", hook)
	twice("/v2/apps/me/webhook-endpoints/{id}/rotate-secret", auth, "", hook)
	twice("/v2/apps/me/webhook-endpoints/{id}/redeliver", auth, `{"from":"2026-01-01T00:00:00Z"}`, hook)
	twice("/v2/apps/me/events/{id}/redeliver", auth, "", w.events(auth, "")[0].text("id"))
	twice("/v2/admin/apps", admin, `{"name":"x"}`, "")
	twice("/v2/admin/apps/{id}/api-keys", admin, "", w.acme.id)
	w.bury(`{"keyId":"key_1","phase":"PREP"}`)
	twice("/v2/admin/dead-letters/{id}/replay", admin, "", w.deadLetters(1)[0].text("id"))
	for pattern, op := range w.ops {
		if method, _, _ := strings.Cut(pattern, " "); method != http.MethodPost {
			continue
		}
		if !tried[pattern] {
			t.Errorf("%s was not repeated", pattern)
		}
		if op.Responses["409"].Content["application/problem+json"].Examples[string(codeCallRunning)] == nil {
			t.Errorf("%s does not document its key", pattern)
		}
	}
}

func TestFiftyEqualPOSTsAtOnceMakeOneRoom(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	var all sync.WaitGroup
	ids := make([]string, 50)
	for i := range ids {
		all.Go(func() {
			for {
				a := w.send("POST", "/v2/apps/me/video-rooms", w.acme.basic(), roomBody, keyHeader, "same")
				if a.status == http.StatusConflict && a.text("errorCode") == string(codeCallRunning) && a.header.Get("Retry-After") != "" {
					continue
				}
				if ids[i] = a.text("id"); a.status != 201 {
					t.Errorf("%d %s", a.status, a.raw)
				}
				return
			}
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] || id == "" {
			t.Errorf("room %q and room %q", id, ids[0])
		}
	}
	w.rooms(1)
}

// Two processes do not see each other's calls: the transaction decides.
func TestTheSameCallInTwoProcessesTakesEffectOnce(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	call := control.OnceCall{ID: "call"}
	in := control.RoomInput{Type: "BROADCAST_RTMP", AppUserID: "kim", ScheduledAt: w.clock()}
	c, err := w.service.AuthenticateApp(t.Context(), w.acme.key, w.acme.secret)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			_, err := w.service.Once(t.Context(), call, func(ctx context.Context) error {
				_, err := w.service.CreateRoom(ctx, c, in)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	w.rooms(1)
}

// dying is a process that ends after its write, before its answer.
type dying struct{ Service }

func (d dying) CreateRoom(ctx context.Context, c control.Caller, in control.RoomInput) (control.RoomView, error) {
	if _, err := d.Service.CreateRoom(ctx, c, in); err != nil {
		return control.RoomView{}, err
	}
	return control.RoomView{}, errors.New("the process died")
}

func TestACallWhoseAnswerWasLostIsAnsweredByTheNextProcess(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	w.serve(dying{w.service})
	w.want(w.send("POST", "/v2/apps/me/video-rooms", w.acme.basic(), roomBody, keyHeader, "k"), 500, "INTERNAL_ERROR")
	w.serve(w.service)
	a := w.want(w.send("POST", "/v2/apps/me/video-rooms", w.acme.basic(), roomBody, keyHeader, "k"), 201, "")
	if a.header.Get(replayedHeader) != "true" {
		t.Error("a second room")
	}
	w.rooms(1)
}

// slow holds a call up until it is let go.
type slow struct {
	Service
	begun, goOn chan struct{}
}

func (s slow) CreateRoom(ctx context.Context, c control.Caller, in control.RoomInput) (control.RoomView, error) {
	close(s.begun)
	<-s.goOn
	return s.Service.CreateRoom(ctx, c, in)
}

func TestACallWhoseTwinStillRunsIsToldToWait(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	s := slow{w.service, make(chan struct{}), make(chan struct{})}
	w.serve(s)
	done := make(chan answer)
	go func() { done <- w.send("POST", "/v2/apps/me/video-rooms", w.acme.basic(), roomBody, keyHeader, "k") }()
	<-s.begun
	a := w.want(w.send("POST", "/v2/apps/me/video-rooms", w.acme.basic(), roomBody, keyHeader, "k"), 409, codeCallRunning)
	if a.header.Get("Retry-After") != "1" {
		t.Error("no Retry-After")
	}
	close(s.goOn)
	w.want(<-done, 201, "")
}

func TestARefusedCallMayBeRepeatedWithItsKey(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	start := "/v2/apps/me/video-rooms/" + w.newRoom(w.acme) + "/start"
	w.want(w.send("POST", start, w.acme.basic(), "", keyHeader, "k"), 409, "STREAM_KEY_STATE_NOT_ACTIVE")
	w.ingest(w.acme, "kim", 1, 1, "PUBLISHED")
	if a := w.want(w.send("POST", start, w.acme.basic(), "", keyHeader, "k"), 200, ""); a.header.Get(replayedHeader) != "" {
		t.Error("it had not started before")
	}
}

func TestABadIdempotencyKeyIsAFieldError(t *testing.T) {
	w := newWorld(t)
	for _, key := range []string{" x y", "ü", strings.Repeat("k", 256)} {
		a := w.want(w.send("POST", "/v2/apps/me/members", w.acme.basic(), `{"appUserId":"kim"}`, keyHeader, key), 422, "INVALID_FIELD")
		if !strings.Contains(a.raw, keyHeader) {
			t.Errorf("%q: %s", key, a.raw)
		}
	}
}

func TestNoSecretAndNoKeyIsKeptForARepetition(t *testing.T) {
	w := newWorld(t)
	a := w.ok(w.send("POST", "/v2/admin/apps", "Bearer "+operatorToken, `{"name":"x"}`, keyHeader, "my-own-key"))
	var doc string
	if err := w.db.SQL().QueryRow("SELECT group_concat(id || doc) FROM once").Scan(&doc); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"my-own-key", a.text("apiSecret")} {
		if doc == "" || strings.Contains(doc, secret) {
			t.Errorf("%q is stored: %s", secret, doc)
		}
	}
}
