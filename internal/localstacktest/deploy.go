package localstacktest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Deploy deploys infra/NAME.yaml as a stack of its own and answers its outputs.
// LocalStack ignores stack updates, so each call makes a new stack.
func (a Account) Deploy(t testing.TB, name string) map[string]string {
	t.Helper()
	outputs, err := a.deploy(t.Context(), name)
	if err != nil {
		t.Fatalf("deploy infra/%s.yaml: %v", name, err)
	}
	return outputs
}

func (a Account) deploy(ctx context.Context, name string) (map[string]string, error) {
	body, err := template(name)
	if err != nil {
		return nil, err
	}
	stack := name + "-" + rand.Text()
	err = a.call(ctx, url.Values{"Action": {"CreateStack"}, "StackName": {stack}, "TemplateBody": {body}}, nil)
	if err != nil {
		return nil, err
	}
	for {
		var answer struct {
			Stack struct {
				Status  string `xml:"StackStatus"`
				Reason  string `xml:"StackStatusReason"`
				Outputs []struct {
					Key   string `xml:"OutputKey"`
					Value string `xml:"OutputValue"`
				} `xml:"Outputs>member"`
			} `xml:"DescribeStacksResult>Stacks>member"`
		}
		if err := a.call(ctx, url.Values{"Action": {"DescribeStacks"}, "StackName": {stack}}, &answer); err != nil {
			return nil, err
		}
		switch s := answer.Stack; {
		case s.Status == "CREATE_COMPLETE":
			outputs := map[string]string{}
			for _, o := range s.Outputs {
				outputs[o.Key] = o.Value
			}
			return outputs, nil
		case !strings.HasSuffix(s.Status, "_IN_PROGRESS"):
			return nil, fmt.Errorf("stack %s is %s: %s", stack, s.Status, s.Reason)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond): //nolint:forbidigo // waits for another process
		}
	}
}

// call calls CloudFormation (its Query API). The signature is empty: LocalStack
// reads the account and checks nothing.
func (a Account) call(ctx context.Context, form url.Values, answer any) error {
	form.Set("Version", "2010-05-15")
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, Endpoint+"/", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/20260101/%s/cloudformation/aws4_request, SignedHeaders=host, Signature=none", a.AccessKey, Region))
	response, err := client().Do(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(response.Body)
	if closeErr := response.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("%s: %w", form.Get("Action"), err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", form.Get("Action"), response.Status, bytes.TrimSpace(body))
	}
	if answer == nil {
		return nil
	}
	return xml.Unmarshal(body, answer)
}
