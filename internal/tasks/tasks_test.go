package tasks_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ecs"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/tasks"
)

// task is what ECS is asked for, as it is on the wire.
type task struct {
	Cluster, TaskDefinition, ClientToken string
	CapacityProviderStrategy             []struct{ CapacityProvider string }
	NetworkConfiguration                 struct {
		AwsvpcConfiguration struct {
			Subnets, SecurityGroups []string
			AssignPublicIP          string `json:"assignPublicIp"`
		}
	}
	Overrides struct {
		ContainerOverrides []struct {
			Name        string
			Environment []struct{ Name, Value string }
		}
	}
}

// launcher is one whose ECS (LocalStack's free edition has none) gives these
// answers one after the other, a status and a body each.
func launcher(t *testing.T, answers ...string) (l *tasks.Launcher, asked func() []task) {
	t.Helper()
	var got []task
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		var in task
		if err == nil {
			err = json.Unmarshal(b, &in)
		}
		if err != nil || len(got) == len(answers) || !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".RunTask") {
			t.Errorf("%s %q: %v", r.Header.Get("X-Amz-Target"), b, err)
			return
		}
		status, body, _ := strings.Cut(answers[len(got)], " ")
		got = append(got, in)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		var code int
		_, _ = fmt.Sscan(status, &code)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	client := ecs.New(ecs.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	})
	return tasks.New(tasks.Options{
		API: client, Cluster: "cluster", Task: "transcoder:7", Subnets: []string{"subnet-1", "subnet-2"}, SecurityGroups: []string{"sg-1"}, PublicIP: true,
	}), func() []task { return got }
}

const (
	started = `200 {"tasks":[{"taskArn":"arn"}],"failures":[]}`
	full    = `200 {"tasks":[],"failures":[{"reason":"Capacity is unavailable at this time. Please try again later or in a different availability zone"}]}`
)

func TestATaskIsStartedForTheJob(t *testing.T) {
	l, asked := launcher(t, started)
	if err := l.Launch(t.Context(), control.Job{ID: "job_01jz0000000000000000000000", Launches: 3}, false); err != nil {
		t.Fatal(err)
	}
	in := asked()[0]
	net := in.NetworkConfiguration.AwsvpcConfiguration
	if in.Cluster != "cluster" || in.TaskDefinition != "transcoder:7" || !slices.Equal(net.Subnets, []string{"subnet-1", "subnet-2"}) ||
		!slices.Equal(net.SecurityGroups, []string{"sg-1"}) || net.AssignPublicIP != "ENABLED" {
		t.Errorf("asked for %+v", in)
	}
	if c := in.Overrides.ContainerOverrides; len(c) != 1 || c[0].Name != "transcoder" || fmt.Sprint(c[0].Environment) != "[{ROOMCAST_JOB_ID job_01jz0000000000000000000000}]" {
		t.Errorf("the container is told %+v", c)
	}
	if in.CapacityProviderStrategy[0].CapacityProvider != "FARGATE" || len(in.ClientToken) > 64 || !strings.Contains(in.ClientToken, "-3-") {
		t.Errorf("asked for %+v", in)
	}
}

func TestSpareCapacityIsTakenWhereThereIsSome(t *testing.T) {
	for name, c := range map[string]struct {
		answers []string
		want    []string
		fails   string
	}{
		"there is some":           {[]string{started}, []string{"FARGATE_SPOT"}, ""},
		"there is none":           {[]string{full, started}, []string{"FARGATE_SPOT", "FARGATE"}, ""},
		"there is none, as error": {[]string{`500 {"__type":"ServerException","message":"Capacity is unavailable at this time."}`, started}, []string{"FARGATE_SPOT", "FARGATE"}, ""},
		"nowhere is any":          {[]string{full, full}, []string{"FARGATE_SPOT", "FARGATE"}, "no capacity"},
		"another failure":         {[]string{`200 {"failures":[{"reason":"MISSING"}]}`}, []string{"FARGATE_SPOT"}, "MISSING"},
		"neither nor":             {[]string{`200 {}`}, []string{"FARGATE_SPOT"}, "neither"},
		"refused":                 {[]string{`400 {"__type":"AccessDeniedException","message":"not authorized"}`}, []string{"FARGATE_SPOT"}, "not authorized"},
	} {
		l, asked := launcher(t, c.answers...)
		err := l.Launch(t.Context(), control.Job{ID: "job", Launches: 1}, true)
		if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: %v, want %q", name, err, c.fails)
		}
		var got, tokens []string
		for _, in := range asked() {
			got, tokens = append(got, in.CapacityProviderStrategy[0].CapacityProvider), append(tokens, in.ClientToken)
		}
		if slices.Sort(tokens); !slices.Equal(got, c.want) || len(slices.Compact(tokens)) != len(c.want) {
			t.Errorf("%s: asked for %v under %v, want %v", name, got, tokens, c.want)
		}
	}
}
