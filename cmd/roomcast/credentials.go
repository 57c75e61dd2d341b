package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/control"
)

const credentialsFile = "credentials.json"

// credentials is DIR/credentials.json, written by the first start.
type credentials struct {
	OperatorToken string `json:"operatorToken"`
	AppID         string `json:"appId"`
	APIKey        string `json:"apiKey"`
	APISecret     string `json:"apiSecret"`

	tokenKeys *tokenKeys
}

// loadCredentials reads them, or makes them with a first app at the first
// start. Secrets that processes share come from the settings.
func loadCredentials(ctx context.Context, settings config.Up, s *control.Service, secrets control.IDs) (credentials, error) {
	dir := settings.Data
	c, err := readCredentials(dir)
	if errors.Is(err, fs.ErrNotExist) {
		c, err = newCredentials(ctx, dir, s, secrets)
	}
	if err != nil {
		return c, err
	}
	if settings.OperatorToken != "" {
		c.OperatorToken = settings.OperatorToken
	}
	c.tokenKeys, err = loadTokenKeys(dir, settings.TokenKeys)
	return c, err
}

func readCredentials(dir string) (credentials, error) {
	var c credentials
	path := filepath.Join(dir, credentialsFile)
	b, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("read credentials: %w", err)
	}
	if err := json.Unmarshal(b, &c); err != nil || c.OperatorToken == "" {
		return c, fmt.Errorf("%s is damaged: restore it, or move it away to get new credentials", path)
	}
	return c, nil
}

// newCredentials makes the first app. Where an earlier first start died before
// its file was written, that app gets a new key.
func newCredentials(ctx context.Context, dir string, s *control.Service, secrets control.IDs) (credentials, error) {
	who := control.Actor{Kind: "operator", ID: "first start"}
	apps, err := s.Apps(ctx, control.Page{Limit: 1, Ascending: true})
	if err != nil {
		return credentials{}, fmt.Errorf("look for the first app: %w", err)
	}
	var key control.APIKey
	var secret string
	if len(apps.Items) > 0 {
		key, secret, err = s.RotateAPIKey(ctx, who, apps.Items[0].ID)
	} else {
		_, key, secret, err = s.CreateApp(ctx, who, "default")
	}
	if err != nil {
		return credentials{}, fmt.Errorf("make the first app: %w", err)
	}
	c := credentials{OperatorToken: secrets.Secret(32), AppID: string(key.AppID), APIKey: key.ID, APISecret: secret}
	b, err := json.MarshalIndent(c, "", "  ") //nolint:gosec // the file that is for secrets
	if err != nil {
		return c, fmt.Errorf("encode credentials: %w", err)
	}
	return c, writeSecret(filepath.Join(dir, credentialsFile), append(b, '\n'))
}

// writeSecret writes a file that only its owner may read, whole or not at all.
func writeSecret(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(f.Name())))
		}
	}()
	if _, err = f.Write(b); err != nil {
		return errors.Join(err, f.Close())
	}
	if err = errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
