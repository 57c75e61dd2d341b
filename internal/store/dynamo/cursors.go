package dynamo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/roomcast/roomcast/internal/control"
)

// A cursor is not a document: it is changed field by field.
const (
	attrNext     = "next"
	attrLast     = "last"
	attrAttempts = "attempts"
	attrDue      = "dueAt"
	attrClaim    = "claim"
)

// finishedMemory is how long a finished group is remembered: several processes
// wake deliveries, and who is late must not have an event delivered once more.
const finishedMemory = time.Hour

// maxWakes is how often a cursor that others change is woken anew.
const maxWakes = 20

func cursors(endpoint string) string { return "CURSOR#" + endpoint }

func cursorKey(c control.Cursor) item { return key(cursors(c.EndpointID), c.Group) }

// dueShard spreads the cursors of all endpoints over the sweeper's index, all
// of one endpoint in one.
func dueShard(n int) string { return fmt.Sprintf("DUE#%02d", n) }

// duePlace orders an endpoint's cursors by time, beside each other.
func duePlace(endpoint string, due time.Time, group string) string {
	return endpoint + "#" + orderedTime(due) + "#" + group
}

// dueValues puts a cursor on the list of what is due.
func dueValues(c control.Cursor) item {
	return item{
		attrDue: text(orderedTime(c.DueAt)), attrSweep: text(dueShard(shardOf(c.EndpointID))),
		attrSweepBy: text(duePlace(c.EndpointID, c.DueAt, c.Group)),
	}
}

func cursorOf(it item) control.Cursor {
	return control.Cursor{
		EndpointID: strings.TrimPrefix(textOf(it, attrPK), cursors("")), Group: textOf(it, attrSK), Aggregate: textOf(it, attrAggregate),
		Next: numberOf(it, attrNext), Last: numberOf(it, attrLast), Attempts: int(numberOf(it, attrAttempts)), // #nosec G115 -- small
		DueAt: timeOf(it, attrDue), Claim: textOf(it, attrClaim),
	}
}

// finished reports whether nothing is left to do for the group: only a late
// wake-up still meets it.
func finished(it item) bool { return it != nil && it[attrSweep] == nil }

// Wake adds cursors. One that is there, or is remembered as finished, goes on
// to the last event; below it nothing is woken.
func (s *Store) Wake(ctx context.Context, list []control.Cursor) error {
	var groups []control.Cursor
	at := map[string]int{}
	for _, c := range list {
		name := nameOf(cursorKey(c))
		if i, known := at[name]; known {
			groups[i].Last = max(groups[i].Last, c.Last)
			continue
		}
		at[name] = len(groups)
		groups = append(groups, c)
	}
	if err := side(len(groups), func(i int) error { return s.wake(ctx, groups[i]) }); err != nil {
		return fmt.Errorf("wake deliveries: %w", err)
	}
	return nil
}

func (s *Store) wake(ctx context.Context, c control.Cursor) error {
	for attempt := 1; ; attempt++ {
		fresh := dueValues(c)
		fresh[attrPK], fresh[attrSK] = cursorKey(c)[attrPK], cursorKey(c)[attrSK]
		fresh[attrAggregate], fresh[attrNext], fresh[attrLast] = text(c.Aggregate), number(c.Next), number(c.Last)
		fresh[attrAttempts] = number(uint64(max(c.Attempts, 0))) // #nosec G115 -- not negative
		there, held, err := s.putWhere(ctx, fresh, absent())
		if err != nil || held {
			return err
		}
		if there == nil {
			continue // it is gone meanwhile
		}
		if held, err = s.raise(ctx, c, there); err != nil || held {
			return err
		}
		if attempt == maxWakes {
			return fmt.Errorf("delivery of %s to %s changes too often: %w", c.Group, c.EndpointID, control.ErrConflict)
		}
		if err := s.pause(ctx, attempt); err != nil {
			return err
		}
	}
}

