package fleet_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/roomcast/roomcast/internal/fleet"
	"github.com/roomcast/roomcast/internal/localstacktest"
)

func config(endpoint, key string) aws.Config {
	return aws.Config{
		Region: localstacktest.Region, BaseEndpoint: &endpoint, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(key, "secret", ""),
	}
}

func TestTheWantedColourIsReadFromSSM(t *testing.T) {
	cfg := config(localstacktest.Endpoint, localstacktest.New(t).AccessKey)
	f := fleet.New(fleet.Options{AWS: cfg, Parameter: "/roomcast/wanted"})
	if colour, err := f.Wanted(t.Context()); err == nil {
		t.Errorf("a parameter that is not there is %q", colour)
	}
	for _, colour := range []string{"blue", "green"} {
		_, err := ssm.NewFromConfig(cfg).PutParameter(t.Context(), &ssm.PutParameterInput{
			Name: aws.String("/roomcast/wanted"), Value: &colour, Type: types.ParameterTypeString, Overwrite: aws.Bool(true),
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.Wanted(t.Context()); err != nil || got != colour {
			t.Errorf("got %q, %v; want %q", got, err, colour)
		}
	}
}

// said is a server that notes what it is asked, and answers.
func said(t *testing.T, status int, answer string) (base string, asked *[]string) {
	t.Helper()
	asked = &[]string{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*asked = append(*asked, r.Method+" "+r.URL.Path+" "+string(bytes.TrimSpace(b)))
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, answer)
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

func TestATaskIsTakenOutOfBothTargetGroupsByItsAddressAndPort(t *testing.T) {
	base, asked := said(t, http.StatusOK, `<DeregisterTargetsResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><DeregisterTargetsResult/></DeregisterTargetsResponse>`)
	f := fleet.New(fleet.Options{AWS: config(base, "1"), IP: "10.0.1.7", Targets: []fleet.Target{{Group: "arn:rtmp", Port: 1935}, {Group: "arn:web", Port: 8443}}})
	if err := f.Deregister(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"arn:rtmp 10.0.1.7 1935", "arn:web 10.0.1.7 8443"} {
		form, err := url.ParseQuery(strings.Fields((*asked)[i])[2])
		got := form.Get("TargetGroupArn") + " " + form.Get("Targets.member.1.Id") + " " + form.Get("Targets.member.1.Port")
		if err != nil || got != want || form.Get("Action") != "DeregisterTargets" {
			t.Errorf("asked %q, %v; want %q", (*asked)[i], err, want)
		}
	}
	base, _ = said(t, http.StatusForbidden, "")
	f = fleet.New(fleet.Options{AWS: config(base, "1"), IP: "10.0.1.7", Targets: []fleet.Target{{Group: "arn:rtmp", Port: 1935}}})
	if f.Deregister(t.Context()) == nil || f.Register(t.Context()) == nil {
		t.Error("a refusal is a success")
	}
}

func TestProtectionIsWhatTheAgentSaysItIs(t *testing.T) {
	protect := func(status int, answer string, on bool) (string, error) {
		base, asked := said(t, status, answer)
		err := fleet.New(fleet.Options{Agent: base + "/api/x"}).Protect(t.Context(), on)
		return strings.Join(*asked, ";"), err
	}
	asked, err := protect(http.StatusOK, `{"protection":{"ProtectionEnabled":true,"ExpirationDate":"2026-01-01T00:00:00Z","TaskArn":"x"}}`, true)
	if want := `PUT /api/x/task-protection/v1/state {"ExpiresInMinutes":60,"ProtectionEnabled":true}`; err != nil || asked != want {
		t.Errorf("%v, asked %s", err, asked)
	}
	if asked, err := protect(http.StatusOK, `{"protection":{"ProtectionEnabled":false}}`, false); err != nil || !strings.HasSuffix(asked, `{"ProtectionEnabled":false}`) {
		t.Errorf("%v, asked %s", err, asked)
	}
	for _, answer := range []string{`{"failure":{"Reason":"DEPLOYMENT_BLOCKED"}}`, `{"error":{"Code":"ThrottlingException"}}`, `{}`, ``, `[1]`} {
		if _, err := protect(http.StatusOK, answer, true); err == nil {
			t.Errorf("%s is a success", answer)
		}
	}
	if _, err := protect(http.StatusBadRequest, `{}`, true); err == nil {
		t.Error("400 is a success")
	}
	if err := fleet.New(fleet.Options{}).Protect(t.Context(), true); err != nil {
		t.Errorf("without an agent: %v", err)
	}
}

func TestTheAddressComesFromTheTasksMetadata(t *testing.T) {
	for answer, want := range map[string]string{
		`{"Networks":[{"NetworkMode":"awsvpc","IPv4Addresses":["10.0.2.106"],"AttachmentIndex":0}]}`: "10.0.2.106",
		`{"Networks":[{"IPv4Addresses":[]},{"IPv4Addresses":["x","10.0.0.1"]}]}`:                     "10.0.0.1",
		`{"Networks":[]}`: "", `{}`: "", `nonsense`: "",
	} {
		base, _ := said(t, http.StatusOK, answer)
		got, err := fleet.Address(context.Background(), base)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", answer, got, err)
		}
	}
}
