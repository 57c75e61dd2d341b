package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
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
// Each takes a while, so that what begins side by side is seen to be.
func (c *trips) install(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("count",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			c.add(1, middleware.GetOperationName(ctx))
			defer c.add(-1)
			time.Sleep(20 * time.Millisecond)
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

// caller is somebody whose calls are counted.
type caller struct {
	*testing.T
	waits  *trips
	invoke invoker
	prefix string // of its API
	auth   string
	n      int // of the Idempotency-Key
}

const read, write = 2, 3

// does calls and counts; a POST is named by an Idempotency-Key, as clients do.
func (c *caller) does(limit, want int, method, path, body string, out any) {
	c.Helper()
	c.n++
	event := request(c.T, method, c.prefix+path, c.auth, body)
	var r events.APIGatewayV2HTTPRequest
	err := json.Unmarshal(event, &r)
	if method == "POST" {
		r.Headers["idempotency-key"] = fmt.Sprint(c.prefix, c.n)
	}
	r.RawPath, r.RawQueryString, _ = strings.Cut(r.RawPath, "?")
	r.RequestContext.HTTP.Path = r.RawPath
	if err == nil {
		event, err = json.Marshal(r)
	}
	if err != nil {
		c.Fatal(err)
	}
	c.waits.take()
	answer := c.invoke(event)
	n, names := c.waits.take()
	if answer.StatusCode != want {
		c.Fatalf("%s %s: %d, want %d: %s", method, path, answer.StatusCode, want, answer.Body)
	}
	if n > limit {
		c.Errorf("%s %s%s: %d round trips, at most %d: %v", method, c.prefix, path, n, limit, names)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(answer.Body), out); err != nil {
			c.Fatalf("%s %s: %v: %s", method, path, err, answer.Body)
		}
	}
}

// A read waits for DynamoDB at most twice and a write at most three times,
// whoever asks: credential, Idempotency-Key, decision and effect together; so
// does a refusal, with its line in the journal. Each exception says its number.
// Every twentieth request adds to the shared count of requests besides
// (docs/adr/0014), which is left out here.
func TestACallIsFewRoundTrips(t *testing.T) {
	waits := &trips{}
	at := time.Now() // and stays so: who called before is known
	env := environment(t)
	env["ROOMCAST_RATE_PER_APP"], env["ROOMCAST_RATE_PER_ADDRESS"] = "0", "0"
	h, service, store := assembled(t, env, func() time.Time { return at }, waits.install)
	invoke := h.invoker(t)
	var made struct{ AppID, APIKey, APISecret string }
	invoke.call(t, 201, "POST", "/v2/admin/apps", "Bearer operator", `{"name":"acme"}`, &made)
	app := &caller{T: t, waits: waits, invoke: invoke, prefix: "/v2/apps/me", auth: "Basic " + base64.StdEncoding.EncodeToString([]byte(made.APIKey+":"+made.APISecret))}
	invoke.call(t, 200, "GET", app.prefix, app.auth, "", nil) // the key's use is noted once a minute

	var key, room, second, own struct{ ID string }
	app.does(write, 201, "POST", "/members", `{"appUserId":"ada"}`, nil)
	app.does(write, 200, "POST", "/members", `{"appUserId":"ada","appUserName":"Ada"}`, nil)
	var login struct{ Token string }
	app.does(write, 200, "POST", "/members/login", `{"appUserId":"ada"}`, &login)
	member := &caller{T: t, waits: waits, invoke: invoke, prefix: "/v2/members/me", auth: "Bearer " + login.Token}
	app.does(read, 200, "GET", "", "", nil)
	app.does(read, 200, "GET", "/members/ada", "", nil)
	app.does(read, 200, "GET", "/members", "", nil)
	app.does(read, 200, "GET", "/members/ada/stream-key", "", &key)
	app.does(read, 200, "GET", "/stream-keys/"+key.ID, "", nil)
	app.does(read, 200, "GET", "/stream-keys", "", nil)
	member.does(read, 200, "GET", "", "", nil)
	member.does(read, 200, "GET", "/stream-key", "", nil)
	app.does(write, 200, "PATCH", "/members/ada", `{"appUserName":"A"}`, nil)

	var live, vod struct{ ID string }
	const profile = `{"type":%q,"name":"x","profile":{"segmentDuration":4,"videoStreams":[{"name":"540p","width":960,"height":540,"bitrate":1500000}]}}`
	app.does(write, 201, "POST", "/transcoding-profiles", fmt.Sprintf(profile, "BROADCAST_RTMP"), &live)
	app.does(write, 201, "POST", "/transcoding-profiles", fmt.Sprintf(profile, "VIDEO"), &vod)
	app.does(write, 200, "PATCH", "", `{"defaultTranscodingProfileId":"`+live.ID+`","vodTranscodingProfileId":"`+vod.ID+`"}`, nil)
	app.does(write, 200, "PATCH", "/stream-keys/"+key.ID, `{"transcodingProfileId":"`+live.ID+`"}`, nil)
	member.does(write, 200, "PATCH", "/stream-key", `{"transcodingProfileId":"prof_passthrough"}`, nil)
	member.does(write, 200, "PATCH", "/stream-key", `{"transcodingProfileId":"`+live.ID+`"}`, nil)

	app.does(write, 201, "POST", "/video-rooms", aRoom, &room)
	app.does(write, 201, "POST", "/video-rooms", aRoom, &second)
	member.does(write, 201, "POST", "/video-rooms", strings.Replace(aRoom, `"appUserId":"ada",`, "", 1), &own)
	for _, who := range []*caller{app, member} {
		who.does(read, 200, "GET", "/video-rooms/"+room.ID, "", nil)
		who.does(write, 200, "PATCH", "/video-rooms/"+room.ID, `{"title":"x"}`, nil)
		who.does(write, 409, "POST", "/video-rooms/"+room.ID+"/start", "", nil)
		who.does(write, 409, "POST", "/video-rooms/"+room.ID+"/end", "", nil)
		who.does(write, 200, "POST", "/stream-key"+map[*caller]string{app: "s/" + key.ID}[who]+"/reissue", "", nil)
	}
	app.does(read, 200, "GET", "/video-rooms", "", nil)
	member.does(read, 200, "GET", "/video-rooms", "", nil)
	app.does(read+2, 200, "GET", "/video-rooms?appUserId=ada", "", nil) // who that is, its member
	app.does(read, 200, "GET", "/video-rooms/"+room.ID+"/journal", "", nil)
	app.does(write, 200, "POST", "/video-rooms/"+second.ID+"/cancel", "", nil)
	app.does(write, 204, "DELETE", "/video-rooms/"+second.ID, "", nil)

	epoch, seq := uint64(0), uint64(0)
	take := func() {
		t.Helper()
		lease, err := store.Lease(t.Context(), broadcast.KeyID(key.ID))
		if err == nil {
			cond := control.LeaseCondition{Generation: lease.KeyGeneration, Epoch: lease.Epoch}
			lease, err = store.TakeLease(t.Context(), broadcast.KeyID(key.ID), cond, broadcast.Holder{Session: "ses_1", Worker: "wrk_1"}, broadcast.Progress{})
		}
		if err != nil {
			t.Fatal(err)
		}
		epoch, seq = lease.Epoch, 0
	}
	tell := func(phase broadcast.Phase) {
		t.Helper()
		seq++
		err := service.ApplyEvent(t.Context(), broadcast.Event{
			ID: broadcast.EventID(fmt.Sprint("evt_", epoch, "_", seq)), KeyID: broadcast.KeyID(key.ID), Session: "ses_1",
			Epoch: epoch, Seq: seq, Phase: phase, Mode: broadcast.ModeCMAF, At: at,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	take()
	tell(broadcast.Published)
	app.does(write, 200, "POST", "/video-rooms/"+room.ID+"/start", "", nil)
	app.does(read, 200, "GET", "/video-rooms/"+room.ID, "", nil)
	app.does(read, 200, "GET", "/members/ada/stream-key", "", nil)
	app.does(write, 409, "POST", "/video-rooms/"+room.ID+"/end", "", nil)
	app.does(write, 409, "POST", "/stream-keys/"+key.ID+"/reissue", "", nil)
	app.does(write, 200, "POST", "/stream-keys/"+key.ID+"/disconnect", "", nil)
	var ended struct{ VideoPostID string }
	app.does(write, 200, "POST", "/video-rooms/"+room.ID+"/end", "", &ended)
	for _, who := range []*caller{app, member} {
		who.does(read, 200, "GET", "/video-posts/"+ended.VideoPostID, "", nil)
	}
	app.does(write, 200, "PATCH", "/video-posts/"+ended.VideoPostID, `{"title":"x"}`, nil)
	app.does(write, 409, "POST", "/video-posts/"+ended.VideoPostID+"/retry", "", nil)
	app.does(write, 204, "DELETE", "/video-posts/"+ended.VideoPostID, "", nil)
	app.does(write, 200, "POST", "/stream-keys/"+key.ID+"/force-terminate", "", nil)

	take()
	tell(broadcast.Published)
	member.does(write, 200, "POST", "/video-rooms/"+own.ID+"/start", "", nil)
	member.does(write, 409, "POST", "/video-rooms/"+own.ID+"/end", "", nil)
	member.does(write, 200, "POST", "/stream-key/disconnect", "", nil)
	member.does(write, 200, "POST", "/video-rooms/"+own.ID+"/end", "", nil)
	member.does(write, 204, "DELETE", "/video-rooms/"+own.ID, "", nil)

	var hook struct{ ID string }
	app.does(write, 201, "POST", "/webhook-endpoints", `{"url":"https://example.com/"}`, &hook)
	app.does(read, 200, "GET", "/webhook-endpoints/"+hook.ID, "", nil)
	app.does(read, 200, "GET", "/webhook-endpoints", "", nil)
	app.does(write, 202, "POST", "/webhook-endpoints/"+hook.ID+"/test", "", nil)
	app.does(write, 200, "POST", "/webhook-endpoints/"+hook.ID+"/rotate-secret", "", nil)
	app.does(read, 200, "GET", "/events?after=latest", "", nil)
	app.does(read, 200, "GET", "/events", "", nil)
	app.does(write, 201, "POST", "/api-keys", `{"name":"x"}`, nil)
	app.does(read, 200, "GET", "/api-keys", "", nil)
	app.does(write+2, 204, "DELETE", "/members/ada", "", nil) // who that is, its member, its key, all of it
}
