package main

import (
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go/middleware"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ids"
	"github.com/roomcast/roomcast/internal/lambdatest"
	"github.com/roomcast/roomcast/internal/localstacktest"
	"github.com/roomcast/roomcast/internal/store/dynamo"
)

const requests = 10_000

func environment(t *testing.T) map[string]string {
	t.Helper()
	account := localstacktest.New(t)
	out, queues := account.Deploy(t, "data"), account.Deploy(t, "queues")
	return map[string]string{
		"AWS_REGION": localstacktest.Region, "AWS_ENDPOINT_URL": localstacktest.Endpoint,
		"AWS_ACCESS_KEY_ID": account.AccessKey, "AWS_SECRET_ACCESS_KEY": account.SecretKey,
		"ROOMCAST_TABLE": out["TableName"], "ROOMCAST_STATE_EVENTS_URL": queues["StateEventsUrl"], "ROOMCAST_DELIVERIES_URL": queues["DeliveriesUrl"],
		"ROOMCAST_PUBLIC_URL": "https://live.example.com", "ROOMCAST_RTMP_URL": "rtmp://ingest.example.com",
		"ROOMCAST_TOKEN_KEY": strings.Repeat("k", 32), "ROOMCAST_OPERATOR_TOKEN": "operator",
	}
}

// request is events/api.json with another method, path, credential and body.
func request(t *testing.T, method, path, credential, body string) []byte {
	t.Helper()
	var r events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(lambdatest.Event(t, "api"), &r); err != nil {
		t.Fatal(err)
	}
	r.RawPath, r.RequestContext.HTTP.Path, r.RequestContext.HTTP.Method = path, path, method
	if credential != "" {
		r.Headers["authorization"] = credential
	}
	if body != "" {
		r.Headers["content-type"], r.Body = "application/json", body
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// invoker is the built process or the handler in this one.
type invoker func(event []byte) events.APIGatewayV2HTTPResponse

func (invoke invoker) call(t *testing.T, want int, method, path, credential, in string, out any) {
	t.Helper()
	r := invoke(request(t, method, path, credential, in))
	if r.StatusCode != want {
		t.Fatalf("%s %s: %d, want %d: %s", method, path, r.StatusCode, want, r.Body)
	}
	body := []byte(r.Body)
	if r.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(r.Body); err != nil {
			t.Fatal(err)
		}
	}
	if out != nil {
		if err := json.Unmarshal(body, out); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, body)
		}
	}
}

// serves is what a customer does first.
func (invoke invoker) serves(t *testing.T) {
	t.Helper()
	var made struct{ APIKey, APISecret string }
	invoke.call(t, 201, "POST", "/v2/admin/apps", "Bearer operator", `{"name":"acme"}`, &made)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(made.APIKey+":"+made.APISecret))
	invoke.call(t, 201, "POST", "/v2/apps/me/members", basic, `{"appUserId":"ada"}`, nil)
	var key struct{ IngestURL, StreamKeyState string }
	invoke.call(t, 200, "GET", "/v2/apps/me/members/ada/stream-key", basic, "", &key)
	if key.IngestURL != "rtmp://ingest.example.com/live" || key.StreamKeyState != "INACTIVE" {
		t.Errorf("%+v", key)
	}
	var problem struct{ ErrorCode string }
	invoke.call(t, 401, "GET", "/v2/apps/me", "Basic eDp5", "", &problem)
	invoke.call(t, 404, "GET", "/no/such/path", "", "", &problem)
	if problem.ErrorCode == "" {
		t.Error("a wrong path is no problem document")
	}
}

func TestTheBuiltBootstrapServesTheAPI(t *testing.T) {
	p := lambdatest.Cold(t, "api", environment(t))
	invoke := invoker(func(event []byte) (r events.APIGatewayV2HTTPResponse) {
		if err := p.Invoke(event, &r); err != nil {
			t.Fatal(err)
		}
		return r
	})
	invoke.call(t, 200, "GET", "/openapi.json", "", "", nil)
	invoke.serves(t)
	p.Frugal(request(t, "GET", "/v2/apps/me", "", ""), requests)
}

// assembled is the handler on what the environment names.
func assembled(t *testing.T, env map[string]string, now func() time.Time, options ...func(*middleware.Stack) error) (handler, *control.Service, *dynamo.Store) {
	t.Helper()
	cfg := aws.Config{
		Region: env["AWS_REGION"], BaseEndpoint: aws.String(env["AWS_ENDPOINT_URL"]), APIOptions: options,
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""),
	}
	store, err := dynamo.New(dynamo.Options{AWS: cfg, Table: env["ROOMCAST_TABLE"], Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	settings, err := config.LoadAPI(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	source := ids.New(time.Now)
	service := control.New(control.Options{
		Store: store, Idempotency: store, Feed: store, Webhooks: store, IDs: source, Now: now,
		URLs: control.URLs{HTTP: settings.PublicURL, RTMP: settings.RTMPURL},
	})
	h, err := newHandler(settings, service, store, source, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return h, service, store
}

// inProcess is the handler as one of several functions has it.
func inProcess(t *testing.T, env map[string]string) invoker {
	t.Helper()
	h, _, _ := assembled(t, env, time.Now)
	return h.invoker(t)
}

func (h handler) invoker(t *testing.T) invoker {
	return func(event []byte) (r events.APIGatewayV2HTTPResponse) {
		b, err := lambda.NewHandler(h).Invoke(t.Context(), event)
		if err == nil {
			err = json.Unmarshal(b, &r)
		}
		if err != nil {
			t.Error(err)
		}
		return r
	}
}

func TestTheHandlerServesTheAPIInProcess(t *testing.T) {
	inProcess(t, environment(t)).serves(t)
}

func TestWrongSettingsAreNamedAndNothingStarts(t *testing.T) {
	said := lambdatest.Refused(t, lambdatest.Build(t, "api"), map[string]string{"AWS_REGION": "us-east-1"})
	for _, name := range []string{"ROOMCAST_TABLE", "ROOMCAST_PUBLIC_URL", "ROOMCAST_RTMP_URL", "ROOMCAST_TOKEN_KEY"} {
		if !strings.Contains(said, name) {
			t.Errorf("%s is missing in %q", name, said)
		}
	}
}
