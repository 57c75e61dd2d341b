package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/smithy-go/middleware"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// trips counts how often somebody waits for AWS: what goes side by side is one.
type trips struct {
	mu         sync.Mutex
	n, waiting int
	names      []string // of the operations
}

// install counts calls, not the SDK's attempts: LocalStack makes it try again.
func (c *trips) install(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("count",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			c.add(1, middleware.GetOperationName(ctx))
			defer c.add(-1)
			return next.HandleInitialize(ctx, in)
		}), middleware.After)
}

func (c *trips) add(n int, names ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 && c.waiting == 0 {
		c.n++
	}
	c.waiting += n
	c.names = append(c.names, names...)
}

func (c *trips) take() (int, []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, names := c.n, c.names
	c.n, c.names = 0, nil
	return n, names
}

// A read waits for DynamoDB at most twice and a write at most three times,
// whoever asks: credential, decision and effect together. Every twentieth one
// adds to the shared count of requests besides (docs/adr/0014), which is left
// out here.
func TestACallIsFewRoundTrips(t *testing.T) {
	waits := &trips{}
	at := time.Now() // and stays so: the API key of the first call is known
	env := environment(t)
	env["ROOMCAST_RATE_PER_APP"], env["ROOMCAST_RATE_PER_ADDRESS"] = "0", "0"
	h, service, store := assembled(t, env, func() time.Time { return at }, waits.install)
	invoke := h.invoker(t)
	var app struct{ AppID, APIKey, APISecret string }
	invoke.call(t, 201, "POST", "/v2/admin/apps", "Bearer operator", `{"name":"acme"}`, &app)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(app.APIKey+":"+app.APISecret))
	const me = "/v2/apps/me"
	invoke.call(t, 200, "GET", me, basic, "", nil) // the key's use is noted once a minute
	call := func(limit int, want int, method, path, body string, out any) {
		t.Helper()
		waits.take()
		invoke.call(t, want, method, path, basic, body, out)
		n, names := waits.take()
		if n > limit {
			t.Errorf("%s %s: %d round trips, at most %d: %v", method, path, n, limit, names)
		}
	}
	const read, write = 2, 3
	var room, key struct{ ID string }
	call(write, 201, "POST", me+"/members", `{"appUserId":"ada"}`, nil)
	call(write, 200, "POST", me+"/members", `{"appUserId":"ada","appUserName":"Ada"}`, nil)
	call(read, 200, "GET", me, "", nil)
	call(read, 200, "GET", me+"/members/ada", "", nil)
	call(read, 200, "GET", me+"/members", "", nil)
	call(read, 200, "GET", me+"/members/ada/stream-key", "", &key)
	call(read, 200, "GET", me+"/stream-keys/"+key.ID, "", nil)
	call(read, 200, "GET", me+"/stream-keys", "", nil)
	call(write, 200, "PATCH", me+"/members/ada", `{"appUserName":"A"}`, nil)
	call(write, 200, "PATCH", me+"/stream-keys/"+key.ID, `{"outputMode":"CMAF"}`, nil)
	call(write, 201, "POST", me+"/video-rooms", `{"type":"BROADCAST_RTMP","appUserId":"ada","scheduledAt":"2030-01-01T00:00:00Z"}`, &room)
	call(read, 200, "GET", me+"/video-rooms/"+room.ID, "", nil)
	call(read, 200, "GET", me+"/video-rooms", "", nil)
	call(read, 200, "GET", me+"/video-rooms/"+room.ID+"/journal", "", nil)
	call(write, 200, "PATCH", me+"/video-rooms/"+room.ID, `{"title":"x"}`, nil)
	lease, err := store.TakeLease(t.Context(), broadcast.KeyID(key.ID), control.LeaseCondition{Generation: 1}, broadcast.Holder{Session: "ses_1", Worker: "wrk_1"}, broadcast.Progress{})
	if err != nil {
		t.Fatal(err)
	}
	tell := func(seq uint64, phase broadcast.Phase) {
		t.Helper()
		err := service.ApplyEvent(t.Context(), broadcast.Event{
			ID: broadcast.EventID(fmt.Sprint("evt_", seq)), KeyID: broadcast.KeyID(key.ID), Session: "ses_1",
			Epoch: lease.Epoch, Seq: seq, Phase: phase, Mode: broadcast.ModeCMAF, At: at,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	tell(1, broadcast.Published)
	call(write, 200, "POST", me+"/video-rooms/"+room.ID+"/start", "", nil)
	call(read, 200, "GET", me+"/video-rooms/"+room.ID, "", nil)
	call(read, 200, "GET", me+"/members/ada/stream-key", "", nil)
	tell(2, broadcast.Stopped)
	call(write, 200, "POST", me+"/video-rooms/"+room.ID+"/end", "", nil)
	call(write, 200, "POST", me+"/stream-keys/"+key.ID+"/disconnect", "", nil)
	call(write, 200, "POST", me+"/stream-keys/"+key.ID+"/force-terminate", "", nil)
}