// putWhere writes an item where e holds, else it answers the one there is.
func (s *Store) putWhere(ctx context.Context, it item, e expr) (there item, held bool, err error) {
	_, err = s.api.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: s.table, Item: it, ConditionExpression: e.condition(), ExpressionAttributeNames: names(e.text),
		ExpressionAttributeValues: bind(e.values), ReturnValuesOnConditionCheckFailure: allOld,
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return failed.Item, false, nil
	}
	return nil, err == nil, err
}

// raise brings a cursor that was found there up to c; false = it has changed
// since. What is finished begins again behind its end.
func (s *Store) raise(ctx context.Context, c control.Cursor, there item) (bool, error) {
	was := cursorOf(there)
	if was.Last >= c.Last {
		return true, nil
	}
	same := item{"was": number(was.Last)}
	if !finished(there) {
		_, held, err := s.conditional(ctx, cursorKey(c), "SET #last = :last",
			where("#last = :was AND attribute_exists(#sweep)", same), item{attrLast: number(c.Last)})
		return held, err
	}
	set := dueValues(c)
	set[attrNext], set[attrLast], set[attrAttempts] = number(max(c.Next, was.Next)), number(c.Last), number(0)
	_, held, err := s.conditional(ctx, cursorKey(c),
		"SET #next = :next, #last = :last, #attempts = :attempts, #dueAt = :dueAt, #sweep = :sweep, #sweepBy = :sweepBy REMOVE #claim, #expiresAt",
		where("#last = :was AND attribute_not_exists(#sweep)", same), set)
	return held, err
}

