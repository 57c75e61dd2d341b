package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oapi-codegen/nullable"
)

func TestEveryOperationOfTheDocumentHasAMethod(t *testing.T) {
	doc, err := os.ReadFile("../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	methods := map[string]bool{}
	for m := range reflect.TypeFor[*Client]().Methods() {
		methods[strings.ToLower(m.Name)] = true
	}
	found := regexp.MustCompile(`operationId: (\w+)`).FindAllStringSubmatch(string(doc), -1)
	for _, m := range found {
		if !methods[strings.ToLower(m[1])] {
			t.Errorf("no method for %s", m[1])
		}
	}
	if len(found) < 60 {
		t.Errorf("%d operations", len(found))
	}
}

// tries answers one request after the other by its list and remembers them.
type tries struct {
	t       *testing.T
	answers []http.HandlerFunc
	got     []*http.Request
	bodies  []string
	waits   []time.Duration
	mu      sync.Mutex // a cut answer orders nothing between server and test
}

func (s *tries) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	s.got, s.bodies = append(s.got, r), append(s.bodies, string(body))
	n := len(s.got)
	s.mu.Unlock()
	if n > len(s.answers) {
		s.t.Errorf("request %d is one too many", n)
		return
	}
	s.answers[n-1](w, r)
}

// request answers the n-th request, from 0, and its body.
func (s *tries) request(n int) (*http.Request, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got[n], s.bodies[n]
}

