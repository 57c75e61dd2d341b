package dynamo_test

import (
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func TestCountsOfManyProcessesAddUp(t *testing.T) {
	tb := newTable(t)
	until := time.Unix(2_000_000_000, 0)
	var all sync.WaitGroup
	for range 4 {
		s := tb.open(t)
		all.Go(func() {
			for range 5 {
				if _, err := s.AddCount(t.Context(), "app#app_1#60", 20, until); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if sum, err := tb.open(t).AddCount(t.Context(), "app#app_1#60", 1, until); err != nil || sum != 401 {
		t.Errorf("the sum is %d, %v", sum, err)
	}
	if sum, err := tb.open(t).AddCount(t.Context(), "app#app_2#60", 3, until); err != nil || sum != 3 {
		t.Errorf("another's sum is %d, %v", sum, err)
	}
	out, err := dynamodb.NewFromConfig(tb.config).GetItem(t.Context(), &dynamodb.GetItemInput{TableName: &tb.name, Key: map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: "COUNT#app#app_1#60"}, "sk": &types.AttributeValueMemberS{Value: "COUNT"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := out.Item["expiresAt"].(*types.AttributeValueMemberN); !ok || v.Value != "2000000000" {
		t.Errorf("it does not go by itself: %v", out.Item)
	}
}
