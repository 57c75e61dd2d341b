package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/config"
)

const (
	tokenKeyFile    = "token.key"
	previousKeyFile = "token.key.previous"
	tokenKeyBytes   = 32
	// tokenFor is how long a member token is valid (internal/httpapi).
	tokenFor = 24 * time.Hour
	// lookEvery is how often the files are looked at, at most.
	lookEvery = time.Second
)

// tokenKeys are the keys of member tokens: those of the settings, or those of a
// data directory. There token.key signs, and token.key.previous, which
// rotate-token-key leaves, verifies as well while its tokens may be valid. The
// files are read again, so that a running process learns of it. Safe for
// concurrent use.
type tokenKeys struct {
	dir string // "" = the keys stay

	mu     sync.Mutex
	looked time.Time
	keys   [][]byte
}

func loadTokenKeys(dir string, fixed [][]byte) (*tokenKeys, error) {
	if len(fixed) > 0 {
		return &tokenKeys{keys: fixed}, nil
	}
	path := filepath.Join(dir, tokenKeyFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := writeSecret(path, newTokenKey()); err != nil {
			return nil, fmt.Errorf("make the key of member tokens: %w", err)
		}
	}
	keys, err := readTokenKeys(dir, time.Now())
	return &tokenKeys{dir: dir, looked: time.Now(), keys: keys}, err
}

func newTokenKey() []byte {
	key := make([]byte, tokenKeyBytes)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	return key
}

// get is httpapi.Options.TokenKeys.
func (k *tokenKeys) get() [][]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := time.Now(); k.dir != "" && now.Sub(k.looked) >= lookEvery {
		k.looked = now
		if keys, err := readTokenKeys(k.dir, now); err == nil { // else those of before are still good
			k.keys = keys
		}
	}
	return k.keys
}

func readTokenKeys(dir string, now time.Time) ([][]byte, error) {
	var keys [][]byte
	for _, name := range []string{tokenKeyFile, previousKeyFile} {
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if name == previousKeyFile && (errors.Is(err, fs.ErrNotExist) || err == nil && now.Sub(info.ModTime()) > tokenFor) {
			continue
		}
		key, err := os.ReadFile(path)
		if err == nil && len(key) < tokenKeyBytes {
			err = fmt.Errorf("%s has %d bytes; at least %d are needed", path, len(key), tokenKeyBytes)
		}
		if err != nil {
			return nil, fmt.Errorf("load the keys of member tokens: %w", err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

type rotateTokenCmd struct {
	Data  string `help:"The data directory (ROOMCAST_DATA, default .roomcast)." placeholder:"DIR"`
	Force bool   `help:"Also where the last time was within 24 hours: tokens of the key before that are refused."`
}

// Run replaces the key. What runs on the directory sees it within a second.
func (c *rotateTokenCmd) Run() error {
	settings, err := config.LoadUp(config.Up{Data: c.Data}, config.OSEnv)
	if err != nil {
		return fmt.Errorf("wrong settings:\n%w", err)
	}
	if len(settings.TokenKeys) > 0 {
		return errors.New("the keys are those of ROOMCAST_TOKEN_KEY: put the new one behind the old one everywhere, then before it, and drop the old one after 24 hours")
	}
	if err := rotateTokenKey(settings.Data, time.Now(), c.Force); err != nil {
		return err
	}
	_, err = fmt.Println("member tokens are signed with a new key; those of the old one are good until they end, within 24 hours")
	return err
}

// rotateTokenKey keeps the old key before it makes the new one, so that no
// token is ever refused between the two.
func rotateTokenKey(dir string, now time.Time, force bool) error {
	path, previous := filepath.Join(dir, tokenKeyFile), filepath.Join(dir, previousKeyFile)
	old, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("replace the key of member tokens: %w", err)
	}
	if info, err := os.Stat(previous); err == nil && !force && now.Sub(info.ModTime()) < tokenFor {
		return fmt.Errorf("the key was replaced at %s: doing it again within 24 hours would log members out; --force does it", info.ModTime().UTC().Format(time.RFC3339))
	}
	if err := writeSecret(previous, old); err != nil {
		return err
	}
	return writeSecret(path, newTokenKey())
}
