package httpapi

import (
	"context"
	"errors"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// tally is what processes share.
type tally struct {
	mu    sync.Mutex
	sums  map[string]int
	calls int
	down  bool
}

func (s *tally) AddCount(_ context.Context, name string, n int, _ time.Time) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.down {
		return 0, errors.New("down")
	}
	s.sums[name] += n
	return s.sums[name], nil
}

func TestAnAppMayMakeSoManyRequestsAMinute(t *testing.T) {
	w := newWorld(t)
	other := w.newTenant("Other")
	w.rates = Rates{PerApp: 3, PerAddress: 100}
	w.serve(w.service)
	for left := 2; left >= 0; left-- {
		a := w.ok(w.send("GET", "/v2/apps/me", w.acme.basic(), ""))
		if got, want := a.header.Get("RateLimit"), `"app";r=`+strconv.Itoa(left)+`;t=60`; got != want {
			t.Errorf("RateLimit %s, want %s", got, want)
		}
		if got := a.header.Get("RateLimit-Policy"); got != `"app";q=3;w=60` {
			t.Errorf("RateLimit-Policy %s", got)
		}
	}
	w.advance(10 * time.Second)
	a := w.want(w.send("GET", "/v2/apps/me", w.acme.basic(), ""), 429, codeRateLimited)
	if a.header.Get("Retry-After") != "50" || a.header.Get("RateLimit") != `"app";r=0;t=50` {
		t.Errorf("%v", a.header)
	}
	w.ok(w.send("GET", "/v2/apps/me", other.basic(), ""))
	w.ok(w.send("GET", "/v2/admin/apps", "Bearer "+operatorToken, ""))
	w.advance(50 * time.Second)
	w.ok(w.send("GET", "/v2/apps/me", w.acme.basic(), ""))
}

func TestAnAddressMayMakeSoManyRequestsAMinute(t *testing.T) {
	w := newWorld(t)
	member := w.login(w.acme, "kim")
	w.rates = Rates{PerApp: 100, PerAddress: 4}
	w.serve(w.service)
	from := func(address, path, auth string) answer {
		r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
		r.RemoteAddr = address
		r.Header.Set("Authorization", auth)
		return w.do(r)
	}
	for i := range 4 {
		path, auth, want := "/v2/members/me", member, 200
		if i%2 == 0 {
			path, auth, want = "/v2/apps/me", "Basic "+basic("ak_x", "guess"), 401
		}
		if a := from("[2001:db8::"+strconv.Itoa(i+1)+"]:5000", path, auth); a.status != want || a.header.Get("RateLimit") == "" {
			t.Errorf("%d: %d %v", i, a.status, a.header)
		}
	}
	at := "[2001:db8::9]:1"
	w.want(from(at, "/v2/members/me", member), 429, codeRateLimited)
	w.want(from(at, "/v2/members/me", "Bearer x"), 429, codeRateLimited)
	w.want(from(at, "/v2/apps/me", "Basic "+basic("ak_x", "guess")), 429, codeRateLimited)
	// Neither who has a key of an app nor anybody elsewhere has to wait.
	w.ok(from(at, "/v2/apps/me", w.acme.basic()))
	w.ok(from("[2001:db8:0:1::9]:1", "/v2/members/me", member))
	w.ok(from("192.0.2.1", "/v2/members/me", member)) // as an HTTP API gives it
	w.want(from("192.0.2.2:9", "/v2/apps/me", "Basic x"), 401, "INVALID_CREDENTIALS")
}

func TestProcessesShareTheCountsForOneCallInTwentyRequests(t *testing.T) {
	w := newWorld(t)
	shared := &tally{sums: map[string]int{}}
	w.rates = Rates{PerApp: 200, Shared: shared}
	w.serve(w.service)
	first := w.handler
	w.serve(w.service)
	second := w.handler
	good := func(n int) (good int) {
		for i := range n {
			if w.handler = first; i%2 == 1 {
				w.handler = second
			}
			switch a := w.send("GET", "/v2/apps/me", w.acme.basic(), ""); a.status {
			case 200:
				good++
			case 429:
			default:
				t.Fatal(a.raw)
			}
		}
		return good
	}
	if n := good(600); n < 200 || n > 200+2*tellEvery {
		t.Errorf("%d requests of two processes were admitted, the limit is 200", n)
	}
	if shared.calls > 240/tellEvery {
		t.Errorf("%d calls", shared.calls)
	}
	w.advance(rateWindow)
	shared.down = true // each goes on with its own count
	if n := good(600); n != 400 {
		t.Errorf("%d requests were admitted while nothing is shared", n)
	}
}

// The counts of a window are forgotten, and those of many addresses bounded.
func TestCountsAreBounded(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLimiter(Rates{PerAddress: 5}, func() time.Time { return now }, nil)
	for i := range maxSubjects + 10 {
		if q := l.take(t.Context(), "address", strconv.Itoa(i), 5, 1); q.over {
			t.Fatalf("%d is over", i)
		}
	}
	if len(l.counts) != maxSubjects {
		t.Errorf("%d counts", len(l.counts))
	}
	now = now.Add(rateWindow)
	l.take(t.Context(), "address", "1", 5, 1)
	if len(l.counts) != 1 {
		t.Errorf("%d counts in a new window", len(l.counts))
	}
}
