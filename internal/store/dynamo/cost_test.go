package dynamo_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// show is one member with everything, each text of the length that the API
// allows at most, in Hangul.
func show() control.Changes {
	// Not one letter again and again, which would deflate to nothing.
	hangul := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteRune(rune(0xAC00 + (i*i*7919+n*31)%4000))
		}
		return b.String()
	}
	custom := map[string]string{}
	for i := range 10 {
		custom[fmt.Sprint(i)+hangul(49)] = hangul(50 - i)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	room := broadcast.VideoRoom{
		ID: "room_01", AppID: "app_01", MemberID: "mem_01", AppUserID: hangul(100), KeyID: "key_01", State: broadcast.RoomLive,
		Title: hangul(200), Description: hangul(500), CustomType: hangul(50), CustomData: custom, ScheduledAt: at, LiveStartedAt: &at, Sequence: 1,
	}
	key := broadcast.StreamKey{ID: "key_01", AppID: "app_01", MemberID: "mem_01", State: broadcast.KeyActiveLive, RoomID: room.ID, Hash: broadcast.Hash{1}}
	return control.Changes{
		ID:   "commit_01",
		Apps: []control.App{{ID: "app_01", Name: hangul(128)}},
		Members: []control.Member{{
			ID: "mem_01", AppID: "app_01", KeyID: "key_01", AppUserID: hangul(100), UserName: hangul(128),
			ProfileImgURL: "https://img.example/" + strings.Repeat("a/b?c=%20", 110), CustomType: hangul(50), CustomData: custom,
		}},
		Keys: []broadcast.StreamKey{key}, Rooms: []broadcast.VideoRoom{room},
		Posts:   []broadcast.VideoPost{{ID: "post_01", AppID: "app_01", MemberID: "mem_01", Title: room.Title, Description: room.Description}},
		Leases:  []control.LeaseWrite{{New: true, Lease: broadcast.Lease{KeyID: "key_01", KeyGeneration: 1, PlayID: "play_01"}}},
		Strings: []control.KeyString{{KeyID: "key_01", String: "secret", Hash: broadcast.Hash{1}, Generation: 1}},
		Journal: []control.JournalEntry{{ID: "jnl_01", Aggregate: "room_01", Version: 1, At: at}},
		Notices: []control.Notice{{ID: "evt_01", AppID: "app_01", MemberID: "mem_01", Aggregate: "room_01", Sequence: 1, Room: &room}},
		Once:    []control.OnceRecord{{ID: "call_01", Resource: "room_01", Status: 201, CreatedAt: at, ExpiresAt: at.Add(24 * time.Hour)}},
		Endpoints: []control.Endpoint{{
			ID: "whe_01", AppID: "app_01", URL: "https://hooks.example/" + strings.Repeat("a/b?c=%20", 225), Description: hangul(500),
			Types: control.EventTypes[:], Secrets: []control.EndpointSecret{{Secret: "whsec_" + strings.Repeat("s", 44)}, {Secret: "whsec_" + strings.Repeat("t", 44)}},
		}},
		Jobs: []control.Job{{ID: "job_01", Kind: control.JobClose, DueAt: at}},
	}
}

