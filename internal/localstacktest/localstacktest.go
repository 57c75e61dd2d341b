// Package localstacktest gives tests an AWS of their own: it sees to it that
// LocalStack runs (scripts/localstack) and deploys the very templates of
// infra/ into it by CloudFormation. Tests only.
//
// It speaks CloudFormation's wire format itself, so that only adapters know
// the AWS SDK.
package localstacktest

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// Where LocalStack listens, and the region that tests use.
const (
	Endpoint = "http://127.0.0.1:4566"
	Region   = "us-east-1"
)

// Account is an AWS account that nobody else uses: tables, queues and buckets
// of another one are not seen. It stays when the test is over, with what is in
// it, until LocalStack ends.
type Account struct {
	// ID has 12 digits. LocalStack takes it from the access key.
	ID        string
	AccessKey string
	SecretKey string
}

// New answers a new account in a LocalStack that runs; it starts one where
// none does, which takes half a minute, and two the first time.
func New(t testing.TB) Account {
	t.Helper()
	if err := Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	n, err := rand.Int(rand.Reader, big.NewInt(900_000_000_000))
	if err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprintf("%012d", n.Int64()+100_000_000_000)
	return Account{ID: id, AccessKey: id, SecretKey: "secret"}
}

// Start starts LocalStack unless it runs. Safe to call from many processes.
func Start(ctx context.Context) error {
	if healthy(ctx) {
		return nil
	}
	// #nosec G204 -- a script of this repository
	out, err := exec.CommandContext(ctx, filepath.Join(root(), "scripts", "localstack"), "start").CombinedOutput()
	if err != nil {
		return fmt.Errorf("start LocalStack: %w: %s", err, out)
	}
	return nil
}

// client is that of one call; LocalStack loads a service when it is first asked.
func client() *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
}

func healthy(ctx context.Context) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, Endpoint+"/_localstack/health", nil)
	if err != nil {
		return false
	}
	answer, err := client().Do(r)
	if err != nil {
		return false
	}
	return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
}

// root is the repository's.
func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// template reads one of infra/ by its name, without ".yaml".
func template(name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root(), "infra", name+".yaml")) // #nosec G304 -- a file of this repository
	if err != nil {
		return "", fmt.Errorf("read template: %w", err)
	}
	return string(b), nil
}
