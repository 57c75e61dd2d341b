package chaos

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// journals is where a store keeps what happened: SQLite or DynamoDB.
type journals interface {
	Key(ctx context.Context, id broadcast.KeyID) (broadcast.StreamKey, broadcast.Lease, error)
	Room(ctx context.Context, id broadcast.RoomID) (broadcast.VideoRoom, error)
	Rooms(ctx context.Context, f control.RoomFilter, p control.Page) (control.List[broadcast.VideoRoom], error)
	Journal(ctx context.Context, aggregate string, p control.Page) (control.List[control.JournalEntry], error)
}

// coupled holds a key and all rooms of its member against the coupling rule.
// What changed while it looked is looked at again.
func coupled(ctx context.Context, s journals, id broadcast.KeyID) error {
	for {
		key, _, err := s.Key(ctx, id)
		if err != nil {
			return err
		}
		rooms, err := roomsOf(ctx, s, key.MemberID)
		if err != nil {
			return err
		}
		again, _, err := s.Key(ctx, id)
		if err != nil {
			return err
		}
		if again.Version == key.Version {
			return rule(key, rooms)
		}
	}
}

func rule(key broadcast.StreamKey, rooms []broadcast.VideoRoom) error {
	found := key.RoomID == ""
	for _, r := range rooms {
		carried := key.RoomID == r.ID
		found = found || carried
		live := r.State == broadcast.RoomLive
		waits := r.State == broadcast.RoomLiveInactive
		switch {
		case live != (carried && key.State == broadcast.KeyActiveLive),
			waits != (carried && (key.State == broadcast.KeyInactiveLive || key.State == broadcast.KeyActiveLivePrep)):
			return fmt.Errorf("%s is %s and carries %q, %s is %s", key.ID, key.State, key.RoomID, r.ID, r.State)
		}
	}
	if !found {
		return fmt.Errorf("%s carries %s, which is none of its member's", key.ID, key.RoomID)
	}
	return nil
}

func roomsOf(ctx context.Context, s journals, id broadcast.MemberID) (all []broadcast.VideoRoom, err error) {
	page := control.Page{Limit: 100}
	for {
		list, err := s.Rooms(ctx, control.RoomFilter{MemberID: id}, page)
		if err != nil {
			return nil, err
		}
		all = append(all, list.Items...)
		if page.Cursor = list.Next; page.Cursor == "" {
			return all, nil
		}
	}
}

// replayed holds the journals of a key and its rooms against the tables and
// against what is stored. It answers how many transitions there were.
func replayed(ctx context.Context, s journals, id broadcast.KeyID) (int, error) {
	key, _, err := s.Key(ctx, id)
	if err != nil {
		return 0, err
	}
	rooms, err := roomsOf(ctx, s, key.MemberID)
	if err != nil {
		return 0, err
	}
	moves, total := map[string]int{}, 0 // of the key: how often each state was reached, less how often it was left
	keyMoves, warnings := uint64(0), uint64(0)
	walk := func(aggregate string, room *broadcast.VideoRoom) error {
		list, err := journal(ctx, s, aggregate)
		if err != nil {
			return err
		}
		state, keyState, n := "", "", uint64(0)
		for _, e := range list {
			if e.Kind == control.EntryEvent && e.On == control.TypeIngestWarning {
				warnings++
			}
			if e.Kind != control.EntryTransition || e.Machine == broadcast.PostMachine {
				continue
			}
			total++
			if !inTable(e) {
				return fmt.Errorf("%s: %s → %s by %s is not in the table", aggregate, e.From, e.To, e.On)
			}
			if e.Machine == broadcast.RoomMachine {
				if e.From != state {
					return fmt.Errorf("%s: %s → %s (%s) follows %q", aggregate, e.From, e.To, e.On, state)
				}
				state = e.To
				n++
				continue
			}
			if room != nil && keyState != "" && e.From != keyState {
				return fmt.Errorf("%s: the key's %s → %s (%s) follows %s", aggregate, e.From, e.To, e.On, keyState)
			}
			keyState = e.To
			keyMoves++
			moves[e.From]--
			moves[e.To]++
		}
		if room != nil && (state != string(room.State) || n != room.Sequence) {
			return fmt.Errorf("%s is %s (%d), its journal says %s (%d)", room.ID, room.State, room.Sequence, state, n)
		}
		return nil
	}
	if err := walk(string(key.ID), nil); err != nil {
		return 0, err
	}
	for _, r := range rooms {
		if err := walk(string(r.ID), &r); err != nil {
			return 0, err
		}
	}
	moves[string(broadcast.KeyInactive)]++
	for state, n := range moves {
		if want := map[bool]int{true: 1}[state == string(key.State)]; n != want {
			return 0, fmt.Errorf("%s is %s, and by its journals it came %+d times more to %s than it left", key.ID, key.State, n, state)
		}
	}
	if got := keyMoves + warnings + key.Generation - 1; got != key.Sequence {
		return 0, fmt.Errorf("%s has sequence %d after %d transitions, %d warnings and %d new strings", key.ID, key.Sequence, keyMoves, warnings, key.Generation-1)
	}
	return total, rule(key, rooms)
}

func journal(ctx context.Context, s journals, aggregate string) (all []control.JournalEntry, err error) {
	page := control.Page{Limit: 100, Ascending: true}
	for {
		list, err := s.Journal(ctx, aggregate, page)
		if err != nil {
			return nil, err
		}
		all = append(all, list.Items...)
		if page.Cursor = list.Next; page.Cursor == "" {
			return all, nil
		}
	}
}

func inTable(e control.JournalEntry) bool {
	if e.Machine == broadcast.KeyMachine {
		for _, r := range broadcast.KeyTable {
			if string(r.From) == e.From && string(r.On) == e.On && string(r.To) == e.To {
				return true
			}
		}
		return false
	}
	for _, r := range broadcast.RoomTable {
		if string(r.From) == e.From && string(r.On) == e.On && string(r.To) == e.To {
			return true
		}
	}
	return false
}

// notices says whether the notices of an aggregate are gapless up to its sequence.
func (w *world) notices(aggregate string, sequence uint64) error {
	next := uint64(1)
	pages := dynamodb.NewQueryPaginator(w.dynamodb, &dynamodb.QueryInput{
		TableName: &w.table, KeyConditionExpression: aws.String("pk = :pk"), ProjectionExpression: aws.String("sk"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":pk": &types.AttributeValueMemberS{Value: "NOTICE#" + aggregate}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(w.t.Context())
		if err != nil {
			return err
		}
		for _, it := range page.Items {
			sk, _ := it["sk"].(*types.AttributeValueMemberS)
			if n, err := strconv.ParseUint(strings.TrimLeft(sk.Value, "0"), 10, 64); err != nil || n != next {
				return fmt.Errorf("notice %s of %s, want %d", sk.Value, aggregate, next)
			}
			next++
		}
	}
	if next != sequence+1 {
		return fmt.Errorf("%d notices of %s, its sequence is %d", next-1, aggregate, sequence)
	}
	return nil
}

// until tries until it works, or fails the test; it answers how long it took.
func (w *world) until(within time.Duration, what string, try func() error) time.Duration {
	w.t.Helper()
	begin := time.Now()
	for {
		err := try()
		if err == nil {
			return time.Since(begin)
		}
		if time.Since(begin) > within {
			w.t.Fatalf("not within %s: %s: %v", within, what, err)
		}
		time.Sleep(100 * time.Millisecond) // the condition is other processes'
	}
}
