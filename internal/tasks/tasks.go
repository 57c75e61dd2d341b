// Package tasks starts workers/transcoder as an ECS task on Fargate, one for
// each job (infra/workers.yaml).
package tasks

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/roomcast/roomcast/internal/control"
)

const (
	// container and jobVariable are what infra/workers.yaml and
	// workers/transcoder agree on.
	container   = "transcoder"
	jobVariable = "ROOMCAST_JOB_ID"
	// Spare capacity is cheaper and may be taken away with two minutes' notice.
	spareProvider, steadyProvider = "FARGATE_SPOT", "FARGATE"
)

// API is what a Launcher needs of ECS; *ecs.Client is one.
type API interface {
	RunTask(ctx context.Context, in *ecs.RunTaskInput, opts ...func(*ecs.Options)) (*ecs.RunTaskOutput, error)
}

// Options name where tasks run; all are required.
type Options struct {
	API     API
	Cluster string
	// Task is the task definition, with its revision.
	Task           string
	Subnets        []string
	SecurityGroups []string
	// PublicIP gives a task an address of its own: without a NAT gateway or
	// endpoints it reaches AWS in no other way.
	PublicIP bool
}

// Launcher is a control.Launcher. Safe for concurrent use.
type Launcher struct{ Options }

var _ control.Launcher = (*Launcher)(nil)

// New makes a launcher without a word to AWS.
func New(o Options) *Launcher { return &Launcher{o} }

// Launch starts a task for the job. Where spare capacity is wanted and there is
// none, it takes capacity that stays. A launch that is sent again, because its
// answer was lost, starts no second task.
func (l *Launcher) Launch(ctx context.Context, j control.Job, spare bool) error {
	providers := []string{steadyProvider}
	if spare {
		providers = []string{spareProvider, steadyProvider}
	}
	var err error
	for _, provider := range providers {
		if err = l.run(ctx, j, provider); !errors.Is(err, errNoCapacity) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("start a task for job %s: %w", j.ID, err)
	}
	return nil
}

var errNoCapacity = errors.New("no capacity")

func (l *Launcher) run(ctx context.Context, j control.Job, provider string) error {
	publicIP := types.AssignPublicIpDisabled
	if l.PublicIP {
		publicIP = types.AssignPublicIpEnabled
	}
	out, err := l.API.RunTask(ctx, &ecs.RunTaskInput{
		Cluster: &l.Cluster, TaskDefinition: &l.Task, Count: aws.Int32(1),
		CapacityProviderStrategy: []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String(provider), Weight: 1}},
		NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{
			Subnets: l.Subnets, SecurityGroups: l.SecurityGroups, AssignPublicIp: publicIP,
		}},
		Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{{
			Name: aws.String(container), Environment: []types.KeyValuePair{{Name: aws.String(jobVariable), Value: &j.ID}},
		}}},
		// At most 64 characters; ECS knows it for a day.
		ClientToken: aws.String(fmt.Sprintf("%s-%d-%s", j.ID, j.Launches, provider)),
		StartedBy:   aws.String("archiver"),
	})
	var unavailable *types.ServerException
	switch {
	case errors.As(err, &unavailable) && isCapacity(unavailable.ErrorMessage()):
		return fmt.Errorf("%s: %w", provider, errNoCapacity)
	case err != nil:
		return err
	case len(out.Tasks) > 0:
		return nil
	}
	if len(out.Failures) == 0 {
		return fmt.Errorf("%s: ECS answered neither a task nor a failure", provider)
	}
	reason := strings.TrimSpace(aws.ToString(out.Failures[0].Reason) + " " + aws.ToString(out.Failures[0].Detail))
	if isCapacity(reason) {
		return fmt.Errorf("%s: %w", provider, errNoCapacity)
	}
	return fmt.Errorf("%s: %s", provider, reason)
}

// isCapacity knows how ECS says that there is none ("Capacity is unavailable at
// this time", RESOURCE:…).
func isCapacity(reason string) bool {
	return strings.Contains(strings.ToLower(reason), "capacity is unavailable") || strings.HasPrefix(reason, "RESOURCE:")
}
