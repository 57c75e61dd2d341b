package httpapi

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
)

// A path with a name of its own is a member's as well: login is an appUserId.
func TestAMemberMayBeCalledLogin(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "login")
	path, auth := "/v2/apps/me/members/login", w.acme.basic()
	if a := w.ok(w.send("GET", path, auth, "")); a.text("appUserId") != "login" {
		t.Errorf("%s", a.raw)
	}
	if a := w.want(w.send("OPTIONS", path, auth, ""), 405, "METHOD_NOT_ALLOWED"); a.header.Get("Allow") != "GET, HEAD, POST, PATCH, DELETE" {
		t.Errorf("allowed: %q", a.header.Get("Allow"))
	}
	w.want(w.send("DELETE", path, auth, ""), 204, "")
	w.want(w.send("GET", path, auth, ""), 404, "MEMBER_NOT_FOUND")
}

// A caller that goes away during a long poll is no fault of ours, and no alarm's.
func TestACallerThatLeavesIsNoError(t *testing.T) {
	w := newWorld(t)
	ctx, leave := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, "GET", "/v2/apps/me/events?wait=20", nil)
	r.Header.Set("Authorization", w.acme.basic())
	leave()
	w.handler.ServeHTTP(httptest.NewRecorder(), r)
	if log := w.log.String(); !strings.Contains(log, `"route":"GET /v2/apps/me/events"`) || strings.Contains(log, "ERROR") {
		t.Errorf("log: %s", log)
	}
}
