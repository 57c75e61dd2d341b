// Package fleet is the ECS service around a worker: the wanted colour, the
// load balancer's targets, task protection, and the task's own address.
package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// protectMinutes is how long ECS protects a task without hearing of it.
const protectMinutes = 60

// Target is this task in one target group.
type Target struct {
	Group string // ARN
	Port  int
}

// Options of New. All but Agent are required.
type Options struct {
	AWS aws.Config
	// Parameter is the SSM parameter that holds the wanted colour
	// (infra/workers.yaml).
	Parameter string
	// IP is this task's; see Address.
	IP      string
	Targets []Target
	// Agent is ECS_AGENT_URI; "" = there is none, and nothing to protect from.
	Agent string
}

// Fleet is an ECS service as one of its tasks sees it. Safe for concurrent use.
type Fleet struct {
	Options
	ssm *ssm.Client
	elb *elb.Client
}

// New makes a Fleet without a word to AWS.
func New(o Options) *Fleet {
	return &Fleet{Options: o, ssm: ssm.NewFromConfig(o.AWS), elb: elb.NewFromConfig(o.AWS)}
}

// Wanted is the colour that shall serve.
func (f *Fleet) Wanted(ctx context.Context) (string, error) {
	out, err := f.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: &f.Parameter})
	if err != nil {
		return "", fmt.Errorf("read the wanted colour: %w", err)
	}
	if out.Parameter == nil || out.Parameter.Value == nil {
		return "", errors.New("read the wanted colour: it has no value")
	}
	return *out.Parameter.Value, nil
}

// Register makes the load balancer send new connections to this task.
func (f *Fleet) Register(ctx context.Context) error {
	var problems []error
	for _, t := range f.Targets {
		_, err := f.elb.RegisterTargets(ctx, &elb.RegisterTargetsInput{TargetGroupArn: &t.Group, Targets: f.self(t)})
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// Deregister makes it stop. Connections that are there stay.
func (f *Fleet) Deregister(ctx context.Context) error {
	var problems []error
	for _, t := range f.Targets {
		_, err := f.elb.DeregisterTargets(ctx, &elb.DeregisterTargetsInput{TargetGroupArn: &t.Group, Targets: f.self(t)})
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

func (f *Fleet) self(t Target) []types.TargetDescription {
	port := int32(t.Port) //nolint:gosec // a port
	return []types.TargetDescription{{Id: &f.IP, Port: &port}}
}

// Protect keeps scale-in and deployments from ending this task for an hour, or
// lets them again (Amazon ECS, "Task scale-in protection endpoint").
func (f *Fleet) Protect(ctx context.Context, on bool) error {
	if f.Agent == "" {
		return nil
	}
	wish := map[string]any{"ProtectionEnabled": on}
	if on {
		wish["ExpiresInMinutes"] = protectMinutes
	}
	body, err := json.Marshal(wish)
	if err != nil {
		return err
	}
	var answer struct {
		Protection struct{ ProtectionEnabled bool } `json:"protection"`
		Failure    struct{ Reason string }          `json:"failure"`
		Error      struct{ Code, Message string }   `json:"error"`
	}
	if err := talk(ctx, http.MethodPut, f.Agent+"/task-protection/v1/state", body, &answer); err != nil {
		return fmt.Errorf("protect the task: %w", err)
	}
	if answer.Protection.ProtectionEnabled != on {
		return fmt.Errorf("protect the task: %s %s %s", answer.Failure.Reason, answer.Error.Code, answer.Error.Message)
	}
	return nil
}

// Address asks ECS's metadata (ECS_CONTAINER_METADATA_URI_V4) for this task's
// private address.
func Address(ctx context.Context, metadata string) (string, error) {
	var answer struct {
		Networks []struct {
			Addresses []string `json:"IPv4Addresses"`
		} `json:"Networks"`
	}
	if err := talk(ctx, http.MethodGet, metadata, nil, &answer); err != nil {
		return "", fmt.Errorf("ask for this task's address: %w", err)
	}
	for _, n := range answer.Networks {
		for _, a := range n.Addresses {
			if net.ParseIP(a) != nil {
				return a, nil
			}
		}
	}
	return "", errors.New("ask for this task's address: it has none")
}

const (
	talkTimeout = 5 * time.Second
	mostBytes   = 1 << 20
)

// talk speaks with the agent on this machine.
func talk(ctx context.Context, method, url string, body []byte, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Timeout: talkTimeout}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // was only read
	b, err := io.ReadAll(io.LimitReader(resp.Body, mostBytes))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %.200s", resp.Status, b)
	}
	return json.Unmarshal(b, answer)
}
