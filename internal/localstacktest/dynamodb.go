package localstacktest

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"
)

// dynamoDBLocal is where scripts/localstack lets LocalStack's DynamoDB Local be
// reached without LocalStack.
const dynamoDBLocal = "127.0.0.1:4567"

// DynamoDB answers the address of DynamoDB Local itself, for clients with an
// account's keys, until t ends. It is as quick as a store of AWS, a few
// milliseconds a call; through LocalStack, which takes about 100 calls a second
// for all of its services, a call can take a second. Tables are made at
// LocalStack, and are the same ones.
func DynamoDB(t testing.TB) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", dynamoDBLocal, time.Second)
	if err != nil {
		t.Fatalf("LocalStack runs without a way to its DynamoDB Local; start it anew (scripts/localstack stop, start; infra/localstack/compose.yaml): %v", err)
	}
	_ = c.Close() // it was only tried
	// LocalStack keeps accounts and regions apart by what it calls itself there.
	namespace := strings.ReplaceAll(Region, "-", "")
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: dynamoDBLocal})
			r.Out.Header.Set("Authorization", strings.Replace(r.In.Header.Get("Authorization"), "/", namespace+"/", 1))
		},
		Transport: transport,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) { // mostly a caller that has gone
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	return s.URL
}
