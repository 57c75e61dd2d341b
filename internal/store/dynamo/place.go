package dynamo

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

const (
	// placeOps is the most that one notice needs in a transaction: itself, its
	// place in the app's and in the member's feed, the end of the feed.
	placeOps = 4
	// placeAttempts is how often a transaction is made anew because others
	// placed notices of the same app.
	placeAttempts = 12
)

// Place gives notices their places, as many at a time as one transaction holds:
// where it fails, the first ones have theirs.
func (s *Store) Place(ctx context.Context, list []control.Notice) error {
	for len(list) > 0 {
		n := min(len(list), maxOps/placeOps)
		if err := s.place(ctx, list[:n]); err != nil {
			return fmt.Errorf("place %d notices: %w", len(list), err)
		}
		list = list[n:]
	}
	return nil
}

// place runs one transaction. Each app's feed goes on where it ends; one whose
// end has moved meanwhile is read again, and what others have placed is left out.
func (s *Store) place(ctx context.Context, list []control.Notice) error {
	done := map[string]bool{} // notices that have their places, or are gone
	for attempt := 1; ; attempt++ {
		b, err := s.placing(ctx, list, done)
		if err != nil || b == nil {
			return err
		}
		err = s.write(ctx, b)
		var r *refused
		if !errors.As(err, &r) {
			return err
		}
		for name, it := range r.found {
			if _, placed := it[attrPosition]; placed && textOf(it, attrSK) != "FEEDEND" || it == nil {
				done[name] = true
			}
		}
		if attempt == placeAttempts {
			return err
		}
		if err := s.pause(ctx, attempt); err != nil {
			return err
		}
	}
}

// placing makes the transaction; nil = there is nothing to do.
func (s *Store) placing(ctx context.Context, list []control.Notice, done map[string]bool) (*batch, error) {
	var apps []item
	seen := map[broadcast.AppID]bool{}
	for _, n := range list {
		if !done[nameOf(noticeKey(n.Aggregate, n.Sequence))] && !seen[n.AppID] {
			seen[n.AppID] = true
			apps = append(apps, feedEndKey(n.AppID))
		}
	}
	if len(apps) == 0 {
		return nil, nil //nolint:nilnil // nothing to do is no error
	}
	found, err := s.getAll(ctx, apps)
	if err != nil {
		return nil, err
	}
	b, ends, expires := s.newBatch(), map[broadcast.AppID]uint64{}, unix(s.now().Add(noticeMemory))
	for _, n := range list {
		at := noticeKey(n.Aggregate, n.Sequence)
		if done[nameOf(at)] {
			continue
		}
		end, begun := ends[n.AppID]
		if !begun {
			end = numberOf(found[nameOf(feedEndKey(n.AppID))], attrPosition)
		}
		ends[n.AppID] = end + 1
		b.update(at, "SET #position = :position REMOVE #sweep, #sweepBy",
			where("attribute_exists(#pk) AND attribute_not_exists(#position)", item{"position": number(end + 1)}))
		for _, member := range feedsOf(n) {
			it := feedKey(n.AppID, member, end+1)
			it[attrPosition], it[attrAggregate], it[attrSequence], it[attrExpires] = number(end+1), text(n.Aggregate), number(n.Sequence), expires
			b.put(it, absent())
		}
	}
	for app, end := range ends {
		it := feedEndKey(app)
		was := found[nameOf(it)]
		it[attrPosition] = number(end)
		e := absent()
		if was != nil {
			e = where("#position = :was", item{"was": was[attrPosition]})
		}
		b.put(it, e)
	}
	return b, nil
}

// feedsOf are the feeds that show a notice: the app's, and its member's.
func feedsOf(n control.Notice) []broadcast.MemberID {
	if n.MemberID == "" {
		return []broadcast.MemberID{""}
	}
	return []broadcast.MemberID{"", n.MemberID}
}

// update changes the item of this key where e holds of it; e's values are those
// of both expressions.
func (b *batch) update(key item, change string, e expr) {
	b.add(key, types.TransactWriteItem{Update: &types.Update{
		TableName: b.table, Key: key, ReturnValuesOnConditionCheckFailure: allOld, UpdateExpression: &change,
		ConditionExpression: e.condition(), ExpressionAttributeNames: names(change, e.text), ExpressionAttributeValues: bind(e.values),
	}})
}
