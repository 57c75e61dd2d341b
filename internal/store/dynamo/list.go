package dynamo

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/roomcast/roomcast/internal/control"
)

// The indexes; each is named as its partition key.
const (
	attrOfApp        = "ofApp"
	attrOfAppInState = "ofAppInState"
	attrOfMember     = "ofMember"
	attrOfAll        = "ofAll"
	attrOfAllInState = "ofAllInState"
)

// listed adds what puts a record of that kind into the lists: of all, and, as
// far as they are set, of its app, its member and its state.
func listed[A, M ~string](it item, kind, id string, app A, member M, state string) item {
	it[attrID] = text(id)
	it[attrOfAll] = text(kind)
	if app != "" {
		it[attrOfApp] = text(kind + "#" + string(app))
	}
	if member != "" {
		it[attrOfMember] = text(kind + "#" + string(member))
	}
	if state != "" {
		it[attrOfAllInState] = text(kind + "#" + state)
		if app != "" {
			it[attrOfAppInState] = text(kind + "#" + string(app) + "#" + state)
		}
	}
	return it
}

// listing is one list: a partition of an index (or of the table), in the order
// of its sort key. A record's place in it never changes, so that a cursor (the
// place of the last item) neither skips nor repeats.
type listing[T any] struct {
	name      string // of the list, in its cursors
	index     string // "" = the table
	hash      string // the partition key's value
	sortBy    string // the sort key's name
	ascending bool
	// keep reports whether a record, read again, is in the list.
	keep func(T) bool
	// refer answers the key of the record that an item of the table stands
	// for; nil = the items are the records.
	refer func(item) item
	// parts are the keys of a record that is made of several items, by join;
	// nil = it is one.
	parts func(item) []item
	join  func([]item) (T, error)
	// sure: the index alone decides, so one key more than the page tells
	// whether there is a next one.
	sure bool
}

func (l *listing[T]) read(ctx context.Context, s *Store, p control.Page) (control.List[T], error) {
	list, err := l.page(ctx, s, p)
	if err != nil {
		return control.List[T]{}, fmt.Errorf("list %s: %w", l.name, err)
	}
	return list, nil
}

// page reads keys of the index and their records until the page is full and
// one more is known, or there are no more.
func (l *listing[T]) page(ctx context.Context, s *Store, p control.Page) (control.List[T], error) {
	var list control.List[T]
	limit := max(p.Limit, 1)
	place, err := parseCursor(l.name, p.Cursor)
	if err != nil {
		return list, err
	}
	var last string // the place of the page's last item
	for {
		keys, more, err := l.query(ctx, s, place, limit+1-len(list.Items))
		if err != nil {
			return list, err
		}
		for len(keys) > 0 {
			n := limit - len(list.Items) // as many as the page needs
			if n == 0 && l.sure {
				list.Next = cursor(l.name, last)
				return list, nil
			}
			n = min(max(n, 1), len(keys))
			recs, err := l.records(ctx, s, keys[:n])
			if err != nil {
				return list, err
			}
			for i, rec := range recs {
				if rec == nil || !l.keep(*rec) {
					continue
				}
				if len(list.Items) == limit {
					list.Next = cursor(l.name, last)
					return list, nil
				}
				list.Items = append(list.Items, *rec)
				last = textOf(keys[i], l.sortBy)
			}
			place = textOf(keys[n-1], l.sortBy)
			keys = keys[n:]
		}
		if !more {
			return list, nil
		}
	}
}

// query answers up to n keys (or items of the table) after place and whether
// there may be more.
func (l *listing[T]) query(ctx context.Context, s *Store, place string, n int) ([]item, bool, error) {
	partition := attrPK
	if l.index != "" {
		partition = l.index
	}
	condition, values := "#"+partition+" = :hash", item{"hash": text(l.hash)}
	if place != "" {
		than := " < "
		if l.ascending {
			than = " > "
		}
		condition += " AND #" + l.sortBy + than + ":place"
		values["place"] = text(place)
	}
	in := &dynamodb.QueryInput{
		TableName: s.table, KeyConditionExpression: &condition, ScanIndexForward: &l.ascending,
		ExpressionAttributeNames: names(condition), ExpressionAttributeValues: bind(values),
		Limit: aws.Int32(int32(min(n, 1000))), // #nosec G115 -- at most 1000
	}
	if l.index == "" {
		in.ConsistentRead = aws.Bool(true)
	} else {
		in.IndexName = &l.index
	}
	out, err := s.api.Query(ctx, in)
	if err != nil {
		return nil, false, err
	}
	return out.Items, out.LastEvaluatedKey != nil, nil
}

// records answers the records of keys, in their order; nil where one is gone.
func (l *listing[T]) records(ctx context.Context, s *Store, keys []item) ([]*T, error) {
	parts, join := l.parts, l.join
	if parts == nil {
		refer := l.refer
		if refer == nil {
			refer = func(it item) item { return item{attrPK: it[attrPK], attrSK: it[attrSK]} }
		}
		parts = func(it item) []item { return []item{refer(it)} }
		join = func(items []item) (T, error) { return decode[T](items[0]) }
	}
	found := map[string]item{}
	if l.index == "" && l.refer == nil {
		for _, it := range keys {
			found[nameOf(it)] = it
		}
	} else {
		var asked []item
		for _, k := range keys {
			asked = append(asked, parts(k)...)
		}
		var err error
		if found, err = s.getAll(ctx, asked); err != nil {
			return nil, err
		}
	}
	recs := make([]*T, len(keys))
	for i, k := range keys {
		var items []item
		for _, part := range parts(k) {
			if it, ok := found[nameOf(part)]; ok {
				items = append(items, it)
			}
		}
		if len(items) < len(parts(k)) {
			continue
		}
		rec, err := join(items)
		if err != nil {
			return nil, err
		}
		recs[i] = &rec
	}
	return recs, nil
}
