// Package webhooks_test tests the way of an event to a customer's receiver,
// on real parts: use cases, database, HTTP, and a receiver that verifies with
// the official Standard Webhooks library.
package webhooks_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	official "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/httpapi"
	"github.com/roomcast/roomcast/internal/ids"
	"github.com/roomcast/roomcast/internal/store/sqlite"
	"github.com/roomcast/roomcast/internal/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a service whose clock is moved by hand, and a deliverer.
type world struct {
	*testing.T
	*control.Service
	db      *sqlite.DB
	mu      sync.Mutex
	at      time.Time
	caller  control.Caller
	deliver *control.Deliverer
	roots   *x509.CertPool
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

func (w *world) no(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func newWorld(t *testing.T, development bool) *world {
	t.Helper()
	// The official library knows no other clock than the machine's.
	w := &world{T: t, at: time.Now().UTC(), roots: x509.NewCertPool()}
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "db"), sqlite.Options{Now: w.now})
	w.no(err)
	w.db = db
	w.Service = control.New(control.Options{
		Store: db, Idempotency: db, Feed: db, Webhooks: db, IDs: ids.New(w.now), Now: w.now,
		URLs: control.URLs{HTTP: "http://h", RTMP: "rtmp://r"}, Log: slog.New(slog.DiscardHandler),
	})
	app, _, _, err := w.CreateApp(t.Context(), control.Actor{Kind: "operator"}, "test")
	w.no(err)
	w.caller = control.Caller{AppID: app.ID, Actor: control.Actor{Kind: "api_key"}}
	_, _, err = w.PutMember(t.Context(), w.caller, control.MemberInput{AppUserID: "kim"})
	w.no(err)
	sender := webhook.New(webhook.Options{
		Body: httpapi.EventBody(w.Service), Now: w.now, Development: development,
		Roots: &tls.Config{RootCAs: w.roots, MinVersion: tls.VersionTLS12},
	})
	w.deliver = w.NewDeliverer(sender)
	t.Cleanup(func() {
		w.deliver.Wait()
		sender.Close()
		w.no(db.Close())
	})
	return w
}

// receiver is a customer's server; answer decides on each call.
type receiver struct {
	mu     sync.Mutex
	events []httpapi.Event // taken, in order
	bad    []string
	secret string
	calls  int
	answer func(calls int, e httpapi.Event) int
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	r.mu.Lock()
	secret := r.secret
	r.calls++
	calls := r.calls
	r.mu.Unlock()
	var e httpapi.Event
	hook, bad := official.NewWebhook(secret)
	if err == nil && bad == nil {
		bad = hook.Verify(body, req.Header)
		if bad != nil && strings.Contains(strings.ToLower(bad.Error()), "timestamp") {
			bad = hook.VerifyIgnoringTimestamp(body, req.Header) // the test's clock is ahead of the machine's
		}
	}
	if bad == nil {
		bad = json.Unmarshal(body, &struct {
			*httpapi.Event
			Timestamp time.Time `json:"timestamp"`
			Data      any       `json:"data"`
		}{Event: &e})
	}
	if bad == nil && req.Header.Get("Webhook-Id") != e.ID {
		bad = fmt.Errorf("webhook-id is %s", req.Header.Get("Webhook-Id"))
	}
	status := http.StatusNoContent
	if r.answer != nil {
		status = r.answer(calls, e)
	}
	r.mu.Lock()
	if bad != nil {
		r.bad = append(r.bad, bad.Error())
	}
	if status < 300 {
		r.events = append(r.events, e)
	}
	r.mu.Unlock()
	w.WriteHeader(status)
}

func (r *receiver) taken() []httpapi.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// receive starts a receiver and makes an endpoint that leads to it.
func (w *world) receive(r *receiver) control.Endpoint {
	w.Helper()
	server := httptest.NewTLSServer(r)
	w.Cleanup(server.Close)
	w.roots.AddCert(server.Certificate())
	e, err := w.CreateEndpoint(w.Context(), w.caller, control.EndpointInput{URL: server.URL + "/hook"})
	w.no(err)
	r.mu.Lock()
	r.secret = e.Secrets[0].Secret
	r.mu.Unlock()
	return e
}

func (w *world) rooms(n int) {
	w.Helper()
	for range n {
		v, err := w.CreateRoom(w.Context(), w.caller, control.RoomInput{Type: broadcast.BroadcastRTMP, AppUserID: "kim", ScheduledAt: w.now()})
		w.no(err)
		_, err = w.CancelRoom(w.Context(), w.caller, v.Room.ID)
		w.no(err)
	}
	w.no(w.PlaceNotices(w.Context()))
}

