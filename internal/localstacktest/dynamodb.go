package localstacktest

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// dynamoDBLocal is where scripts/localstack lets LocalStack's DynamoDB Local be
// reached without LocalStack.
const dynamoDBLocal = "http://127.0.0.1:4567"

// DynamoDB answers the address of DynamoDB Local itself, for clients with an
// account's keys, until t ends. It is as quick as a store of AWS, a few
// milliseconds a call; through LocalStack, which takes about 100 calls a second
// for all of its services, a call can take a second. Tables are made at
// LocalStack, and are the same ones.
func DynamoDB(t testing.TB) string {
	t.Helper()
	to, err := url.Parse(dynamoDBLocal)
	if err != nil {
		t.Fatal(err)
	}
	// LocalStack keeps accounts and regions apart by what it calls itself there.
	namespace := strings.ReplaceAll(Region, "-", "")
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Header.Set("Authorization", strings.Replace(r.In.Header.Get("Authorization"), "/", namespace+"/", 1))
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 100},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) { // mostly a caller that has gone
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	return s.URL
}
