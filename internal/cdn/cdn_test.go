package cdn_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/roomcast/roomcast/internal/cdn"
)

// made is one whose AWS (LocalStack's free edition has no CloudFront) answers
// this, and what it was asked.
func made(t *testing.T, parameter string, status int, answer string) (*cdn.CDN, *[]string) {
	t.Helper()
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked = append(asked, fmt.Sprintf("%s %s %s%s", r.Method, r.URL.Path, r.Header.Get("X-Amz-Target"), b))
		if r.Header.Get("X-Amz-Target") != "" {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			_, _ = io.WriteString(w, parameter)
			return
		}
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	keys := credentials.NewStaticCredentialsProvider("id", "secret", "")
	return cdn.New(cdn.Options{
		API:       cloudfront.New(cloudfront.Options{Region: "us-east-1", BaseEndpoint: aws.String(server.URL), RetryMaxAttempts: 1, Credentials: keys}),
		SSM:       ssm.New(ssm.Options{Region: "us-east-1", BaseEndpoint: aws.String(server.URL), RetryMaxAttempts: 1, Credentials: keys}),
		Parameter: "/stack/distribution",
	}), &asked
}

const stored = `{"Parameter":{"Name":"/stack/distribution","Value":"E123"}}`

func TestWhatIsDeletedIsInvalidated(t *testing.T) {
	c, asked := made(t, stored, 201, `<Invalidation><Id>I1</Id><Status>InProgress</Status></Invalidation>`)
	for range 2 {
		if err := c.Forget(t.Context(), "job_1", []string{"live/p/", "posts/post_1/"}); err != nil {
			t.Fatal(err)
		}
	}
	if len(*asked) != 3 || !strings.Contains((*asked)[0], `AmazonSSM.GetParameter{"Name":"/stack/distribution"}`) {
		t.Fatalf("asked %q; the parameter once", *asked)
	}
	for _, want := range []string{"POST ", "/distribution/E123/invalidation", "<CallerReference>job_1</CallerReference>", "<Path>/live/p/*</Path><Path>/posts/post_1/*</Path>", "<Quantity>2</Quantity>"} {
		if !strings.Contains((*asked)[1], want) {
			t.Errorf("%q is not in %s", want, (*asked)[1])
		}
	}
}

func TestWhatFailsIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		parameter string
		status    int
		answer    string
		says      string
	}{
		"no parameter":     {`{}`, 201, "", "empty"},
		"too many at once": {stored, 400, `<ErrorResponse><Error><Code>TooManyInvalidationsInProgress</Code></Error></ErrorResponse>`, "TooManyInvalidationsInProgress"},
	} {
		d, _ := made(t, c.parameter, c.status, c.answer)
		if err := d.Forget(t.Context(), "job_1", []string{"live/p/"}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
