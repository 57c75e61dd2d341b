package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ids"
	"github.com/roomcast/roomcast/internal/queue/local"
	"github.com/roomcast/roomcast/internal/store/sqlite"
)

const operatorToken = "operator-token-of-the-tests"

// world is the API over the real use cases and a real database.
type world struct {
	t       testing.TB
	handler http.Handler
	service *control.Service
	db      *sqlite.DB
	queue   *local.Queue // an event that fails once is a dead letter
	log     *syncBuffer
	rates   Rates // of the next serve
	sent    int   // messages to queue
	now     time.Time
	real    func() time.Time // nil = now
	mu      sync.Mutex       // guards now
	// doc is what the handler says of itself: every answer is held against it.
	doc  *huma.OpenAPI
	ops  map[string]*huma.Operation // by "METHOD pattern"
	mux  *http.ServeMux
	acme tenant
}

// tenant is an app with its credentials.
type tenant struct {
	id, key, secret string
}

func (a tenant) basic() string { return "Basic " + basic(a.key, a.secret) }

func basic(user, password string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Basic ")
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, log: &syncBuffer{}, now: time.Date(2026, 3, 1, 12, 0, 0, 345_678_000, time.UTC)}
	return w.open()
}

// newWorldOn runs on another clock than one that tests set.
func newWorldOn(t testing.TB, clock func() time.Time) *world {
	t.Helper()
	w := &world{t: t, log: &syncBuffer{}, real: clock}
	return w.open()
}

func (w *world) open() *world {
	t := w.t
	t.Helper()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "roomcast.db"), sqlite.Options{Now: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	logger := slog.New(slog.NewJSONHandler(w.log, nil))
	source := ids.New(w.clock)
	w.db = db
	w.queue, err = local.New(t.Context(), db.SQL(), local.Options{Now: w.clock, MaxReceives: 1})
	if err != nil {
		t.Fatal(err)
	}
	w.service = control.New(control.Options{
		DeadEvents: w.queue, Store: db, Idempotency: db, Feed: db, Webhooks: db, Bell: &control.Bell{}, MaxWait: 20 * time.Second, IDs: source, Now: w.clock, Log: logger,
		URLs: control.URLs{HTTP: "http://127.0.0.1:8080", RTMP: "rtmp://127.0.0.1:1935"},
	})
	w.serve(w.service)
	w.acme = w.newTenant("Acme")
	return w
}

// serve puts a handler before s; the document is that of the code.
func (w *world) serve(s Service) {
	w.t.Helper()
	w.serveWith(s, [][]byte{bytes.Repeat([]byte("k"), 32)})
}

func (w *world) serveWith(s Service, tokenKeys [][]byte) {
	w.t.Helper()
	source := ids.New(w.clock)
	h, err := New(Options{
		Service: s, TokenKeys: func() [][]byte { return tokenKeys }, OperatorToken: operatorToken, Rates: w.rates,
		Now: w.clock, IDs: func() string { return source.New("req") }, Log: slog.New(slog.NewJSONHandler(w.log, nil)),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.handler = h
	w.doc = newAPI(Options{}).huma.OpenAPI()
	w.ops, w.mux = map[string]*huma.Operation{}, http.NewServeMux()
	for path, item := range w.doc.Paths {
		for method, op := range operationsOf(item) {
			pattern := method + " " + path
			w.ops[pattern] = op
			w.mux.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) {})
		}
	}
}

func operationsOf(item *huma.PathItem) map[string]*huma.Operation {
	all := map[string]*huma.Operation{
		http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPatch: item.Patch, http.MethodDelete: item.Delete,
	}
	maps.DeleteFunc(all, func(_ string, op *huma.Operation) bool { return op == nil })
	return all
}