// DueEndpoints answers the endpoints that something is due for. In each shard
// it goes from endpoint to endpoint, so that one with many groups hides nobody.
func (s *Store) DueEndpoints(ctx context.Context, now time.Time) ([]string, error) {
	var due [heldShards][]string
	err := side(heldShards, func(shard int) error {
		l := listing[control.Cursor]{index: attrSweep, hash: dueShard(shard), sortBy: attrSweepBy, ascending: true}
		for place := ""; ; {
			keys, _, err := l.query(ctx, s, place, 1)
			if err != nil || len(keys) == 0 {
				return err
			}
			id := strings.TrimPrefix(textOf(keys[0], attrPK), cursors(""))
			if textOf(keys[0], attrSweepBy) < duePlace(id, now.Add(time.Microsecond), "") {
				due[shard] = append(due[shard], id)
			}
			place = id + "$" // behind id#…
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list endpoints with due deliveries: %w", err)
	}
	var list []string
	for _, ids := range due {
		list = append(list, ids...)
	}
	return list, nil
}

// DueCursors answers an endpoint's due cursors, longest due first.
func (s *Store) DueCursors(ctx context.Context, endpoint string, now time.Time, limit int) ([]control.Cursor, error) {
	l := listing[control.Cursor]{index: attrSweep, hash: dueShard(shardOf(endpoint)), sortBy: attrSweepBy, ascending: true}
	keys, _, err := l.query(ctx, s, endpoint+"#", limit)
	if err != nil {
		return nil, fmt.Errorf("list due deliveries: %w", err)
	}
	var mine []item
	for _, k := range keys {
		if textOf(k, attrPK) == cursors(endpoint) {
			mine = append(mine, item{attrPK: k[attrPK], attrSK: k[attrSK]})
		}
	}
	found, err := s.getAll(ctx, mine)
	if err != nil {
		return nil, fmt.Errorf("list due deliveries: %w", err)
	}
	var list []control.Cursor
	for _, k := range mine {
		if it := found[nameOf(k)]; it != nil && !finished(it) && textOf(it, attrDue) <= orderedTime(now) {
			list = append(list, cursorOf(it))
		}
	}
	return list, nil
}

// ClaimCursor takes a due cursor. A claim whose answer was lost is recognised.
func (s *Store) ClaimCursor(ctx context.Context, c control.Cursor, token string, now, until time.Time) (control.Cursor, error) {
	c.DueAt = until
	set := dueValues(c)
	set[attrClaim] = text(token)
	it, held, err := s.conditional(ctx, cursorKey(c),
		"SET #claim = :claim, #dueAt = :dueAt, #sweepBy = :sweepBy, #sweep = :sweep",
		where("#dueAt <= :now AND attribute_exists(#sweep)", item{"now": text(orderedTime(now))}), set)
	mine := !finished(it) && textOf(it, attrClaim) == token && textOf(it, attrDue) == orderedTime(until)
	if err == nil && !held && !mine {
		err = control.ErrConflict
	}
	if err != nil {
		return control.Cursor{}, fmt.Errorf("claim a delivery: %w", err)
	}
	return cursorOf(it), nil
}

// SaveCursor stores how far the claimed cursor is.
func (s *Store) SaveCursor(ctx context.Context, c control.Cursor, release bool) error {
	set := dueValues(c)
	set[attrNext], set[attrAttempts] = number(c.Next), number(uint64(max(c.Attempts, 0))) // #nosec G115 -- not negative
	update := "SET #next = :next, #attempts = :attempts, #dueAt = :dueAt, #sweepBy = :sweepBy, #sweep = :sweep"
	if release {
		update += " REMOVE #claim"
	}
	it, held, err := s.conditional(ctx, cursorKey(c), update, claimed(c, ""), set)
	if err == nil && !held {
		is := cursorOf(it)
		saved := release && is.Claim == "" && is.Next == c.Next && is.Attempts == c.Attempts && is.DueAt.Equal(c.DueAt.Truncate(time.Microsecond))
		if it == nil || finished(it) || !saved {
			err = control.ErrConflict
		}
	}
	if err != nil {
		return fmt.Errorf("save a delivery: %w", err)
	}
	return nil
}

// claimed holds while c's claim does, and more.
func claimed(c control.Cursor, more string) expr {
	return where("#claim = :mine AND attribute_exists(#sweep)"+more, item{"mine": text(c.Claim)})
}

// FinishCursor takes the claimed cursor from the list of what is due, where
// nothing is left to do. It is remembered for a while.
func (s *Store) FinishCursor(ctx context.Context, c control.Cursor) error {
	e := claimed(c, " AND #last < :next")
	e.values[attrNext] = number(c.Next)
	again := strings.HasPrefix(c.Group, control.AgainPrefix)
	var it item
	var held bool
	var err error
	if again { // it may be delivered again once more
		it, held, err = s.deleteWhere(ctx, cursorKey(c), e)
	} else {
		it, held, err = s.conditional(ctx, cursorKey(c), "SET #next = :next, #expiresAt = :expiresAt REMOVE #sweep, #sweepBy",
			e, item{attrExpires: unix(s.now().Add(finishedMemory))})
	}
	done := again && it == nil || finished(it) && textOf(it, attrClaim) == c.Claim
	if err == nil && !held && !done {
		err = control.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("finish a delivery: %w", err)
	}
	return nil
}

func (s *Store) deleteWhere(ctx context.Context, key item, e expr) (item, bool, error) {
	_, err := s.api.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: s.table, Key: key, ConditionExpression: e.condition(), ExpressionAttributeNames: names(e.text),
		ExpressionAttributeValues: bind(e.values), ReturnValuesOnConditionCheckFailure: allOld,
	})
	return conditionally(nil, err)
}

// conditionally tells a condition that does not hold from an outage.
func conditionally(out *dynamodb.UpdateItemOutput, err error) (item, bool, error) {
	var failed *types.ConditionalCheckFailedException
	switch {
	case errors.As(err, &failed):
		return failed.Item, false, nil
	case err != nil:
		return nil, false, err
	case out == nil:
		return nil, true, nil
	}
	return out.Attributes, true, nil
}

// parseOrdered reads what ordered wrote; 0 = it is none.
func parseOrdered(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
