package s3_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/localstacktest"
	"github.com/roomcast/roomcast/internal/objects/objectstest"
	"github.com/roomcast/roomcast/internal/objects/s3"
)

// awsConfig is an account in LocalStack.
func awsConfig(a localstacktest.Account) aws.Config {
	return aws.Config{
		Region: localstacktest.Region, BaseEndpoint: aws.String(localstacktest.Endpoint),
		Credentials: credentials.NewStaticCredentialsProvider(a.AccessKey, a.SecretKey, ""),
	}
}

// deployed answers an empty bucket of infra/data.yaml, and where it lies.
func deployed(t *testing.T) s3.Options {
	t.Helper()
	account := localstacktest.New(t)
	return s3.Options{AWS: awsConfig(account), Bucket: account.Deploy(t, "data")["MediaBucket"]}
}

func open(t *testing.T, opt s3.Options) *s3.Bucket {
	t.Helper()
	b, err := s3.Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestContract(t *testing.T) {
	objectstest.Run(t, func(t *testing.T) control.Objects { return open(t, deployed(t)) })
}
