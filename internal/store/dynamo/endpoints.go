package dynamo

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

var _ control.Webhooks = (*Store)(nil)

// attrSince is when an endpoint began to fail without a success.
const attrSince = "since"

func endpointKey(id string) item { return single("ENDPOINT", id) }

// memberOf is an endpoint's item in its app's partition: the list of an app's
// endpoints decides who is told of an event, so that no index will do.
func memberOf(e control.Endpoint) item { return key("ENDPOINTS#"+string(e.AppID), e.ID) }

func (w *writer) saveEndpoints() error {
	for _, e := range w.c.Endpoints {
		v := e.Version
		e.Version++
		if err := w.save(endpointKey(e.ID), v, e, atVersion(v)); err != nil {
			return err
		}
		if v == 0 {
			w.put(memberOf(e), absent())
		}
	}
	for _, e := range w.c.DeleteEndpoints {
		w.delete(endpointKey(e.ID), stored(e.Version))
		w.delete(memberOf(e), expr{})
	}
	return nil
}

// Endpoint answers a webhook endpoint.
func (s *Store) Endpoint(ctx context.Context, id string) (control.Endpoint, error) {
	return one[control.Endpoint](ctx, s, "ENDPOINT", id)
}

// Endpoints lists an app's webhook endpoints. Consistent.
func (s *Store) Endpoints(ctx context.Context, app broadcast.AppID, p control.Page) (control.List[control.Endpoint], error) {
	l := listing[control.Endpoint]{
		name: "endpoints", hash: "ENDPOINTS#" + string(app), sortBy: attrSK, ascending: p.Ascending, sure: true,
		refer: func(it item) item { return endpointKey(textOf(it, attrSK)) },
		keep:  func(control.Endpoint) bool { return true },
	}
	return l.read(ctx, s, p)
}

// Failing remembers since when an endpoint fails, in an item of its own: it is
// no change of the resource. The item goes after 30 days, long after the
// endpoint was disabled.
func (s *Store) Failing(ctx context.Context, endpoint string, at time.Time) (time.Time, error) {
	update := "SET #since = if_not_exists(#since, :since), #expiresAt = if_not_exists(#expiresAt, :expiresAt)"
	out, err := s.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: s.table, Key: single("FAILING", endpoint), UpdateExpression: &update, ExpressionAttributeNames: names(update),
		ExpressionAttributeValues: bind(item{attrSince: text(orderedTime(at)), attrExpires: unix(at.Add(noticeMemory))}),
		ReturnValues:              types.ReturnValueAllNew,
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("remember a failing endpoint: %w", err)
	}
	return timeOf(out.Attributes, attrSince), nil
}

// Recovered forgets that an endpoint failed.
func (s *Store) Recovered(ctx context.Context, endpoint string) error {
	_, err := s.api.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: s.table, Key: single("FAILING", endpoint)})
	if err != nil {
		return fmt.Errorf("remember a working endpoint: %w", err)
	}
	return nil
}

// AddDeadLetter keeps what an endpoint did not take, for as long as the event.
func (s *Store) AddDeadLetter(ctx context.Context, l control.DeadLetter) error {
	it := key("DEAD#"+l.EndpointID, l.ID)
	it[attrExpires] = unix(l.At.Add(noticeMemory))
	err := document(it, l)
	if err == nil {
		_, err = s.api.PutItem(ctx, &dynamodb.PutItemInput{TableName: s.table, Item: it})
	}
	if err != nil {
		return fmt.Errorf("write dead letter %s: %w", l.ID, err)
	}
	return nil
}

// WebhookDeadLetters lists what an endpoint did not take. Consistent.
func (s *Store) WebhookDeadLetters(ctx context.Context, endpoint string, p control.Page) (control.List[control.DeadLetter], error) {
	l := listing[control.DeadLetter]{
		name: "deadletters", hash: "DEAD#" + endpoint, sortBy: attrSK, ascending: p.Ascending, sure: true,
		keep: func(control.DeadLetter) bool { return true },
	}
	return l.read(ctx, s, p)
}

// DropCursors removes all cursors of an endpoint.
func (s *Store) DropCursors(ctx context.Context, endpoint string) error {
	l := listing[control.Cursor]{hash: cursors(endpoint), sortBy: attrSK, ascending: true}
	place := ""
	for {
		items, more, err := l.query(ctx, s, place, maxBatch)
		if err == nil {
			err = side(len(items), func(i int) error {
				_, err := s.api.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: s.table, Key: key(cursors(endpoint), textOf(items[i], attrSK))})
				return err
			})
		}
		if err != nil {
			return fmt.Errorf("drop deliveries: %w", err)
		}
		if !more || len(items) == 0 {
			return nil
		}
		place = textOf(items[len(items)-1], attrSK)
	}
}

// timeOf reads what orderedTime wrote.
func timeOf(it item, name string) time.Time {
	n := parseOrdered(textOf(it, name))
	return time.UnixMicro(int64(n ^ 1<<63)).UTC() // #nosec G115 -- the highest bit becomes the sign
}

// conditional runs an update of one item. Where the condition does not hold,
// held is false and the answer is the item that is there.
func (s *Store) conditional(ctx context.Context, key item, update string, e expr, values item) (it item, held bool, err error) {
	out, err := s.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: s.table, Key: key, UpdateExpression: aws.String(update), ConditionExpression: e.condition(),
		ExpressionAttributeNames: names(update, e.text), ExpressionAttributeValues: bind(e.values, values),
		ReturnValues: types.ReturnValueAllNew, ReturnValuesOnConditionCheckFailure: allOld,
	})
	return conditionally(out, err)
}
