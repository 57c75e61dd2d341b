package httpapi

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

func TestAPIKeysAreMadeSeenAndRevoked(t *testing.T) {
	w := newWorld(t)
	auth := w.acme.basic()
	made := w.want(w.send("POST", "/v2/apps/me/api-keys", auth, `{"name":"billing"}`), 201, "")
	fresh := tenant{key: made.text("id"), secret: made.text("apiSecret")}
	if made.text("name") != "billing" || len(fresh.secret) < 40 || made.body["lastUsedAt"] != nil || made.body["revokedAt"] != nil {
		t.Fatalf("%s", made.raw)
	}
	w.want(w.send("POST", "/v2/apps/me/api-keys", auth, ""), 201, "")
	listed := func() []map[string]any {
		a := w.ok(w.send("GET", "/v2/apps/me/api-keys?order=asc", auth, ""))
		if strings.Contains(a.raw, "ecret") || strings.Contains(a.raw, "ash") {
			t.Errorf("the list shows secrets: %s", a.raw)
		}
		var list []map[string]any
		items, _ := a.body["items"].([]any)
		for _, i := range items {
			m, _ := i.(map[string]any)
			list = append(list, m)
		}
		return list
	}
	first := listed()
	if len(first) != 3 || first[0]["id"] != w.acme.key || first[1]["id"] != fresh.key || first[1]["lastUsedAt"] != nil {
		t.Fatalf("%v", first)
	}
	w.ok(w.send("GET", "/v2/apps/me", fresh.basic(), ""))
	used, _ := listed()[1]["lastUsedAt"].(string)
	if used == "" {
		t.Fatal("its first use is not seen")
	}
	version := func() uint64 {
		k, err := w.db.APIKey(t.Context(), fresh.key)
		if err != nil {
			t.Fatal(err)
		}
		if k.SecretHash != control.HashSecret(fresh.secret) {
			t.Error("what is stored is not the hash")
		}
		return k.Version
	}
	was := version()
	w.advance(59 * time.Second)
	for range 3 {
		w.ok(w.send("GET", "/v2/apps/me", fresh.basic(), ""))
	}
	if version() != was {
		t.Error("the use is written more than once a minute")
	}
	w.advance(2 * time.Second)
	w.ok(w.send("GET", "/v2/apps/me", fresh.basic(), ""))
	if again, _ := listed()[1]["lastUsedAt"].(string); version() != was+1 || again <= used {
		t.Errorf("the use after a minute is not written: %s", again)
	}

	path := "/v2/apps/me/api-keys/" + fresh.key
	w.want(w.send("DELETE", path, w.newTenant("Other").basic(), ""), 404, "API_KEY_NOT_FOUND")
	w.ok(w.send("GET", "/v2/apps/me", fresh.basic(), ""))
	w.want(w.send("DELETE", path, auth, ""), 204, "")
	w.want(w.send("GET", "/v2/apps/me", fresh.basic(), ""), 401, "INVALID_CREDENTIALS")
	w.want(w.send("DELETE", path, auth, ""), 204, "")
	if listed()[1]["revokedAt"] == nil {
		t.Error("the list does not say that it is revoked")
	}
	w.want(w.send("DELETE", "/v2/apps/me/api-keys/ak_none", auth, ""), 404, "API_KEY_NOT_FOUND")
}

func isBusy(err error) bool {
	var refusal *broadcast.Refusal
	return errors.As(err, &refusal) && refusal.Code == broadcast.CodeBusy
}

