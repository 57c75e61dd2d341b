package dynamo

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

var _ control.Feed = (*Store)(nil)

const (
	// sweepOutbox is the partition of notices without a place in the sweeper's
	// index.
	sweepOutbox = "OUTBOX"

	attrAggregate = "aggregate"
	attrSequence  = "sequence"
	// attrPosition is a notice's place in its app's feed; none = not yet.
	attrPosition = "position"
	// noticePage is how many notices of one aggregate are read at a time: few
	// wait for a place.
	noticePage = 4
)

func noticeKey(aggregate string, sequence uint64) item {
	return key("NOTICE#"+aggregate, ordered(sequence))
}

// noticeItem is a notice that has no place yet. By its own id it is found in
// index ofAll, a partition for each.
func noticeItem(n control.Notice, expires time.Time) (item, error) {
	it := noticeKey(n.Aggregate, n.Sequence)
	it[attrExpires] = unix(expires)
	it[attrOfAll], it[attrID] = text("NOTICE#"+string(n.ID)), text(string(n.ID))
	it[attrAggregate], it[attrSequence] = text(n.Aggregate), number(n.Sequence)
	it[attrSweep], it[attrSweepBy] = text(sweepOutbox), text(orderedTime(n.At)+"#"+ordered(n.Sequence)+"#"+n.Aggregate)
	return it, document(it, n)
}

// feedKey is a place in the feed of an app or of one of its members.
func feedKey(app broadcast.AppID, member broadcast.MemberID, position uint64) item {
	return key(feedPartition(app, member), ordered(position))
}

func feedPartition(app broadcast.AppID, member broadcast.MemberID) string {
	pk := "FEED#" + string(app)
	if member != "" {
		pk += "#" + string(member)
	}
	return pk
}

func feedEndKey(app broadcast.AppID) item { return single("FEEDEND", string(app)) }

// Unplaced answers notices without a place. The index names aggregates, and
// may be late; what of them has no place the table itself tells, back to the
// first one.
func (s *Store) Unplaced(ctx context.Context, limit int) ([]control.Notice, error) {
	l := listing[control.Notice]{index: attrSweep, hash: sweepOutbox, sortBy: attrSweepBy, ascending: true}
	keys, _, err := l.query(ctx, s, "", limit)
	if err != nil {
		return nil, fmt.Errorf("list unplaced notices: %w", err)
	}
	refs := make([]control.NoticeRef, 0, len(keys))
	for _, k := range keys {
		sequence, err := strconv.ParseUint(textOf(k, attrSK), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("list unplaced notices: item %s: %w", nameOf(k), err)
		}
		refs = append(refs, control.NoticeRef{Aggregate: textOf(k, attrPK)[len("NOTICE#"):], Sequence: sequence})
	}
	list, err := s.UnplacedOf(ctx, refs)
	return list[:min(len(list), limit)], err
}