// settle delivers all that is due.
func (w *world) settle() {
	w.Helper()
	for {
		due, err := w.db.DueEndpoints(w.Context(), w.now())
		w.no(err)
		if len(due) == 0 {
			return
		}
		w.no(w.deliver.Pass(w.Context()))
		w.deliver.Wait()
	}
}

// inOrder fails unless each resource's events came from 1 on without a gap.
func (w *world) inOrder(events []httpapi.Event) {
	w.Helper()
	next := map[string]uint64{}
	for _, e := range events {
		next[e.ResourceID]++
		if e.Sequence != next[e.ResourceID] {
			w.Fatalf("%s came as %d of %s, want %d", e.Type, e.Sequence, e.ResourceID, next[e.ResourceID])
		}
	}
}

func TestAReceiverVerifiesEveryEventInOrder(t *testing.T) {
	w := newWorld(t, true)
	r := &receiver{}
	w.receive(r)
	w.rooms(10)
	w.settle()
	got := r.taken()
	if len(got) != 20 || len(r.bad) != 0 {
		t.Fatalf("%d events, bad: %v", len(got), r.bad)
	}
	w.inOrder(got)
}

func TestAnEventThatIsNotTakenComesAgainBeforeTheNextOfItsRoom(t *testing.T) {
	w := newWorld(t, true)
	var tries sync.Map // each event is refused twice
	r := &receiver{answer: func(_ int, e httpapi.Event) int {
		n, _ := tries.LoadOrStore(e.ID, new(atomic.Int32))
		if n, ok := n.(*atomic.Int32); ok && n.Add(1) < 3 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}}
	w.receive(r)
	w.rooms(5)
	for range 40 {
		w.settle()
		w.pass(15 * time.Minute)
	}
	w.inOrder(r.taken())
	if len(r.taken()) != 10 || len(r.bad) != 0 {
		t.Errorf("%d of 10 events, bad: %v", len(r.taken()), r.bad)
	}
}

func TestASlowEndpointDelaysOnlyItself(t *testing.T) {
	w := newWorld(t, true)
	goOn := make(chan struct{})
	slow := &receiver{answer: func(int, httpapi.Event) int { <-goOn; return http.StatusOK }}
	fast := &receiver{}
	w.receive(slow)
	w.receive(fast)
	w.rooms(70) // more groups than there are calls at a time
	until := time.Now().Add(20 * time.Second)
	for len(fast.taken()) < 140 && time.Now().Before(until) {
		w.no(w.deliver.Pass(t.Context()))
		runtime.Gosched()
	}
	if n := len(fast.taken()); n != 140 {
		t.Errorf("the fast endpoint got %d of 140", n)
	}
	if n := len(slow.taken()); n != 0 {
		t.Errorf("the slow endpoint got %d", n)
	}
	close(goOn)
	w.deliver.Wait()
	w.settle()
	w.inOrder(slow.taken())
	if n := len(slow.taken()); n != 140 {
		t.Errorf("the slow endpoint got %d of 140 in the end", n)
	}
}

func TestWhatIsNeverTakenIsADeadLetterAndAFailingEndpointIsDisabled(t *testing.T) {
	w := newWorld(t, true)
	r := &receiver{answer: func(int, httpapi.Event) int { return http.StatusBadGateway }}
	e := w.receive(r)
	ok := &receiver{}
	w.receive(ok)
	w.rooms(1)
	for range 65 {
		w.settle()
		w.pass(time.Hour)
	}
	dead, err := w.WebhookDeadLetters(t.Context(), w.caller, e.ID, control.Page{Limit: 10})
	w.no(err)
	if len(dead.Items) == 0 || dead.Items[0].Reason != "it answered 502" || dead.Items[0].Attempts != 9 {
		t.Errorf("dead letters: %+v", dead.Items)
	}
	for range 40 {
		w.settle()
		w.pass(time.Hour)
	}
	w.no(w.PlaceNotices(t.Context()))
	w.settle()
	got, err := w.Endpoint(t.Context(), w.caller, e.ID)
	w.no(err)
	if got.DisabledReason != "FAILING" {
		t.Errorf("after 4 days: %+v", got)
	}
	events := ok.taken()
	if len(events) != 3 || events[2].Type != "webhook_endpoint.disabled" {
		t.Errorf("the other endpoint got %+v", events)
	}
	calls := r.calls
	w.rooms(1)
	w.settle()
	if r.calls != calls {
		t.Error("a disabled endpoint is called")
	}
}

