package httpapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// A reader goes through the list, both ways, while 1,000 rooms are created and
// some of the old ones change their state: every room of before comes once.
func TestAListThatIsReadWhileRoomsAreCreatedNeitherSkipsNorRepeats(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	var before []string
	for range 60 {
		before = append(before, w.newRoom(w.acme))
	}
	caller := control.Caller{AppID: broadcast.AppID(w.acme.id), Actor: control.Actor{Kind: "api_key"}}
	in := control.RoomInput{Type: broadcast.BroadcastRTMP, AppUserID: "kim", ScheduledAt: w.clock()}
	var writers sync.WaitGroup
	for n := range 4 {
		writers.Go(func() {
			for i := range 250 {
				if _, err := w.service.CreateRoom(t.Context(), caller, in); err != nil {
					t.Error(err)
				}
				if i%10 == 0 && n < 2 {
					if _, err := w.service.CancelRoom(t.Context(), caller, broadcast.RoomID(before[n*25+i/10])); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	written := make(chan struct{})
	go func() { writers.Wait(); close(written) }()
	read := func(order string) []string {
		var got []string
		for cursor := ""; ; {
			a := w.want(w.send("GET", "/v2/apps/me/video-rooms?limit=7&order="+order+cursor, w.acme.basic(), ""), http.StatusOK, "")
			items, _ := a.body["items"].([]any)
			for _, i := range items {
				id, _ := i.(map[string]any)["id"].(string)
				got = append(got, id)
			}
			next := a.text("nextCursor")
			if next == "" {
				return got
			}
			cursor = "&cursor=" + next
		}
	}
	check := func(order string, got []string) {
		seen := map[string]int{}
		for _, id := range got {
			seen[id]++
			if seen[id] == 2 {
				t.Errorf("order %s: %s came twice", order, id)
			}
		}
		for _, id := range before {
			if seen[id] != 1 {
				t.Errorf("order %s: %s came %d times", order, id, seen[id])
			}
		}
		sorted := slices.IsSorted(got)
		if order == "desc" {
			sorted = slices.IsSortedFunc(got, func(a, b string) int { return strings.Compare(b, a) })
		}
		if !sorted {
			t.Errorf("order %s: not in order", order)
		}
	}
	rounds := 0
	for running := true; running; rounds++ {
		select {
		case <-written:
			running = false
		default:
		}
		check("desc", read("desc"))
		check("asc", read("asc"))
	}
	if all := read("asc"); len(all) != 1060 {
		t.Errorf("%d rooms in the end", len(all))
	}
	if a := w.ok(w.send("GET", "/v2/apps/me/video-rooms?limit=100&videoRoomState=CANCELLED", w.acme.basic(), "")); len(a.body["items"].([]any)) != 50 {
		t.Errorf("%s cancelled rooms", strconv.Itoa(len(a.body["items"].([]any))))
	}
	t.Logf("%d rounds", rounds)
}

// An empty number is no number, and what stands twice has no meaning.
func TestQueriesAreTakenExactly(t *testing.T) {
	w := newWorld(t)
	auth := w.acme.basic()
	for query, field := range map[string]string{
		"video-rooms?limit=": "limit", "video-rooms?order=": "order", "video-rooms?videoRoomState=": "videoRoomState", "events?wait=": "wait",
		"video-rooms?limit=1&limit=2": "limit", "stream-keys?state=": "state", "video-rooms?nope=1": "nope", "video-rooms?limit=1e1": "limit", "video-rooms?Limit=1": "Limit",
	} {
		if a := w.want(w.send("GET", "/v2/apps/me/"+query, auth, ""), 422, "INVALID_FIELD"); !strings.Contains(a.raw, `"field":"`+field+`"`) {
			t.Errorf("%s: %s", query, a.raw)
		}
	}
	for _, query := range []string{"video-rooms?cursor=", "events?after=", "video-rooms?appUserId="} { // a loop's first round
		w.ok(w.send("GET", "/v2/apps/me/"+query, auth, ""))
	}
}