func (w *world) clock() time.Time {
	if w.real != nil {
		return w.real()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	raw    string
	body   map[string]any // nil when the body is no JSON object
}

func (a answer) text(field string) string {
	s, _ := a.body[field].(string)
	return s
}

// send makes one request. header lines come in pairs; a body that is not ""
// is JSON unless a Content-Type is among them.
func (w *world) send(method, target, auth, body string, header ...string) answer {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, target, strings.NewReader(body))
	if auth != "" {
		r.Header.Set("Authorization", auth)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	return w.do(r)
}

func (w *world) do(r *http.Request) answer {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	res := rec.Result()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{status: res.StatusCode, header: res.Header, raw: string(raw)}
	if len(raw) > 0 && json.Valid(raw) {
		_ = json.Unmarshal(raw, &a.body)
	}
	w.holdAgainstDocument(r, a)
	return a
}

// holdAgainstDocument fails where an answer is not what /openapi.json says.
func (w *world) holdAgainstDocument(r *http.Request, a answer) {
	w.t.Helper()
	say := func(format string, args ...any) {
		w.t.Helper()
		w.t.Errorf("%s %s: "+format+"\n%s", append([]any{r.Method, r.URL.Path}, append(args, a.raw)...)...)
	}
	if a.header.Get("X-Request-Id") == "" {
		say("no X-Request-Id")
	}
	if a.status >= 400 {
		w.checkProblem(a, say)
	}
	_, pattern := w.mux.Handler(r)
	op := w.ops[pattern]
	if op == nil || a.text("errorCode") == string(codeNotFound) {
		return // no operation was reached
	}
	doc := op.Responses[strconv.Itoa(a.status)]
	if doc == nil {
		say("status %d is not documented", a.status)
		return
	}
	if a.status == http.StatusNoContent {
		return
	}
	media := doc.Content[a.header.Get("Content-Type")]
	if media == nil {
		say("content type %q is not documented", a.header.Get("Content-Type"))
		return
	}
	if a.status >= 400 && media.Examples[a.text("errorCode")] == nil {
		say("error code %q is not documented", a.text("errorCode"))
	}
	var v any
	if err := json.Unmarshal([]byte(a.raw), &v); err != nil {
		say("body is no JSON: %v", err)
		return
	}
	var res huma.ValidateResult
	huma.Validate(w.doc.Components.Schemas, media.Schema, huma.NewPathBuffer([]byte("body"), 4), huma.ModeReadFromServer, v, &res)
	for _, err := range res.Errors {
		say("not as its schema: %v", err)
	}
}

func (w *world) checkProblem(a answer, say func(string, ...any)) {
	w.t.Helper()
	if a.header.Get("Content-Type") != "application/problem+json" {
		say("error with content type %q", a.header.Get("Content-Type"))
		return
	}
	for _, f := range []string{"type", "title", "detail", "instance", "errorCode", "requestId"} {
		if a.text(f) == "" {
			say("problem without %s", f)
		}
	}
	if got, _ := a.body["status"].(float64); int(got) != a.status {
		say("problem with status %v", a.body["status"])
	}
	if a.text("requestId") != a.header.Get("X-Request-Id") {
		say("requestId is not X-Request-Id")
	}
	if !slices.Contains(codes(), broadcast.Code(a.text("errorCode"))) {
		say("unknown errorCode")
	}
	switch {
	case a.status == http.StatusUnauthorized && a.header.Get("WWW-Authenticate") == "":
		say("401 without WWW-Authenticate")
	case (a.status == http.StatusServiceUnavailable || a.status == http.StatusTooManyRequests) && a.header.Get("Retry-After") == "":
		say("%d without Retry-After", a.status)
	case a.status == http.StatusMethodNotAllowed && a.header.Get("Allow") == "":
		say("405 without Allow")
	}
}

// want fails unless the answer has this status and, for errors, this code.
func (w *world) want(a answer, status int, code broadcast.Code) answer {
	w.t.Helper()
	if a.status != status || a.text("errorCode") != string(code) {
		w.t.Fatalf("%d %s, want %d %s\n%s", a.status, a.text("errorCode"), status, code, a.raw)
	}
	return a
}

func (w *world) ok(a answer) answer {
	w.t.Helper()
	if a.status >= 300 {
		w.t.Fatalf("status %d\n%s", a.status, a.raw)
	}
	return a
}

func (w *world) newTenant(name string) tenant {
	w.t.Helper()
	a := w.want(w.send("POST", "/v2/admin/apps", "Bearer "+operatorToken, `{"name":"`+name+`"}`), 201, "")
	made, _ := a.body["app"].(map[string]any)
	id, _ := made["id"].(string)
	return tenant{id: id, key: a.text("apiKey"), secret: a.text("apiSecret")}
}

// login makes a member and answers its token as an Authorization.
func (w *world) login(app tenant, user string) string {
	w.t.Helper()
	return "Bearer " + w.ok(w.send("POST", "/v2/apps/me/members/login", app.basic(), `{"appUserId":"`+user+`"}`)).text("token")
}

func (w *world) keyOf(app tenant, user string) answer {
	w.t.Helper()
	return w.ok(w.send("GET", "/v2/apps/me/members/"+user+"/stream-key", app.basic(), ""))
}

const roomBody = `{"type":"BROADCAST_RTMP","appUserId":"kim","scheduledAt":"2026-03-01T21:00:00+09:00"}`

func (w *world) newRoom(app tenant) string {
	w.t.Helper()
	return w.want(w.send("POST", "/v2/apps/me/video-rooms", app.basic(), roomBody), 201, "").text("id")
}

// ingest plays a worker: it takes the lease of a key where epoch asks for a
// new one, and tells a phase.
func (w *world) ingest(app tenant, user string, epoch, seq uint64, phase broadcast.Phase) {
	w.t.Helper()
	ctx := context.Background()
	key := broadcast.KeyID(w.keyOf(app, user).text("id"))
	session := broadcast.SessionID("ses_" + strconv.FormatUint(epoch, 10))
	lease, err := w.db.Lease(ctx, key)
	if err != nil {
		w.t.Fatal(err)
	}
	p := broadcast.Progress{Mode: broadcast.ModeCMAF, Phase: phase, Seq: seq, LastSegment: 5, Health: &broadcast.Health{
		StartedAt: w.clock(), Software: "obs", VideoCodec: "avc1.64001f", WidthPixels: 1280, HeightPixels: 720,
		FrameRate: 29.97, BitrateBPS: 3_000_000, KeyFrameInterval: 2 * time.Second, Dropped: 7, Drift: -35 * time.Millisecond,
	}}
	switch {
	case phase == broadcast.Stopped:
		err = w.db.ReleaseLease(ctx, key, lease.Epoch, session, p)
	case lease.Holder == nil:
		cond := control.LeaseCondition{Generation: lease.KeyGeneration, Epoch: lease.Epoch}
		lease, err = w.db.TakeLease(ctx, key, cond, broadcast.Holder{Session: session, Worker: "w1", Remote: "203.0.113.7:1"}, p)
	default:
		err = w.db.RenewLease(ctx, key, lease.Epoch, session, p)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	err = w.service.ApplyEvent(ctx, broadcast.Event{
		ID: broadcast.EventID("evt_" + strconv.FormatUint(epoch*100+seq, 10)), KeyID: key, Session: session,
		Epoch: lease.Epoch, Seq: seq, Phase: phase, Mode: broadcast.ModeCMAF, LastSegment: 5, At: w.clock(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
}
