package httpapi

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// BenchmarkTwoHundredRequestsASecond asks a server with 100,000 rooms, client
// and server together on one core, at a fixed pace: 60 % rooms, 20 % lists, 10 %
// new rooms, 10 % changes. A request's time runs from when it was due. The
// goal is p50 ≤ 3 ms and p99 ≤ 20 ms (docs/bench/api.md).
func BenchmarkTwoHundredRequestsASecond(b *testing.B) {
	cores := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(cores)
	w := newWorldOn(b, time.Now)
	rooms := w.manyRooms(100_000)
	server := httptest.NewUnstartedServer(nil)
	server.Config = Server(w.handler)
	server.Start()
	defer server.Close()
	client := server.Client()
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = 64
	b.Run("mixed", func(b *testing.B) {
		times := make([]time.Duration, b.N)
		var all sync.WaitGroup
		b.ResetTimer()
		began := time.Now()
		for i := range b.N {
			due := began.Add(time.Duration(i) * 5 * time.Millisecond)
			time.Sleep(time.Until(due))
			all.Go(func() {
				method, path, body := "GET", "/v2/apps/me/video-rooms/"+string(rooms[i*7919%len(rooms)]), ""
				switch i % 10 {
				case 0, 1:
					path = "/v2/apps/me/video-rooms?videoRoomState=SCHEDULED"
				case 2:
					method, path, body = "POST", "/v2/apps/me/video-rooms", roomBody
				case 3:
					method, body = "PATCH", fmt.Sprintf(`{"title":"show %d"}`, i)
				}
				w.call(b, client, method, server.URL+path, body)
				times[i] = time.Since(due)
			})
		}
		all.Wait()
		b.StopTimer()
		slices.Sort(times)
		for _, p := range []int{50, 99} {
			b.ReportMetric(float64(times[min(len(times)*p/100, len(times)-1)].Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
		}
	})
}

func (w *world) call(b *testing.B, client *http.Client, method, url, body string) {
	r, err := http.NewRequestWithContext(b.Context(), method, url, strings.NewReader(body))
	if err != nil {
		b.Error(err)
		return
	}
	r.SetBasicAuth(w.acme.key, w.acme.secret)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := client.Do(r)
	if err != nil {
		b.Error(err)
		return
	}
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode > 201 {
		b.Errorf("%s %s: %d %v %s", method, url, res.StatusCode, err, text)
	}
	_ = res.Body.Close() // it was read
}

// manyRooms writes rooms of a hundred members.
func (w *world) manyRooms(n int) []broadcast.RoomID {
	w.t.Helper()
	ctx, now := w.t.Context(), w.clock()
	caller := control.Caller{AppID: broadcast.AppID(w.acme.id), Actor: control.Actor{Kind: "api_key"}}
	var members []control.Member
	for i := range 100 {
		name := fmt.Sprintf("user%d", i)
		if i == 0 {
			name = "kim"
		}
		m, _, err := w.service.PutMember(ctx, caller, control.MemberInput{AppUserID: name})
		if err != nil {
			w.t.Fatal(err)
		}
		members = append(members, m)
	}
	var ids []broadcast.RoomID
	for len(ids) < n {
		c := control.Changes{ID: fmt.Sprintf("tx_%d", len(ids))}
		for range min(1000, n-len(ids)) {
			m := members[len(ids)%len(members)]
			r := broadcast.VideoRoom{
				ID: broadcast.RoomID(w.service.IDs.New("room")), AppID: m.AppID, MemberID: m.ID, AppUserID: m.AppUserID, KeyID: m.KeyID,
				State: broadcast.RoomScheduled, VODState: broadcast.NotArchived, Title: "a show", ScheduledAt: now, CreatedAt: now, ModifiedAt: now, Sequence: 1,
			}
			ids = append(ids, r.ID)
			c.Rooms = append(c.Rooms, r)
		}
		if err := w.db.Commit(ctx, c); err != nil {
			w.t.Fatal(err)
		}
	}
	return ids
}
