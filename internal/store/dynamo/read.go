package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/sync/errgroup"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// maxBatch is DynamoDB's limit for one BatchGetItem.
const maxBatch = 100

// get reads one item, consistently; none is control.ErrNotFound.
func (s *Store) get(ctx context.Context, key item) (item, error) {
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{TableName: s.table, Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, err
	}
	if out.Item == nil {
		return nil, control.ErrNotFound
	}
	return out.Item, nil
}

// getAll reads the items of these keys, each consistently, by their name.
// Those that are not there are left out.
func (s *Store) getAll(ctx context.Context, keys []item) (map[string]item, error) {
	found, mu := map[string]item{}, sync.Mutex{}
	group, ctx := errgroup.WithContext(ctx)
	for asked := range slices.Chunk(keys, maxBatch) {
		group.Go(func() error {
			items, err := s.getBatch(ctx, asked)
			mu.Lock()
			defer mu.Unlock()
			for _, it := range items {
				found[nameOf(it)] = it
			}
			return err
		})
	}
	return found, group.Wait()
}

// getBatch reads at most maxBatch items, in as many calls as it takes.
func (s *Store) getBatch(ctx context.Context, asked []item) (found []item, err error) {
	for attempt := 1; ; attempt++ {
		out, err := s.api.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
			*s.table: {Keys: asked, ConsistentRead: aws.Bool(true)},
		}})
		if err != nil {
			return nil, err
		}
		for _, items := range out.Responses {
			found = append(found, items...)
		}
		asked = nil
		for _, rest := range out.UnprocessedKeys {
			asked = rest.Keys
		}
		if len(asked) == 0 {
			return found, nil
		}
		if attempt == maxAttempts {
			return nil, fmt.Errorf("%d items are throttled", len(asked))
		}
		if err := s.pause(ctx, attempt); err != nil {
			return nil, err
		}
	}
}

// one reads the record of that kind and id.
func one[T any](ctx context.Context, s *Store, kind, id string) (T, error) {
	it, err := s.get(ctx, single(kind, id))
	var rec T
	if err == nil {
		rec, err = decode[T](it)
	}
	if err != nil {
		var none T
		return none, fmt.Errorf("read %s %s: %w", kind, id, err)
	}
	return rec, nil
}

// App answers the app.
func (s *Store) App(ctx context.Context, id broadcast.AppID) (control.App, error) {
	return one[control.App](ctx, s, "APP", string(id))
}

// APIKey answers the API key.
func (s *Store) APIKey(ctx context.Context, id string) (control.APIKey, error) {
	return one[control.APIKey](ctx, s, "APIKEY", id)
}

// Member answers the member.
func (s *Store) Member(ctx context.Context, id broadcast.MemberID) (control.Member, error) {
	return one[control.Member](ctx, s, "MEMBER", string(id))
}

// MemberByUser answers the member whom the app calls appUserID.
func (s *Store) MemberByUser(ctx context.Context, app broadcast.AppID, appUserID string) (control.Member, error) {
	it, err := s.get(ctx, userKey(app, appUserID))
	if err != nil {
		return control.Member{}, fmt.Errorf("read member of user id %q: %w", appUserID, err)
	}
	return s.Member(ctx, broadcast.MemberID(textOf(it, attrMember)))
}

// Room answers the room.
func (s *Store) Room(ctx context.Context, id broadcast.RoomID) (broadcast.VideoRoom, error) {
	return one[broadcast.VideoRoom](ctx, s, "ROOM", string(id))
}

// Post answers the video post.
func (s *Store) Post(ctx context.Context, id broadcast.PostID) (broadcast.VideoPost, error) {
	return one[broadcast.VideoPost](ctx, s, "POST", string(id))
}

// Key answers the key and its lease as they were at one moment.
func (s *Store) Key(ctx context.Context, id broadcast.KeyID) (broadcast.StreamKey, broadcast.Lease, error) {
	key, lease, err := s.keyAndLease(ctx, id)
	if err != nil {
		return broadcast.StreamKey{}, broadcast.Lease{}, fmt.Errorf("read stream key %s: %w", id, err)
	}
	return key, lease, nil
}

func (s *Store) keyAndLease(ctx context.Context, id broadcast.KeyID) (key broadcast.StreamKey, lease broadcast.Lease, err error) {
	items, err := s.atOnce(ctx, single("KEY", string(id)), leaseKey(id))
	if err != nil {
		return key, lease, err
	}
	if key, err = decode[broadcast.StreamKey](items[0]); err != nil {
		return key, lease, err
	}
	lease, err = leaseOf(items[1])
	return key, lease, err
}

// atOnce reads items as they were at one moment; one that is missing is ErrNotFound.
func (s *Store) atOnce(ctx context.Context, keys ...item) ([]item, error) {
	var gets []types.TransactGetItem
	for _, k := range keys {
		gets = append(gets, types.TransactGetItem{Get: &types.Get{TableName: s.table, Key: k}})
	}
	out, err := s.api.TransactGetItems(ctx, &dynamodb.TransactGetItemsInput{TransactItems: gets})
	if err != nil {
		return nil, err
	}
	if len(out.Responses) != len(gets) {
		return nil, errors.New("an answer of another length")
	}
	var items []item
	for _, r := range out.Responses {
		if r.Item == nil {
			return nil, control.ErrNotFound
		}
		items = append(items, r.Item)
	}
	return items, nil
}

// recordKeys are the items of a control.KeyRecord.
func recordKeys(id string) []item {
	return []item{single("KEY", id), leaseKey(broadcast.KeyID(id)), single("SECRET", id)}
}

func keyRecord(items []item) (r control.KeyRecord, err error) {
	if r.Key, err = decode[broadcast.StreamKey](items[0]); err != nil {
		return r, err
	}
	r.Lease, err = leaseOf(items[1])
	r.String = textOf(items[2], attrString)
	return r, err
}

// KeyRecord answers the key, its lease and its secret as they were at one moment.
func (s *Store) KeyRecord(ctx context.Context, id broadcast.KeyID) (control.KeyRecord, error) {
	items, err := s.atOnce(ctx, recordKeys(string(id))...)
	var r control.KeyRecord
	if err == nil {
		r, err = keyRecord(items)
	}
	if err != nil {
		return control.KeyRecord{}, fmt.Errorf("read stream key %s: %w", id, err)
	}
	return r, nil
}

// KeyOfUser is KeyRecord of the member whom the app calls appUserID.
func (s *Store) KeyOfUser(ctx context.Context, app broadcast.AppID, appUserID string) (control.KeyRecord, error) {
	it, err := s.get(ctx, userKey(app, appUserID))
	if err != nil {
		return control.KeyRecord{}, fmt.Errorf("read member of user id %q: %w", appUserID, err)
	}
	return s.KeyRecord(ctx, broadcast.KeyID(textOf(it, attrKeyOfUser)))
}
