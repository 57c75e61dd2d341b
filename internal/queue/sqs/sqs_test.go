package sqs_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	api "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/roomcast/roomcast/internal/localstacktest"
	"github.com/roomcast/roomcast/internal/queue/queuetest"
	"github.com/roomcast/roomcast/internal/queue/sqs"
)

func awsConfig(a localstacktest.Account) aws.Config {
	return aws.Config{
		Region: localstacktest.Region, BaseEndpoint: aws.String(localstacktest.Endpoint),
		Credentials: credentials.NewStaticCredentialsProvider(a.AccessKey, a.SecretKey, ""),
	}
}

// deployed answers the queue of infra/queues.yaml.
func deployed(t *testing.T) (opt sqs.Options, out map[string]string) {
	t.Helper()
	account := localstacktest.New(t)
	out = account.Deploy(t, "queues")
	return sqs.Options{AWS: awsConfig(account), URL: out["StateEventsUrl"], Now: time.Now}, out
}

func open(t *testing.T, opt sqs.Options) *sqs.Queue {
	t.Helper()
	q, err := sqs.Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// hurried gives a deployed queue the patience of the contract's tests.
func hurried(t *testing.T, c queuetest.Config) sqs.Options {
	t.Helper()
	opt, out := deployed(t)
	_, err := api.NewFromConfig(opt.AWS).SetQueueAttributes(context.Background(), &api.SetQueueAttributesInput{
		QueueUrl: &opt.URL,
		Attributes: map[string]string{
			"VisibilityTimeout": strconv.Itoa(int(c.Visibility / time.Second)),
			"RedrivePolicy":     fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"%d"}`, out["StateEventsDeadArn"], c.MaxReceives),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

func TestContract(t *testing.T) {
	queuetest.Run(t, func(t *testing.T, c queuetest.Config) queuetest.Backend {
		return queuetest.Backend{Queue: open(t, hurried(t, c)), Pass: time.Sleep}
	})
}
