package dynamo

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/roomcast/roomcast/internal/control"
)

// maxOps is DynamoDB's limit for one transaction.
const maxOps = 100

// batch collects the writes of one transaction.
type batch struct {
	table *string
	ops   []types.TransactWriteItem
	names []string // of the items, by op
	seen  map[string]bool
	// twice is the first item that was to be written twice; "" = none.
	twice string
}

func (s *Store) newBatch() *batch {
	return &batch{table: s.table, seen: map[string]bool{}}
}

func (b *batch) add(it item, op types.TransactWriteItem) {
	name := nameOf(it)
	if b.seen[name] && b.twice == "" {
		b.twice = name
	}
	b.seen[name] = true
	b.ops = append(b.ops, op)
	b.names = append(b.names, name)
}

// put writes the whole item where e holds of the stored one.
func (b *batch) put(it item, e expr) {
	b.add(it, types.TransactWriteItem{Put: &types.Put{
		TableName: b.table, Item: it, ReturnValuesOnConditionCheckFailure: allOld,
		ConditionExpression: e.condition(), ExpressionAttributeNames: names(e.text), ExpressionAttributeValues: bind(e.values),
	}})
}

// delete removes the item of this key where e holds of it.
func (b *batch) delete(key item, e expr) {
	b.add(key, types.TransactWriteItem{Delete: &types.Delete{
		TableName: b.table, Key: key, ReturnValuesOnConditionCheckFailure: allOld,
		ConditionExpression: e.condition(), ExpressionAttributeNames: names(e.text), ExpressionAttributeValues: bind(e.values),
	}})
}

// refused is a transaction of which conditions did not hold: the stored items
// by their name, nil where there is none.
type refused struct{ found map[string]item }

func (r *refused) Error() string {
	for name := range r.found {
		return fmt.Sprintf("the condition on %s does not hold", name)
	}
	return "a condition does not hold"
}

func (r *refused) Unwrap() error { return control.ErrConflict }

// write runs the transaction. Conditions that fail are a *refused; what passes
// was tried again by the client, under the same random ClientRequestToken that
// the SDK makes for each call.
func (s *Store) write(ctx context.Context, b *batch) error {
	if b.twice != "" {
		return fmt.Errorf("%s is written twice: %w", b.twice, control.ErrConflict)
	}
	if len(b.ops) > maxOps {
		return fmt.Errorf("%d items in one transaction, at most %d", len(b.ops), maxOps)
	}
	_, err := s.api.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: b.ops})
	var canceled *types.TransactionCanceledException
	if !errors.As(err, &canceled) {
		return err
	}
	r := &refused{found: map[string]item{}}
	for i, reason := range canceled.CancellationReasons {
		if aws.ToString(reason.Code) == "ConditionalCheckFailed" && i < len(b.names) {
			r.found[b.names[i]] = reason.Item
		}
	}
	if len(r.found) == 0 {
		return err
	}
	return r
}
