package dynamo_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/store/dynamo"
)

// items are all of the table.
func (tb table) items(t *testing.T) []map[string]types.AttributeValue {
	t.Helper()
	out, err := dynamodb.NewFromConfig(tb.config).Scan(t.Context(), &dynamodb.ScanInput{TableName: &tb.name})
	if err != nil {
		t.Fatal(err)
	}
	return out.Items
}

func cursorOf(endpoint, group string, next, last uint64) control.Cursor {
	return control.Cursor{EndpointID: endpoint, Group: group, Aggregate: group, Next: next, Last: last, DueAt: time.Now().Truncate(time.Microsecond)}
}

func TestTheWayToCustomers(t *testing.T) {
	deployed := newTable(t)
	for name, test := range map[string]func(*testing.T, table){
		"what is old goes by itself":                  oldGoes,
		"places stay when their events are gone":      placesStay,
		"a late wake-up repeats nothing":              lateWake,
		"an endpoint with many groups hides no other": manyGroups,
		"faults pass, and what was done is done once": customerFaults,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, deployed.again(t))
		})
	}
}

// everythingHappens takes show's notice to its customer: placed, delivered to
// one endpoint, not taken by another.
func everythingHappens(t *testing.T, s *dynamo.Store) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	list, err := s.Unplaced(ctx, 10)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d unplaced (%v)", len(list), err)
	}
	_, failing := s.Failing(ctx, "whe_02", now)
	for what, err := range map[string]error{
		"place": s.Place(ctx, list), "failing": failing,
		"wake": s.Wake(ctx, []control.Cursor{cursorOf("whe_01", "room_01", 1, 1), cursorOf("whe_02", "room_01", 1, 1)}),
		"dead": s.AddDeadLetter(ctx, control.DeadLetter{ID: "dead_01", EndpointID: "whe_02", EventID: "evt_01", Reason: strings.Repeat("r", 200), At: now}),
	} {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	deliver(t, s, cursorOf("whe_01", "room_01", 1, 1))
}

