package dynamo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// index is the table ("") or one of its indexes and its key.
type index struct{ name, hash, sortBy string }

func schema() []index {
	return []index{
		{"", attrPK, attrSK},
		{attrOfApp, attrOfApp, attrID},
		{attrOfAppInState, attrOfAppInState, attrID},
		{attrOfMember, attrOfMember, attrID},
		{attrOfAll, attrOfAll, attrID},
		{attrOfAllInState, attrOfAllInState, attrID},
		{attrSweep, attrSweep, attrSweepBy},
	}
}

// Check asks whether the table is there, may be used and is the one that
// infra/data.yaml makes. What is wrong is said in one line.
func (s *Store) Check(ctx context.Context) error {
	out, err := s.api.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: s.table})
	if err == nil && out.Table == nil {
		err = errors.New("no description")
	}
	if err != nil {
		return fmt.Errorf("DynamoDB table %s in region %s: %w", *s.table, s.region, explained(err))
	}
	if wrong := mismatch(out.Table); wrong != "" {
		return fmt.Errorf("DynamoDB table %s in region %s is not one of this version of roomcast: %s", *s.table, s.region, wrong)
	}
	return nil
}

// explained says what the usual mistakes of a configuration are.
func explained(err error) error {
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		return errors.New("there is none (is the region right, and are the credentials those of its account?)")
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "UnrecognizedClientException", "InvalidSignatureException", "InvalidClientTokenId", "MissingAuthenticationToken",
			"AccessDeniedException", "ExpiredTokenException", "IncompleteSignatureException":
			return fmt.Errorf("the credentials are refused: %s", api.ErrorMessage())
		}
	}
	return err
}

func mismatch(t *types.TableDescription) string {
	found := map[string]string{"": describe(t.KeySchema)}
	for _, g := range t.GlobalSecondaryIndexes {
		if g.IndexStatus == "" || g.IndexStatus == types.IndexStatusActive {
			found[aws.ToString(g.IndexName)] = describe(g.KeySchema)
		}
	}
	for _, want := range schema() {
		what := "index " + want.name
		if want.name == "" {
			what = "the table"
		}
		key := want.hash + ", " + want.sortBy
		switch got, ok := found[want.name]; {
		case !ok:
			return what + " is missing"
		case got != key:
			return fmt.Sprintf("%s has the key %s, want %s", what, got, key)
		}
	}
	if v := t.StreamSpecification; v == nil || !aws.ToBool(v.StreamEnabled) || v.StreamViewType != types.StreamViewTypeNewImage {
		return "it has no stream of new images"
	}
	return ""
}

// describe answers the names of a key's attributes, the partition key first.
func describe(key []types.KeySchemaElement) string {
	parts := make([]string, 0, len(key))
	for _, e := range key {
		if name := aws.ToString(e.AttributeName); e.KeyType == types.KeyTypeHash {
			parts = append([]string{name}, parts...)
		} else {
			parts = append(parts, name)
		}
	}
	return strings.Join(parts, ", ")
}
