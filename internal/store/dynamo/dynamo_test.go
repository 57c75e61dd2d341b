package dynamo_test

import (
	"context"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/localstacktest"
	"github.com/roomcast/roomcast/internal/store/dynamo"
	"github.com/roomcast/roomcast/internal/store/storetest"
)

// table is a table of its own in an account of its own.
type table struct {
	name   string
	config aws.Config
}

func newTable(t *testing.T) table {
	t.Helper()
	account := localstacktest.New(t)
	out := account.Deploy(t, "data")
	return table{name: out["TableName"], config: configOf(account)}
}

func configOf(account localstacktest.Account) aws.Config {
	return aws.Config{
		Region:       localstacktest.Region,
		BaseEndpoint: aws.String(localstacktest.Endpoint),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: account.AccessKey, SecretAccessKey: account.SecretKey}, nil
		}),
	}
}

func (tb table) open(t *testing.T) *dynamo.Store {
	t.Helper()
	s, err := dynamo.Open(t.Context(), tb.options())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (tb table) options() dynamo.Options {
	// LocalStack on a loaded machine is slow.
	return dynamo.Options{AWS: tb.config, Table: tb.name, Now: time.Now, AttemptTimeout: 30 * time.Second}
}

// again makes a table as this one is in another account, without the seconds
// that CloudFormation takes.
func (tb table) again(t *testing.T) table {
	t.Helper()
	made, err := dynamodb.NewFromConfig(tb.config).DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &tb.name})
	if err != nil {
		t.Fatal(err)
	}
	in := &dynamodb.CreateTableInput{
		TableName: &tb.name, BillingMode: types.BillingModePayPerRequest, StreamSpecification: made.Table.StreamSpecification,
		AttributeDefinitions: made.Table.AttributeDefinitions, KeySchema: made.Table.KeySchema,
	}
	for _, g := range made.Table.GlobalSecondaryIndexes {
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
			IndexName: g.IndexName, KeySchema: g.KeySchema, Projection: g.Projection,
		})
	}
	other := table{name: tb.name, config: configOf(localstacktest.New(t))}
	if _, err := dynamodb.NewFromConfig(other.config).CreateTable(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	return other
}

func TestContract(t *testing.T) {
	deployed := newTable(t)
	storetest.Run(t, func(t *testing.T) (control.Store, control.Leases) {
		s := deployed.again(t).open(t)
		return s, s
	})
}

func TestIdempotencyContract(t *testing.T) {
	deployed := newTable(t)
	storetest.RunIdempotency(t, func(t *testing.T) (control.Store, control.Idempotency) {
		s := deployed.again(t).open(t)
		return s, s
	})
}

func TestCustomersContract(t *testing.T) {
	deployed := newTable(t)
	storetest.RunCustomers(t, func(t *testing.T) storetest.Customers { return deployed.again(t).open(t) })
}

// TestMain has the contract's model drawn less often: a step is a thousand
// times slower than on a file.
func TestMain(m *testing.M) {
	flag.Parse()
	for name, value := range map[string]string{"rapid.checks": "4", "rapid.steps": "12"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
