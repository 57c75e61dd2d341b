package dynamo

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// HeldLeases answers the leases that the sweeper must look at, by shard of the
// index and then by key id. A lease that its key has caught up with leaves the
// index here, and not with the event that did it: so the event writes no lease.
func (s *Store) HeldLeases(ctx context.Context, after broadcast.KeyID, limit int) ([]broadcast.Lease, error) {
	held, err := s.heldLeases(ctx, after, max(limit, 1))
	if err != nil {
		return nil, fmt.Errorf("list held leases: %w", err)
	}
	return held, nil
}

func (s *Store) heldLeases(ctx context.Context, after broadcast.KeyID, limit int) ([]broadcast.Lease, error) {
	var held []broadcast.Lease
	for {
		ids, more, err := s.heldKeys(ctx, after, limit)
		if err != nil {
			return nil, err
		}
		for len(ids) > 0 {
			n := min(len(ids), maxBatch/2, limit-len(held))
			leases, err := s.stillHeld(ctx, ids[:n])
			if err != nil {
				return nil, err
			}
			held = append(held, leases...)
			after = ids[n-1]
			if ids = ids[n:]; len(held) == limit {
				return held, nil
			}
		}
		if !more {
			return held, nil
		}
	}
}

// heldKeys asks the shards side by side: up to limit keys of each one after
// the place, in order, and whether there may be more after the last of them.
func (s *Store) heldKeys(ctx context.Context, after broadcast.KeyID, limit int) ([]broadcast.KeyID, bool, error) {
	first := 0
	if after != "" {
		first = shardOf(after)
	}
	var pages [heldShards][]item
	var more [heldShards]bool
	var errs [heldShards]error
	var wg sync.WaitGroup
	for shard := first; shard < heldShards; shard++ {
		place := ""
		if shard == first {
			place = string(after)
		}
		wg.Go(func() {
			l := listing[broadcast.Lease]{index: attrSweep, hash: heldShard(shard), sortBy: attrSweepBy, ascending: true}
			pages[shard], more[shard], errs[shard] = l.query(ctx, s, place, limit)
		})
	}
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, false, err
	}
	var ids []broadcast.KeyID
	for shard := range pages {
		for _, it := range pages[shard] {
			ids = append(ids, broadcast.KeyID(textOf(it, attrSweepBy)))
		}
		if more[shard] && len(pages[shard]) > 0 {
			return ids, true, nil // what follows comes after the rest of this shard
		}
	}
	return ids, false, nil
}

// stillHeld reads leases and their keys and answers those leases that are held
// or ahead of their key.
func (s *Store) stillHeld(ctx context.Context, ids []broadcast.KeyID) ([]broadcast.Lease, error) {
	var keys []item
	for _, id := range ids {
		keys = append(keys, leaseKey(id), single("KEY", string(id)))
	}
	found, err := s.getAll(ctx, keys)
	if err != nil {
		return nil, err
	}
	var held []broadcast.Lease
	for i, id := range ids {
		it, ok := found[nameOf(keys[2*i])]
		if !ok {
			continue // only the index still knows it
		}
		l, err := leaseOf(it)
		if err != nil {
			return nil, err
		}
		ahead, err := aheadOfKey(l, found[nameOf(keys[2*i+1])])
		if err != nil {
			return nil, err
		}
		if l.Holder != nil || ahead {
			held = append(held, l)
		} else if err := s.unwatch(ctx, id, l); err != nil {
			return nil, err
		}
	}
	return held, nil
}

// aheadOfKey: nothing is ahead of a key that is gone.
func aheadOfKey(l broadcast.Lease, key item) (bool, error) {
	if key == nil {
		return false, nil
	}
	k, err := decode[broadcast.StreamKey](key)
	return k.Fence.Before(broadcast.Fence{Epoch: l.Epoch, Seq: l.Seq}), err
}

// unwatch takes a lease from the sweeper's list where it is still as it was
// read; where it is not, somebody has taken it.
func (s *Store) unwatch(ctx context.Context, id broadcast.KeyID, l broadcast.Lease) error {
	update := "REMOVE #sweep, #sweepBy"
	e := where("#epoch = :epoch AND #seq = :seq AND attribute_not_exists(#holder)", item{"epoch": number(l.Epoch), "seq": number(l.Seq)})
	_, err := s.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: s.table, Key: leaseKey(id), UpdateExpression: &update, ConditionExpression: e.condition(),
		ExpressionAttributeNames: names(update, e.text), ExpressionAttributeValues: bind(e.values),
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return nil
	}
	return err
}