// A use that is noted while the key is revoked does not bring it back.
func TestAUseDoesNotUndoARevocation(t *testing.T) {
	w := newWorld(t)
	caller := control.Caller{AppID: broadcast.AppID(w.acme.id)}
	made := w.want(w.send("POST", "/v2/apps/me/api-keys", w.acme.basic(), ""), 201, "")
	key, secret := made.text("id"), made.text("apiSecret")
	done := make(chan error)
	go func() {
		for range 50 {
			w.advance(2 * time.Minute) // every use is written
			_, _ = w.service.AuthenticateApp(t.Context(), key, secret)
		}
		done <- nil
	}()
	err := w.service.RevokeAPIKey(t.Context(), caller, key)
	for isBusy(err) { // so many uses at once are no real ones
		err = w.service.RevokeAPIKey(t.Context(), caller, key)
	}
	if err != nil {
		t.Error(err)
	}
	<-done
	if _, err := w.service.AuthenticateApp(t.Context(), key, secret); err == nil {
		t.Error("a revoked key is good again")
	}
}

func TestOperatorsChangeAndDeleteApps(t *testing.T) {
	w := newWorld(t)
	auth := "Bearer " + operatorToken
	other := w.newTenant("Other")
	path := "/v2/admin/apps/" + other.id
	before := w.ok(w.send("GET", path, auth, ""))
	a := w.ok(w.send("PATCH", path, auth, `{"name":"Renamed","maxLiveSeconds":60}`, "If-Match", before.header.Get("ETag")))
	if a.text("name") != "Renamed" || a.body["maxLiveSeconds"] != 60.0 {
		t.Errorf("%s", a.raw)
	}
	w.want(w.send("PATCH", path, auth, `{"name":"x"}`, "If-Match", before.header.Get("ETag")), 412, "VERSION_MISMATCH")
	w.want(w.send("PATCH", "/v2/admin/apps/app_none", auth, `{"name":"x"}`), 404, "APP_NOT_FOUND")
	w.want(w.send("DELETE", "/v2/admin/apps/app_none", auth, ""), 404, "APP_NOT_FOUND")

	w.login(other, "kim")
	profile := w.newProfile(other, profileBody)
	w.ok(w.send("PATCH", "/v2/apps/me", other.basic(), `{"defaultTranscodingProfileId":"`+profile+`"}`))
	w.ok(w.send("POST", "/v2/apps/me/webhook-endpoints", other.basic(), `{"url":"https://example.com/"}`))
	room := w.newRoom(other)
	w.want(w.send("DELETE", path, auth, ""), 409, "APP_NOT_EMPTY")
	w.ok(w.send("DELETE", "/v2/apps/me/members/kim", other.basic(), ""))
	w.want(w.send("DELETE", path, auth, ""), 409, "APP_NOT_EMPTY")
	w.ok(w.send("GET", "/v2/apps/me", other.basic(), ""))
	w.ok(w.send("DELETE", "/v2/apps/me/video-rooms/"+room, other.basic(), ""))
	w.want(w.send("DELETE", path, auth, ""), 204, "")
	w.want(w.send("GET", path, auth, ""), 404, "APP_NOT_FOUND")
	w.want(w.send("GET", "/v2/apps/me", other.basic(), ""), 401, "INVALID_CREDENTIALS")
	w.ok(w.send("GET", "/v2/apps/me", w.acme.basic(), ""))
}

func TestOperatorsSeeTheWorkersThatHavePublishers(t *testing.T) {
	w := newWorld(t)
	auth := "Bearer " + operatorToken
	if a := w.ok(w.send("GET", "/v2/admin/workers", auth, "")); a.raw != `{"items":[],"nextCursor":null}`+"\n" {
		t.Errorf("nobody publishes: %s", a.raw)
	}
	for _, user := range []string{"kim", "lee"} {
		w.login(w.acme, user)
		w.ingest(w.acme, user, 1, 1, "PREP")
	}
	a := w.ok(w.send("GET", "/v2/admin/workers", auth, ""))
	if a.raw != `{"items":[{"id":"w1","address":null,"sessions":2,"bitrate":6000000}],"nextCursor":null}`+"\n" {
		t.Errorf("two publish: %s", a.raw)
	}
	w.ingest(w.acme, "kim", 1, 2, "STOPPED")
	if a := w.ok(w.send("GET", "/v2/admin/workers", auth, "")); !strings.Contains(a.raw, `"sessions":1`) {
		t.Errorf("one publishes: %s", a.raw)
	}
}
