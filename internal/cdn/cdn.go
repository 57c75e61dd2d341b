// Package cdn makes CloudFront forget what was deleted (infra/cdn.yaml).
package cdn

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/roomcast/roomcast/internal/control"
)

// Options of New; all are required.
type Options struct {
	API *cloudfront.Client
	SSM *ssm.Client
	// Parameter is the name of the SSM parameter that holds the distribution's
	// id: the distribution comes after the functions, which it sends requests to.
	Parameter string
}

// CDN is a control.CDN. Safe for concurrent use.
type CDN struct {
	Options
	mu sync.Mutex
	id string // "" = not asked for yet
}

var _ control.CDN = (*CDN)(nil)

// New makes one without a word to AWS.
func New(o Options) *CDN { return &CDN{Options: o} }

// Forget implements control.CDN. It is done within a minute or two of the
// answer. The same reference and prefixes again cost nothing.
func (c *CDN) Forget(ctx context.Context, reference string, prefixes []string) error {
	id, err := c.distribution(ctx)
	if err != nil {
		return err
	}
	paths := make([]string, len(prefixes))
	for i, p := range prefixes {
		paths[i] = "/" + p + "*"
	}
	_, err = c.API.CreateInvalidation(ctx, &cloudfront.CreateInvalidationInput{
		DistributionId: &id,
		InvalidationBatch: &types.InvalidationBatch{
			CallerReference: &reference,
			Paths:           &types.Paths{Items: paths, Quantity: aws.Int32(int32(len(paths)))}, //nolint:gosec // a few
		},
	})
	if err != nil {
		return fmt.Errorf("invalidate %v in distribution %s: %w", paths, id, err)
	}
	return nil
}

func (c *CDN) distribution(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.id != "" {
		return c.id, nil
	}
	out, err := c.SSM.GetParameter(ctx, &ssm.GetParameterInput{Name: &c.Parameter})
	if err == nil && (out.Parameter == nil || aws.ToString(out.Parameter.Value) == "") {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", fmt.Errorf("read parameter %s: %w", c.Parameter, err)
	}
	c.id = aws.ToString(out.Parameter.Value)
	return c.id, nil
}
