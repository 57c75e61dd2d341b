package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"github.com/roomcast/roomcast/client"
	"github.com/roomcast/roomcast/internal/config"
)

// running says where the `up` is that a command talks to.
type running struct {
	Data string `help:"The data directory of the running 'up' (ROOMCAST_DATA, default .roomcast)." placeholder:"DIR"`
	HTTP string `name:"http" help:"Its HTTP address (ROOMCAST_HTTP, default 127.0.0.1:8080)." placeholder:"ADDR"`
}

// connect answers its settings and credentials.
func (r running) connect() (config.Up, credentials, error) {
	settings, err := config.LoadUp(config.Up{Data: r.Data, HTTP: r.HTTP}, config.OSEnv)
	if err != nil {
		return settings, credentials{}, fmt.Errorf("wrong settings:\n%w", err)
	}
	creds, err := readCredentials(settings.Data)
	if err != nil {
		return settings, creds, fmt.Errorf("%w: is 'roomcast up' running with --data %s?", err, settings.Data)
	}
	if settings.OperatorToken != "" {
		creds.OperatorToken = settings.OperatorToken
	}
	return settings, creds, nil
}

// cliTries: somebody waits at a prompt.
const cliTries = 2

// operator is a client of the admin API.
func (r running) operator() (*client.Client, error) {
	settings, creds, err := r.connect()
	if err != nil {
		return nil, err
	}
	return client.New(client.Options{URL: "http://" + settings.Local(), Auth: client.BearerToken(creds.OperatorToken), Tries: cliTries})
}

type adminCmd struct {
	CreateApp    createAppCmd    `cmd:"" help:"Make an app with its first API key. The secret is shown once."`
	RotateAPIKey rotateAPIKeyCmd `cmd:"" name:"rotate-api-key" help:"Make a further API key of an app. The secret is shown once."`
	RotateToken  rotateTokenCmd  `cmd:"" name:"rotate-token-key" help:"Replace the key of member tokens. Nobody is logged out."`
	Apps         appsCmd         `cmd:"" help:"List the apps."`
	Keys         keysCmd         `cmd:"" help:"List stream keys, without their strings."`
	Rooms        roomsCmd        `cmd:"" help:"List video rooms."`
	Journal      journalCmd      `cmd:"" help:"Print why a room is in its state."`
	Events       eventsCmd       `cmd:"" help:"Print an app's feed of events."`
	Workers      workersCmd      `cmd:"" help:"List the workers that have publishers."`
	DLQ          dlqCmd          `cmd:"" name:"dlq" help:"State events that could not be applied."`
}

type createAppCmd struct {
	running
	Name string `required:"" help:"The app's name."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// newKey is printed in the words of credentials.json.
type newKey struct {
	AppID     string `json:"appId"`
	APIKey    string `json:"apiKey"`
	APISecret string `json:"apiSecret"`
}

// Run makes the app.
func (c *createAppCmd) Run() error {
	return c.admin(c.JSON, "", "/v2/admin/apps", map[string]string{"name": c.Name})
}

type rotateAPIKeyCmd struct {
	running
	App  string `required:"" help:"The app's id."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// Run makes the key.
func (c *rotateAPIKeyCmd) Run() error {
	return c.admin(c.JSON, c.App, "/v2/admin/apps/"+url.PathEscape(c.App)+"/api-keys", map[string]string{})
}

// admin asks for a new key of app; "" = of the app that the answer names.
func (r running) admin(asJSON bool, app, path string, in any) error {
	api, err := r.operator()
	if err != nil {
		return err
	}
	var answer struct {
		App struct {
			ID string `json:"id"`
		} `json:"app"`
		APIKey    string `json:"apiKey"`
		APISecret string `json:"apiSecret"`
	}
	if err := api.Do(context.Background(), http.MethodPost, path, in, &answer); err != nil {
		return err
	}
	out := newKey{AppID: app, APIKey: answer.APIKey, APISecret: answer.APISecret}
	if app == "" {
		out.AppID = answer.App.ID
	}
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(out) //nolint:gosec // it is shown this once
	}
	_, err = fmt.Printf("app     %s\nkey     %s\nsecret  %s   (shown only now)\n", out.AppID, out.APIKey, out.APISecret)
	return err
}