// deliver claims a group and finishes it.
func deliver(t *testing.T, s *dynamo.Store, c control.Cursor) {
	t.Helper()
	now := time.Now()
	got, err := s.ClaimCursor(t.Context(), c, "token", now, now.Add(time.Minute))
	if err == nil {
		got.Next = got.Last + 1
		err = s.FinishCursor(t.Context(), got)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func oldGoes(t *testing.T, tb table) {
	s := tb.open(t)
	if err := s.Commit(t.Context(), show()); err != nil {
		t.Fatal(err)
	}
	everythingHappens(t, s)
	want := map[string]string{ // what goes, and what stays, by the beginning of pk
		"ONCE#": "goes", "COMMIT#": "goes", "NOTICE#": "goes", "FEED#": "goes", "FAILING#": "goes", "DEAD#": "goes", "CURSOR#whe_01": "goes",
		"CURSOR#whe_02": "stays", "FEEDEND#": "stays", "ENDPOINT#": "stays", "ENDPOINTS#": "stays", "ROOM#": "stays", "JOB#": "stays", "JOURNAL#": "stays",
	}
	for _, it := range tb.items(t) {
		pk := it["pk"].(*types.AttributeValueMemberS).Value
		for prefix, fate := range want {
			if _, goes := it["expiresAt"].(*types.AttributeValueMemberN); strings.HasPrefix(pk, prefix) {
				if goes != (fate == "goes") {
					t.Errorf("%s %s", pk, map[bool]string{true: "goes", false: "stays"}[goes])
				}
				want[prefix+"#seen"] = ""
			}
		}
	}
	for prefix := range want {
		if _, seen := want[prefix+"#seen"]; !seen && !strings.HasSuffix(prefix, "#seen") {
			t.Errorf("nothing begins with %s", prefix)
		}
	}
}

func placesStay(t *testing.T, tb table) {
	s := tb.open(t)
	ctx := t.Context()
	notice := func(n uint64) {
		t.Helper()
		c := control.Changes{ID: fmt.Sprint("c", n), Notices: []control.Notice{{ID: broadcast.EventID(fmt.Sprint("evt", n)), AppID: "app", Aggregate: "room", Sequence: n}}}
		if err := s.Commit(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	place := func() {
		t.Helper()
		list, err := s.Unplaced(ctx, 10)
		if err == nil {
			err = s.Place(ctx, list)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for n := range uint64(5) {
		notice(n + 1)
	}
	place()
	// TTL removes items one by one, in any order, some a day after the others.
	for _, it := range tb.items(t) {
		pk, sk := it["pk"].(*types.AttributeValueMemberS).Value, it["sk"].(*types.AttributeValueMemberS).Value
		if strings.HasPrefix(pk, "NOTICE#") && !strings.HasSuffix(sk, "05") || strings.HasPrefix(pk, "FEED#") && strings.HasSuffix(sk, "01") {
			_, err := dynamodb.NewFromConfig(tb.config).DeleteItem(ctx, &dynamodb.DeleteItemInput{
				TableName: &tb.name, Key: map[string]types.AttributeValue{"pk": it["pk"], "sk": it["sk"]},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	notice(6)
	place()
	var got []string
	for after, more := uint64(0), true; more; {
		list, err := s.Feed(ctx, control.FeedFilter{AppID: "app"}, after, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			got, after = append(got, fmt.Sprintf("%s at %d", e.ID, e.Position)), e.Position
		}
		more = len(list) > 0
	}
	if want := "[evt5 at 5 evt6 at 6]"; fmt.Sprint(got) != want {
		t.Errorf("the feed is %v, want %s", got, want)
	}
}

func lateWake(t *testing.T, tb table) {
	s := tb.open(t)
	ctx := t.Context()
	wake := func(c control.Cursor) {
		t.Helper()
		if err := s.Wake(ctx, []control.Cursor{c}); err != nil {
			t.Fatal(err)
		}
	}
	due := func(want ...uint64) {
		t.Helper()
		var got []uint64
		list, err := s.DueCursors(ctx, "whe", time.Now(), 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			got = append(got, c.Next, c.Last)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("due is %v, want %v", got, want)
		}
	}
	wake(cursorOf("whe", "room", 1, 2))
	deliver(t, s, cursorOf("whe", "room", 0, 0))
	wake(cursorOf("whe", "room", 1, 1)) // by another process, which was slow
	wake(cursorOf("whe", "room", 2, 2))
	due()
	wake(cursorOf("whe", "room", 4, 4)) // 3 is of a type that the endpoint does not want
	due(4, 4)
	// What is delivered again may be so once more.
	again := cursorOf("whe", control.AgainPrefix+"evt", 1, 1)
	wake(again)
	deliver(t, s, again)
	wake(again)
	list, err := s.DueCursors(ctx, "whe", time.Now(), 10)
	if err != nil || len(list) != 2 {
		t.Errorf("%d due (%v)", len(list), err)
	}
}

func manyGroups(t *testing.T, tb table) {
	s := tb.open(t)
	var list []control.Cursor
	for i := range 60 {
		list = append(list, cursorOf("whe_1", fmt.Sprint("room", i), 1, 1))
	}
	for i := range 40 { // more than there are shards
		list = append(list, cursorOf(fmt.Sprint("whe_1", i), "room", 1, 1))
	}
	later := cursorOf("whe_2", "room", 1, 1)
	later.DueAt = time.Now().Add(time.Hour)
	if err := s.Wake(t.Context(), append(list, later)); err != nil {
		t.Fatal(err)
	}
	ids, err := s.DueEndpoints(t.Context(), time.Now())
	if err != nil || len(ids) != 41 {
		t.Errorf("%d endpoints of 41 have something due (%v)", len(ids), err)
	}
	due, err := s.DueCursors(t.Context(), "whe_1", time.Now(), 50)
	if err != nil || len(due) != 50 {
		t.Errorf("%d are due of 50 (%v)", len(due), err)
	}
}

// Every write of the way to customers, each meeting each fault: it succeeds,
// and what it did was done once.
func customerFaults(t *testing.T, tb table) {
	f := &faults{}
	s := tb.openWith(t, f)
	ctx := t.Context()
	n := uint64(0)
	for name, fault := range passing() {
		n++
		id := fmt.Sprint("call", n)
		now := time.Now()
		notice := control.Notice{ID: broadcast.EventID(fmt.Sprint("evt", n)), AppID: "app", Aggregate: "room", Sequence: n}
		endpoint := control.Endpoint{ID: fmt.Sprint("whe", n), AppID: "app"}
		step := func(what string, do func() error) {
			t.Helper()
			f.set(fault)
			if err := do(); err != nil {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
		step("commit", func() error {
			return s.Commit(ctx, control.Changes{
				ID: id, Notices: []control.Notice{notice}, Endpoints: []control.Endpoint{endpoint},
				Once: []control.OnceRecord{{ID: id, CreatedAt: now, ExpiresAt: now.Add(time.Hour)}},
			})
		})
		step("read the call", func() error { _, err := s.Once(ctx, id); return err })
		step("place", func() error { return s.Place(ctx, []control.Notice{notice}) })
		c := cursorOf(endpoint.ID, "room", n, n)
		step("wake", func() error { return s.Wake(ctx, []control.Cursor{c}) })
		step("raise", func() error { return s.Wake(ctx, []control.Cursor{cursorOf(endpoint.ID, "room", n+1, n+1)}) })
		step("claim", func() error {
			var err error
			c, err = s.ClaimCursor(ctx, c, "token", time.Now(), time.Now().Add(time.Minute))
			return err
		})
		c.Next, c.Attempts, c.DueAt = n+1, 2, time.Now()
		step("save", func() error { return s.SaveCursor(ctx, c, true) })
		step("claim again", func() error {
			var err error
			c, err = s.ClaimCursor(ctx, c, "token", time.Now(), time.Now().Add(time.Minute))
			return err
		})
		if c.Next != n+1 || c.Last != n+1 || c.Attempts != 2 {
			t.Errorf("%s: the cursor is %+v", name, c)
		}
		c.Next = n + 2
		step("finish", func() error { return s.FinishCursor(ctx, c) })
		step("failing", func() error { _, err := s.Failing(ctx, endpoint.ID, now); return err })
		step("recovered", func() error { return s.Recovered(ctx, endpoint.ID) })
		step("dead letter", func() error {
			return s.AddDeadLetter(ctx, control.DeadLetter{ID: id, EndpointID: endpoint.ID, At: now})
		})
		step("drop", func() error { return s.DropCursors(ctx, endpoint.ID) })
	}
	f.set()
	list, err := s.Feed(ctx, control.FeedFilter{AppID: "app"}, 0, 100)
	if err != nil || uint64(len(list)) != n || list[n-1].Position != n {
		t.Errorf("%d events for %d notices (%v)", len(list), n, err)
	}
	// A fault that stays is an outage, and no conflict.
	for what, do := range map[string]func() error{
		"place": func() error {
			return s.Place(ctx, []control.Notice{{ID: "x", AppID: "app", Aggregate: "x", Sequence: 1}})
		},
		"wake": func() error { return s.Wake(ctx, []control.Cursor{cursorOf("x", "x", 1, 1)}) },
		"claim": func() error {
			_, err := s.ClaimCursor(ctx, cursorOf("x", "x", 1, 1), "t", time.Now(), time.Now())
			return err
		},
		"save": func() error { return s.SaveCursor(ctx, cursorOf("x", "x", 1, 1), true) },
	} {
		f.set(refuses(400, "AccessDeniedException", ""))
		if err := do(); err == nil || errors.Is(err, control.ErrConflict) || errors.Is(err, control.ErrNotFound) {
			t.Errorf("%s: %v, want an outage", what, err)
		}
	}
}