func (s *tries) client(t *testing.T) *Client {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	c, err := New(Options{URL: server.URL + "/", Auth: BasicAuth("k", "s"), Wait: func(_ context.Context, d time.Duration) error {
		s.waits = append(s.waits, d)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func problem(status int, code string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"status":999,"errorCode":"`+code+`","detail":"d","requestId":"req_1"}`)
	}
}

func ok(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("ETag", `"7"`)
	_, _ = io.WriteString(w, `{"id":"room_1","playback":null,"title":null}`)
}

// cut ends the connection in the middle of an answer.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestACallIsRepeatedUnderOneKeyUntilItIsAnswered(t *testing.T) {
	s := &tries{t: t, answers: []http.HandlerFunc{
		cut, problem(503, "SERVICE_UNAVAILABLE", "Retry-After", "2"), problem(409, "CALL_STILL_RUNNING", "Retry-After", "1"),
		problem(429, "RATE_LIMITED", "Retry-After", "Sun, 01 Mar 2026 12:00:30 GMT", "Date", "Sun, 01 Mar 2026 12:00:00 GMT"), ok,
	}}
	var etag string
	room, err := s.client(t).CreateVideoRoom(t.Context(), RoomCreate{Type: "BROADCAST_RTMP", AppUserID: "kim"}, ETag(&etag))
	if err != nil || room.ID != "room_1" || room.Playback != nil || etag != `"7"` {
		t.Fatalf("%+v, %v, ETag %s", room, err, etag)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := s.got[0].Header.Get("Idempotency-Key")
	for i, r := range s.got {
		if r.Header.Get("Idempotency-Key") != key || len(key) < 20 || s.bodies[i] != s.bodies[0] {
			t.Errorf("try %d: key %q, body %q", i, r.Header.Get("Idempotency-Key"), s.bodies[i])
		}
		if user, password, _ := r.BasicAuth(); user != "k" || password != "s" || r.URL.Path != "/v2/apps/me/video-rooms" {
			t.Errorf("try %d: %s, %s:%s", i, r.URL, user, password)
		}
	}
	for i, least := range []time.Duration{0, 2 * time.Second, time.Second, 30 * time.Second} {
		if most := least + firstWait<<i; s.waits[i] < least || s.waits[i] > most {
			t.Errorf("wait %d is %s, not between %s and %s", i, s.waits[i], least, most)
		}
	}
}

func TestTwoCallsHaveTwoKeysUnlessTheCallerNamesThem(t *testing.T) {
	s := &tries{t: t, answers: []http.HandlerFunc{ok, ok, ok}}
	c := s.client(t)
	for _, options := range [][]CallOption{nil, nil, {IdempotencyKey("mine")}} {
		if _, err := c.StartVideoRoom(t.Context(), "room/1", options...); err != nil {
			t.Fatal(err)
		}
	}
	keys := [3]string{}
	for i, r := range s.got {
		keys[i] = r.Header.Get("Idempotency-Key")
		if r.URL.EscapedPath() != "/v2/apps/me/video-rooms/room%2F1/start" {
			t.Errorf("path %s", r.URL.EscapedPath())
		}
	}
	if keys[0] == keys[1] || keys[2] != "mine" {
		t.Errorf("keys %v", keys)
	}
}

func TestARefusalIsFinal(t *testing.T) {
	for _, answer := range []http.HandlerFunc{
		problem(409, "STREAM_KEY_STATE_NOT_ACTIVE"), problem(500, "INTERNAL_ERROR"), problem(422, "INVALID_FIELD"),
		problem(429, "RATE_LIMITED", "Retry-After", "61"),
	} {
		s := &tries{t: t, answers: []http.HandlerFunc{answer}}
		_, err := s.client(t).StartVideoRoom(t.Context(), "room_1")
		var e *Error
		if !errors.As(err, &e) || e.Status < 409 || e.Status > 500 || e.RequestID != "req_1" || !HasCode(err, e.ErrorCode) || HasCode(err, "OTHER") {
			t.Errorf("got %v", err)
		}
	}
}

func TestTheLastErrorIsTheAnswerWhenTriesRunOut(t *testing.T) {
	page := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusBadGateway) }
	s := &tries{t: t, answers: []http.HandlerFunc{page, page, page, page, page}}
	var e *Error
	if _, err := s.client(t).GetApp(t.Context()); !errors.As(err, &e) || e.Status != 502 || len(s.got) != 5 {
		t.Errorf("%d tries, %v", len(s.got), err)
	}
}

func TestADeleteWhoseAnswerWasLostIsDone(t *testing.T) {
	missing := problem(404, "VIDEO_ROOM_NOT_FOUND")
	if err := (&tries{t: t, answers: []http.HandlerFunc{cut, missing}}).client(t).DeleteVideoRoom(t.Context(), "room_1"); err != nil {
		t.Error(err)
	}
	if err := (&tries{t: t, answers: []http.HandlerFunc{missing}}).client(t).DeleteVideoRoom(t.Context(), "room_1"); !HasCode(err, "VIDEO_ROOM_NOT_FOUND") {
		t.Errorf("a room that never was is deleted: %v", err)
	}
}

func TestAGuardedPatchWhoseAnswerWasLostIsNotSentAgain(t *testing.T) {
	s := &tries{t: t, answers: []http.HandlerFunc{cut}}
	patch := RoomPatch{Title: nullable.NewNullNullable[string](), CustomType: nullable.NewNullableWithValue("x")}
	_, err := s.client(t).UpdateVideoRoom(t.Context(), "room_1", patch, IfMatch(`"3"`))
	got, body := s.request(0)
	var e *Error
	if err == nil || errors.As(err, &e) || got.Header.Get("If-Match") != `"3"` {
		t.Errorf("got %v", err)
	}
	if body != `{"customType":"x","title":null}` || got.Header.Get("Content-Type") != "application/merge-patch+json" {
		t.Errorf("sent %s as %s", body, got.Header.Get("Content-Type"))
	}
}

func TestACancelledCallIsNotRepeated(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &tries{t: t, answers: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
		cancel()
		cut(w, r)
	}}}
	if _, err := s.client(t).GetApp(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, url := range []string{"", "example.com", "ftp://example.com", "http://", "://"} {
		if _, err := New(Options{URL: url}); err == nil {
			t.Errorf("%q is taken", url)
		}
	}
}
