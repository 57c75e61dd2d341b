package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/httpapi"
)

// handler answers one request of an HTTP API, payload format 2.0. The API's
// stage is $default: the path is the request's own.
type handler func(ctx context.Context, r events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error)

func newHandler(c config.API, service *control.Service, counts httpapi.SharedCounts, ids control.IDs, now func() time.Time, log *slog.Logger) (handler, error) {
	api, err := httpapi.New(httpapi.Options{
		Service: service, TokenKeys: func() [][]byte { return c.TokenKeys }, OperatorToken: c.OperatorToken, Now: now,
		Rates: httpapi.Rates{PerApp: c.Rates.PerApp, PerAddress: c.Rates.PerAddress, Shared: counts},
		IDs:   func() string { return ids.New("req") }, Log: log,
	})
	if err != nil {
		return nil, err
	}
	return httpadapter.NewV2(api).ProxyWithContext, nil
}
