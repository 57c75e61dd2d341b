package dynamo_test

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/roomcast/roomcast/internal/store/dynamo"
)

func TestWrongConfigurationIsOneClearLine(t *testing.T) {
	tb := newTable(t)
	other := "other"
	_, err := dynamodb.NewFromConfig(tb.config).CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &other, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash}},
	})
	if err != nil {
		t.Fatal(err)
	}
	refusal := &faults{}
	for name, test := range map[string]struct {
		change func(*dynamo.Options)
		want   string
	}{
		"no table named":     {func(o *dynamo.Options) { o.Table = "" }, "no table is named"},
		"no region":          {func(o *dynamo.Options) { o.AWS.Region = "" }, "no AWS region"},
		"no credentials":     {func(o *dynamo.Options) { o.AWS.Credentials = nil }, "no AWS credentials"},
		"another region":     {func(o *dynamo.Options) { o.AWS.Region = "eu-west-3" }, "in region eu-west-3: there is none"},
		"a missing table":    {func(o *dynamo.Options) { o.Table = "nowhere" }, "table nowhere in region us-east-1: there is none"},
		"another schema":     {func(o *dynamo.Options) { o.Table = other }, "the table has the key pk, want pk, sk"},
		"nobody listens":     {func(o *dynamo.Options) { o.AWS.BaseEndpoint = aws.String("http://127.0.0.1:1") }, "connection refused"},
		"wrong credentials":  {func(o *dynamo.Options) { o.AWS.APIOptions = append(o.AWS.APIOptions, refusal.install) }, "the credentials are refused: injected"},
		"failed credentials": {func(o *dynamo.Options) { o.AWS.Credentials = noCredentials() }, "no instance role"},
	} {
		refusal.set(refuses(400, "UnrecognizedClientException", ""))
		opt := tb.options()
		test.change(&opt)
		s, err := dynamo.Open(t.Context(), opt)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") || s != nil {
			t.Errorf("%s: %v, want one line with %q", name, err, test.want)
		}
	}
}

func noCredentials() aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, &roleError{}
	})
}

type roleError struct{}

func (*roleError) Error() string { return "no instance role" }