func TestRoundTripsAreFew(t *testing.T) {
	f := &faults{}
	s := newTable(t).openWith(t, f)
	ctx, c := t.Context(), show()
	counts := func(what string, want []string, do func() error) {
		t.Helper()
		f.set()
		if err := do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := f.seen(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	counts("commit of everything", []string{"TransactWriteItems"}, func() error { return s.Commit(ctx, c) })
	counts("app", []string{"GetItem"}, func() error { _, err := s.App(ctx, "app_01"); return err })
	counts("member by user", []string{"GetItem", "GetItem"}, func() error {
		_, err := s.MemberByUser(ctx, "app_01", c.Members[0].AppUserID)
		return err
	})
	counts("key with its string", []string{"TransactGetItems"}, func() error { _, err := s.KeyRecord(ctx, "key_01"); return err })
	counts("key of a user", []string{"GetItem", "TransactGetItems"}, func() error {
		_, err := s.KeyOfUser(ctx, "app_01", c.Members[0].AppUserID)
		return err
	})
	counts("play id", []string{"GetItem", "GetItem"}, func() error { _, err := s.LeaseOfPlayID(ctx, "play_01"); return err })
	page := control.Page{Limit: 100}
	list := []string{"Query", "BatchGetItem"}
	counts("apps", list, func() error { _, err := s.Apps(ctx, page); return err })
	counts("members", list, func() error { _, err := s.Members(ctx, "app_01", page); return err })
	counts("keys", list, func() error { _, err := s.Keys(ctx, control.KeyFilter{AppID: "app_01"}, page); return err })
	counts("rooms in a state", list, func() error {
		_, err := s.Rooms(ctx, control.RoomFilter{AppID: "app_01", State: broadcast.RoomLive}, page)
		return err
	})
	counts("a member's rooms", list, func() error { _, err := s.Rooms(ctx, control.RoomFilter{MemberID: "mem_01"}, page); return err })
	counts("live rooms", list, func() error { _, err := s.LiveRooms(ctx, page); return err })
	counts("journal", []string{"Query"}, func() error { _, err := s.Journal(ctx, "room_01", page); return err })
	counts("due jobs", list, func() error { _, err := s.DueJobs(ctx, time.Now(), 20); return err })

	var l broadcast.Lease
	counts("admission", []string{"GetItem", "BatchGetItem", "UpdateItem"}, func() error {
		p, err := s.FindPublisher(ctx, broadcast.Hash{1})
		if err == nil {
			l, err = s.TakeLease(ctx, p.KeyID, control.LeaseCondition{Generation: p.Generation, Epoch: p.Lease.Epoch}, broadcast.Holder{Session: "ses"}, broadcast.Progress{})
		}
		return err
	})
	counts("renewal", []string{"UpdateItem"}, func() error {
		return s.RenewLease(ctx, "key_01", l.Epoch, "ses", broadcast.Progress{Renewals: 1})
	})
	counts("event", []string{"TransactGetItems", "GetItem", "TransactWriteItems"}, func() error {
		key, _, err := s.Key(ctx, "key_01")
		if err != nil {
			return err
		}
		room, err := s.Room(ctx, key.RoomID)
		if err != nil {
			return err
		}
		return s.Commit(ctx, control.Changes{ID: "event", Keys: []broadcast.StreamKey{key}, Rooms: []broadcast.VideoRoom{room}})
	})
	counts("call", []string{"GetItem"}, func() error { _, err := s.Once(ctx, "call_01"); return err })
	counts("webhook endpoint", []string{"GetItem"}, func() error { _, err := s.Endpoint(ctx, "whe_01"); return err })
	counts("webhook endpoints", list, func() error { _, err := s.Endpoints(ctx, "app_01", page); return err })
	counts("dead letters", []string{"Query"}, func() error { _, err := s.WebhookDeadLetters(ctx, "whe_01", page); return err })
	var fresh []control.Notice
	counts("new notices of the stream", []string{"Query"}, func() error {
		var err error
		fresh, err = s.UnplacedOf(ctx, []control.NoticeRef{{Aggregate: "room_01", Sequence: 1}})
		return err
	})
	counts("place", []string{"BatchGetItem", "TransactWriteItems"}, func() error { return s.Place(ctx, fresh) })
	counts("feed", list, func() error { _, err := s.Feed(ctx, control.FeedFilter{AppID: "app_01"}, 0, 100); return err })
	counts("a member's feed", list, func() error {
		_, err := s.Feed(ctx, control.FeedFilter{AppID: "app_01", MemberID: "mem_01"}, 0, 100)
		return err
	})
	counts("feed without news", []string{"Query"}, func() error { _, err := s.Feed(ctx, control.FeedFilter{AppID: "app_01"}, 1, 100); return err })
	counts("end of the feed", []string{"BatchGetItem"}, func() error { _, err := s.FeedEnd(ctx, "app_01"); return err })
	counts("event", list, func() error { _, err := s.Notice(ctx, "evt_01"); return err })
	now := time.Now()
	due := control.Cursor{EndpointID: "whe_01", Group: "room_01", Aggregate: "room_01", Next: 1, Last: 1, DueAt: now}
	counts("wake", []string{"PutItem"}, func() error { return s.Wake(ctx, []control.Cursor{due}) })
	counts("due deliveries", list, func() error { _, err := s.DueCursors(ctx, "whe_01", now, 10); return err })
	counts("delivery", []string{"UpdateItem", "GetItem", "GetItem", "DeleteItem", "UpdateItem"}, func() error {
		c, err := s.ClaimCursor(ctx, due, "token", now, now.Add(time.Minute))
		if err == nil {
			_, err = s.Endpoint(ctx, c.EndpointID)
		}
		if err == nil {
			_, err = s.NoticeAt(ctx, c.Aggregate, c.Next)
		}
		if err == nil {
			err = s.Recovered(ctx, c.EndpointID)
		}
		c.Next++
		if err == nil {
			err = s.FinishCursor(ctx, c)
		}
		return err
	})
	renamed := c.Members[0]
	renamed.Version, renamed.AppUserID = 1, "another"
	counts("another user id", []string{"TransactWriteItems", "TransactWriteItems"}, func() error {
		return s.Commit(ctx, control.Changes{ID: "renamed", Members: []control.Member{renamed}})
	})
	if _, err := s.MemberByUser(ctx, "app_01", c.Members[0].AppUserID); err == nil {
		t.Error("the former user id still leads to the member")
	}
	if m, err := s.MemberByUser(ctx, "app_01", "another"); err != nil || m.Version != 2 {
		t.Errorf("by the new user id: version %d (%v)", m.Version, err)
	}
}

func TestItemsStayBelow4KB(t *testing.T) {
	tb := newTable(t)
	s := tb.open(t)
	if err := s.Commit(t.Context(), show()); err != nil {
		t.Fatal(err)
	}
	everythingHappens(t, s)
	items := tb.items(t)
	if len(items) < 22 {
		t.Errorf("%d items", len(items))
	}
	for _, it := range items {
		size := 0
		for name, v := range it {
			size += len(name)
			switch v := v.(type) {
			case *types.AttributeValueMemberS:
				size += len(v.Value)
			case *types.AttributeValueMemberB:
				size += len(v.Value)
			default:
				size += 21 // a number at most
			}
		}
		name := it["pk"].(*types.AttributeValueMemberS).Value
		t.Logf("%5d bytes: %s", size, name[:min(len(name), 20)])
		if size > 4096 {
			t.Errorf("%s has %d bytes", name, size)
		}
	}
}

func TestHeartbeatsTouchNoIndex(t *testing.T) {
	tb := newTable(t)
	s := tb.open(t)
	ctx := t.Context()
	if err := s.Commit(ctx, show()); err != nil {
		t.Fatal(err)
	}
	read := func() map[string]types.AttributeValue {
		out, err := dynamodb.NewFromConfig(tb.config).GetItem(ctx, &dynamodb.GetItemInput{TableName: &tb.name, ConsistentRead: aws.Bool(true), Key: map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: "LEASE#key_01"}, "sk": &types.AttributeValueMemberS{Value: "LEASE"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return out.Item
	}
	swept := func(it map[string]types.AttributeValue) string {
		v, ok := it["sweep"].(*types.AttributeValueMemberS)
		if !ok {
			return ""
		}
		return v.Value
	}
	if at := swept(read()); at != "" {
		t.Errorf("a free lease is in the sweeper's index at %s", at)
	}
	l, err := s.TakeLease(ctx, "key_01", control.LeaseCondition{Generation: 1}, broadcast.Holder{Session: "ses"}, broadcast.Progress{})
	if err != nil {
		t.Fatal(err)
	}
	taken := swept(read())
	if !strings.HasPrefix(taken, "HELD#") {
		t.Errorf("a held lease is in the sweeper's index at %q", taken)
	}
	if err := s.RenewLease(ctx, "key_01", l.Epoch, "ses", broadcast.Progress{Renewals: 1, Seq: 1, Phase: broadcast.Prep}); err != nil {
		t.Fatal(err)
	}
	renewed := read()
	if at := swept(renewed); at != taken {
		t.Errorf("a renewal moves it from %s to %s", taken, at)
	}
	for _, index := range []string{"ofApp", "ofAppInState", "ofMember", "ofAll", "ofAllInState", "id"} {
		if _, ok := renewed[index]; ok {
			t.Errorf("a lease is in index %s", index)
		}
	}
}
