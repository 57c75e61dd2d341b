package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

const aRoom = `{"type":"BROADCAST_RTMP","appUserId":"ada","scheduledAt":"2030-01-01T00:00:00Z"}`

// customer is an app with a member, served by two functions at once.
type customer struct {
	functions [2]invoker
	basic     string
}

func newCustomer(t *testing.T) customer {
	t.Helper()
	env := environment(t)
	c := customer{functions: [2]invoker{inProcess(t, env), inProcess(t, env)}}
	var made struct{ APIKey, APISecret string }
	c.functions[0].call(t, 201, "POST", "/v2/admin/apps", "Bearer operator", `{"name":"acme"}`, &made)
	c.basic = "Basic " + base64.StdEncoding.EncodeToString([]byte(made.APIKey+":"+made.APISecret))
	c.functions[0].call(t, 201, "POST", "/v2/apps/me/members", c.basic, `{"appUserId":"ada"}`, nil)
	return c
}

// TestFiftyEqualPOSTsAtTwoFunctionsMakeOneRoom is that of internal/httpapi, on
// DynamoDB and over processes.
func TestFiftyEqualPOSTsAtTwoFunctionsMakeOneRoom(t *testing.T) {
	c := newCustomer(t)
	var r events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(request(t, "POST", "/v2/apps/me/video-rooms", c.basic, aRoom), &r); err != nil {
		t.Fatal(err)
	}
	r.Headers["idempotency-key"] = "show-1"
	event, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, 50)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			for {
				answer := c.functions[i%2](event)
				var room struct{ ID, ErrorCode string }
				if err := json.Unmarshal([]byte(answer.Body), &room); err != nil {
					t.Error(err)
				}
				switch answer.StatusCode {
				case http.StatusConflict, http.StatusServiceUnavailable: // the twin is under way
					if answer.Headers["Retry-After"] != "" {
						time.Sleep(100 * time.Millisecond) // it says a second
						continue
					}
				case http.StatusCreated:
					ids[i] = room.ID
					return
				}
				t.Errorf("%d %s", answer.StatusCode, answer.Body)
				return
			}
		})
	}
	all.Wait()
	if slices.Sort(ids); ids[0] == "" || len(slices.Compact(ids)) != 1 {
		t.Errorf("rooms %v", slices.Compact(ids))
	}
	var list struct{ Items []struct{ ID string } }
	c.functions[1].call(t, 200, "GET", "/v2/apps/me/video-rooms", c.basic, "", &list)
	if len(list.Items) != 1 {
		t.Errorf("%d rooms", len(list.Items))
	}
}

// TestAListNeitherSkipsNorRepeatsWhileRoomsAreMade is that of internal/httpapi, on
// DynamoDB.
func TestAListNeitherSkipsNorRepeatsWhileRoomsAreMade(t *testing.T) {
	c := newCustomer(t)
	var before []string
	for range 20 {
		var room struct{ ID string }
		c.functions[0].call(t, 201, "POST", "/v2/apps/me/video-rooms", c.basic, aRoom, &room)
		before = append(before, room.ID)
	}
	var writers sync.WaitGroup
	for n := range 4 {
		writers.Go(func() {
			for range crowd / 4 {
				if a := c.functions[n%2](request(t, "POST", "/v2/apps/me/video-rooms", c.basic, aRoom)); a.StatusCode != http.StatusCreated {
					t.Errorf("%d %s", a.StatusCode, a.Body)
				}
			}
		})
	}
	written := make(chan struct{})
	go func() { writers.Wait(); close(written) }()
	read := func(order string) (got []string) {
		for cursor := ""; ; {
			var page struct {
				Items      []struct{ ID string }
				NextCursor string
			}
			c.functions[1].list(t, c.basic, "limit=7&order="+order+cursor, &page)
			for _, room := range page.Items {
				got = append(got, room.ID)
			}
			if page.NextCursor == "" {
				return got
			}
			cursor = "&cursor=" + page.NextCursor
		}
	}
	for running := true; running; {
		select {
		case <-written:
			running = false
		default:
		}
		for _, order := range []string{"asc", "desc"} {
			got := read(order)
			if order == "desc" {
				slices.Reverse(got)
			}
			if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
				t.Errorf("order %s: not in order, or a room came twice: %v", order, got)
			}
			for _, id := range before {
				if !slices.Contains(got, id) {
					t.Errorf("order %s: %s is skipped", order, id)
				}
			}
		}
	}
	if n := len(read("asc")); n != crowd/4*4+len(before) {
		t.Errorf("%d rooms in the end", n)
	}
}

func (invoke invoker) list(t *testing.T, credential, query string, out any) {
	t.Helper()
	var r events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(request(t, "GET", "/v2/apps/me/video-rooms", credential, ""), &r); err != nil {
		t.Fatal(err)
	}
	r.RawQueryString = query
	event, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	answer := invoke(event)
	if err := json.Unmarshal([]byte(answer.Body), out); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s", query, answer.StatusCode, strings.TrimSpace(answer.Body))
	}
}

// TestARevokedKeyIsRefusedByEveryFunctionWithinFiveSeconds is the contract's
// bound for whatever a function may remember of a key.
func TestARevokedKeyIsRefusedByEveryFunctionWithinFiveSeconds(t *testing.T) {
	c := newCustomer(t)
	var made struct{ ID, APISecret string }
	c.functions[0].call(t, 201, "POST", "/v2/apps/me/api-keys", c.basic, `{"name":"billing"}`, &made)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(made.ID+":"+made.APISecret))
	for _, f := range c.functions {
		f.call(t, 200, "GET", "/v2/apps/me", basic, "", nil)
	}
	c.functions[0].call(t, 204, "DELETE", "/v2/apps/me/api-keys/"+made.ID, c.basic, "", nil)
	revoked := time.Now()
	for _, f := range c.functions {
		for f(request(t, "GET", "/v2/apps/me", basic, "")).StatusCode != http.StatusUnauthorized {
			if time.Since(revoked) > 5*time.Second {
				t.Fatal("a revoked key is good 5 s later")
			}
			time.Sleep(50 * time.Millisecond) // the limit is one of time
		}
	}
	c.functions[1].call(t, 200, "GET", "/v2/apps/me", c.basic, "", nil)
}

// The same bound for a member that another function has deleted: until then its
// token makes nothing new.
func TestADeletedMemberIsRefusedByEveryFunctionWithinFiveSeconds(t *testing.T) {
	c := newCustomer(t)
	var login struct{ Token string }
	c.functions[0].call(t, 200, "POST", "/v2/apps/me/members/login", c.basic, `{"appUserId":"kim"}`, &login)
	token := "Bearer " + login.Token
	for _, f := range c.functions {
		f.call(t, 200, "GET", "/v2/members/me/video-rooms", token, "", nil)
	}
	c.functions[0].call(t, 204, "DELETE", "/v2/apps/me/members/kim", c.basic, "", nil)
	deleted := time.Now()
	c.functions[0].call(t, 401, "GET", "/v2/members/me/video-rooms", token, "", nil)
	c.functions[1].call(t, 401, "GET", "/v2/members/me", token, "", nil)
	c.functions[1].call(t, 401, "POST", "/v2/members/me/video-rooms", token, strings.Replace(aRoom, `"appUserId":"ada",`, "", 1), nil)
	for c.functions[1](request(t, "GET", "/v2/members/me/video-rooms", token, "")).StatusCode != http.StatusUnauthorized {
		if time.Since(deleted) > 5*time.Second {
			t.Fatal("the token of a deleted member is good 5 s later")
		}
		time.Sleep(50 * time.Millisecond) // the limit is one of time
	}
}
