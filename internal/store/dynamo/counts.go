package dynamo

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// attrCount is what processes have added up.
const attrCount = "count"

// AddCount adds n to a count that processes share and answers the sum. It goes
// by itself after until. A call whose answer was lost may be counted twice:
// nothing but a limit depends on it.
func (s *Store) AddCount(ctx context.Context, name string, n int, until time.Time) (int, error) {
	update := "ADD #count :n SET #expiresAt = :until"
	out, err := s.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: s.table, Key: single("COUNT", name), UpdateExpression: aws.String(update),
		ExpressionAttributeNames:  names(update),
		ExpressionAttributeValues: bind(item{"n": number(uint64(max(n, 0))), "until": unix(until)}), // #nosec G115 -- not negative
		ReturnValues:              types.ReturnValueUpdatedNew,
	})
	if err != nil {
		return 0, fmt.Errorf("add to count %s: %w", name, err)
	}
	return int(numberOf(out.Attributes, attrCount)), nil // #nosec G115 -- a count
}