// UnplacedOf answers which of these notices, and of those below them, have no
// place. Consistent.
func (s *Store) UnplacedOf(ctx context.Context, refs []control.NoticeRef) ([]control.Notice, error) {
	last := map[string]uint64{}
	var aggregates []string
	for _, r := range refs {
		if _, known := last[r.Aggregate]; !known {
			aggregates = append(aggregates, r.Aggregate)
		}
		last[r.Aggregate] = max(last[r.Aggregate], r.Sequence)
	}
	waiting := make([][]control.Notice, len(aggregates))
	err := side(len(aggregates), func(i int) error {
		var err error
		waiting[i], err = s.unplacedUpTo(ctx, aggregates[i], last[aggregates[i]])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read unplaced notices: %w", err)
	}
	// In the order of refs, each with those below it.
	var list []control.Notice
	of := map[string]int{}
	for i, a := range aggregates {
		of[a] = i
	}
	for _, r := range refs {
		i := of[r.Aggregate]
		n := 0
		for n < len(waiting[i]) && waiting[i][n].Sequence <= r.Sequence {
			n++
		}
		list, waiting[i] = append(list, waiting[i][:n]...), waiting[i][n:]
	}
	return list, nil
}

// unplacedUpTo reads an aggregate's notices from last down to the first that
// has its place: all before it have theirs. What is answered ascends.
func (s *Store) unplacedUpTo(ctx context.Context, aggregate string, last uint64) ([]control.Notice, error) {
	l := listing[control.Notice]{hash: "NOTICE#" + aggregate, sortBy: attrSK}
	place := ordered(last + 1)
	var list []control.Notice
	for {
		items, more, err := l.query(ctx, s, place, noticePage)
		if err != nil {
			return nil, err
		}
		for _, it := range items {
			if _, placed := it[attrPosition]; placed {
				return reversed(list), nil
			}
			n, err := decode[control.Notice](it)
			if err != nil {
				return nil, err
			}
			list = append(list, n)
			place = textOf(it, attrSK)
		}
		if !more {
			return reversed(list), nil
		}
	}
}

func reversed[T any](list []T) []T {
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list
}

// Feed answers events in order. Consistent: what has a higher place is never
// seen before what has a lower one. Places whose notice is gone are passed over.
func (s *Store) Feed(ctx context.Context, f control.FeedFilter, after uint64, limit int) ([]control.FeedEvent, error) {
	l := listing[control.Notice]{hash: feedPartition(f.AppID, f.MemberID), sortBy: attrSK, ascending: true, refer: toNotice}
	var list []control.FeedEvent
	place := ordered(after)
	for {
		places, more, err := l.query(ctx, s, place, limit-len(list))
		if err != nil {
			return nil, fmt.Errorf("read the feed of %s: %w", f.AppID, err)
		}
		notices, err := l.records(ctx, s, places)
		if err != nil {
			return nil, fmt.Errorf("read the feed of %s: %w", f.AppID, err)
		}
		for i, n := range notices {
			place = textOf(places[i], attrSK)
			if n != nil {
				list = append(list, control.FeedEvent{Notice: *n, Position: numberOf(places[i], attrPosition)})
			}
		}
		if !more || len(list) >= limit {
			return list, nil
		}
	}
}

// toNotice is where a place of a feed leads.
func toNotice(it item) item { return noticeKey(textOf(it, attrAggregate), numberOf(it, attrSequence)) }

// FeedEnd answers the highest position that the app ever had.
func (s *Store) FeedEnd(ctx context.Context, app broadcast.AppID) (uint64, error) {
	ends, err := s.getAll(ctx, []item{feedEndKey(app)})
	if err != nil {
		return 0, fmt.Errorf("read the end of the feed of %s: %w", app, err)
	}
	return numberOf(ends[nameOf(feedEndKey(app))], attrPosition), nil
}

// Notice answers a notice by its id: the index says where it is.
func (s *Store) Notice(ctx context.Context, id broadcast.EventID) (control.Notice, error) {
	n, err := s.notice(ctx, id)
	if err != nil {
		return control.Notice{}, fmt.Errorf("read notice %s: %w", id, err)
	}
	return n, nil
}

func (s *Store) notice(ctx context.Context, id broadcast.EventID) (control.Notice, error) {
	l := listing[control.Notice]{index: attrOfAll, hash: "NOTICE#" + string(id), sortBy: attrID}
	keys, _, err := l.query(ctx, s, "", 1)
	if err != nil {
		return control.Notice{}, err
	}
	recs, err := l.records(ctx, s, keys)
	if err == nil && (len(recs) == 0 || recs[0] == nil) {
		err = control.ErrNotFound
	}
	if err != nil {
		return control.Notice{}, err
	}
	return *recs[0], nil
}

// NoticeAt answers an aggregate's notice by its sequence.
func (s *Store) NoticeAt(ctx context.Context, aggregate string, sequence uint64) (control.Notice, error) {
	out, err := s.api.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: s.table, Key: noticeKey(aggregate, sequence), ConsistentRead: aws.Bool(true),
	})
	var n control.Notice
	switch {
	case err != nil:
	case out.Item == nil:
		err = control.ErrNotFound
	default:
		n, err = decode[control.Notice](out.Item)
	}
	if err != nil {
		return control.Notice{}, fmt.Errorf("read notice %d of %s: %w", sequence, aggregate, err)
	}
	return n, nil
}

// PurgeFeed has nothing to do: the table's TTL removes events after 30 days.
func (*Store) PurgeFeed(context.Context, time.Time, int) (int, error) { return 0, nil }