func TestBothSecretsSignWhileOneIsReplaced(t *testing.T) {
	w := newWorld(t, true)
	r := &receiver{}
	e := w.receive(r)
	fresh, err := w.RotateSecret(t.Context(), w.caller, e.ID)
	w.no(err)
	w.rooms(1)
	w.settle()
	r.mu.Lock()
	r.secret = fresh.Secrets[0].Secret
	r.mu.Unlock()
	w.rooms(1)
	w.settle()
	if len(r.bad) != 0 || len(r.taken()) != 4 {
		t.Errorf("%d events, bad: %v", len(r.taken()), r.bad)
	}
	if n := len(fresh.Signing(w.now().Add(25 * time.Hour))); n != 1 {
		t.Errorf("%d secrets sign after a day", n)
	}
}

func TestAnEventOrATimeRangeIsDeliveredAgain(t *testing.T) {
	w := newWorld(t, true)
	r := &receiver{}
	e := w.receive(r)
	from := w.now()
	w.rooms(3)
	w.settle()
	n, err := w.RedeliverEvent(t.Context(), w.caller, control.Notice{ID: "evt_none"}.ID, "")
	if err == nil || n != 0 {
		t.Errorf("an event that is not there: %d %v", n, err)
	}
	list, err := w.Events(t.Context(), w.caller, control.EventsQuery{Limit: 1})
	w.no(err)
	n, err = w.RedeliverEvent(t.Context(), w.caller, list.Items[0].ID, "")
	w.no(err)
	w.settle()
	if got := r.taken(); n != 1 || len(got) != 7 || got[6].ID != string(list.Items[0].ID) {
		t.Errorf("%d deliveries, %d events", n, len(got))
	}
	n, next, err := w.RedeliverRange(t.Context(), w.caller, e.ID, from, w.now().Add(time.Second))
	w.no(err)
	w.settle()
	if n != 6 || next != nil || len(r.taken()) != 13 {
		t.Errorf("%d deliveries, %v, %d events", n, next, len(r.taken()))
	}
}

func TestNoPrivateAddressIsCalledAndNoRedirectFollowed(t *testing.T) {
	w := newWorld(t, false)
	r := &receiver{}
	e := w.receive(r) // on 127.0.0.1
	w.rooms(1)
	w.settle()
	if r.calls != 0 {
		t.Error("a loopback address was called")
	}
	w.pass(100 * time.Hour)
	_ = e

	open := newWorld(t, true)
	target := &receiver{}
	open.receive(target)
	open.settle()
	to := httptest.NewServer(http.RedirectHandler("https://127.0.0.1:1/", http.StatusFound))
	t.Cleanup(to.Close)
	sender := webhook.New(webhook.Options{Body: httpapi.EventBody(open.Service), Now: open.now, Development: true})
	defer sender.Close()
	err := sender.Send(t.Context(), control.WebhookCall{URL: to.URL, Secrets: e.Signing(w.now()), Event: control.Notice{ID: "evt_1"}})
	if err == nil || err.Error() != "it answered 302" {
		t.Errorf("a redirect: %v", err)
	}
}

func TestLostWebhooksAndTheFeedAreEveryTransitionOnceInOrder(t *testing.T) {
	w := newWorld(t, true)
	lost := 0
	r := &receiver{answer: func(calls int, _ httpapi.Event) int {
		if calls%2 == 0 {
			lost++ // taken, and lost behind the receiver
		}
		return http.StatusOK
	}}
	w.receive(r)
	w.rooms(20)
	w.settle()
	var feed []httpapi.Event
	after := ""
	for {
		l, err := w.Events(t.Context(), w.caller, control.EventsQuery{After: after, Limit: 7})
		w.no(err)
		for _, n := range l.Items {
			feed = append(feed, httpapi.Event{ID: string(n.ID), ResourceID: n.Aggregate, Sequence: n.Sequence})
		}
		if after = l.Next; len(l.Items) == 0 {
			break
		}
	}
	w.inOrder(feed)
	if len(feed) != 40 {
		t.Errorf("%d events in the feed", len(feed))
	}
	in := map[string]bool{}
	for _, e := range feed {
		in[e.ID] = true
	}
	for _, e := range r.taken() {
		if !in[e.ID] {
			t.Errorf("%s is not in the feed", e.ID)
		}
	}
}
