package e2e

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/client"
)

// roomcast runs the program to its end.
func roomcast(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

func TestWhatCannotStartSaysWhyInOneLine(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	m := newMachine(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		says []string
	}{
		{"port in use", []string{"--data", t.TempDir(), "--http", busy.Addr().String(), "--rtmp", "127.0.0.1:0"}, []string{"--http", "in use"}},
		{"data in use", []string{"--data", m.dir, "--http", "127.0.0.1:0", "--rtmp", "127.0.0.1:0"}, []string{m.dir, "in use by process"}},
		{"data no directory", []string{"--data", file, "--http", "127.0.0.1:0", "--rtmp", "127.0.0.1:0"}, []string{"data directory", file}},
		{"unknown backend", []string{"--data", t.TempDir(), "--backend", "mainframe"}, []string{"ROOMCAST_BACKEND", "mainframe"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, code := roomcast(t, append([]string{"up"}, c.args...)...)
			if code != 1 {
				t.Errorf("exit code %d", code)
			}
			for _, s := range c.says {
				if !strings.Contains(out, s) {
					t.Errorf("%q is missing in %q", s, out)
				}
			}
			if strings.Contains(out, "goroutine") || strings.Count(strings.TrimSpace(out), "\n") > 1 {
				t.Errorf("more than the clear line: %q", out)
			}
		})
	}
	if err := status(http.MethodGet, "http://"+m.http+"/readyz", http.StatusOK); err != nil {
		t.Errorf("the one that runs was disturbed: %v", err)
	}
}

func TestAnOperatorMakesAnAppAndRotatesItsKey(t *testing.T) {
	m := newMachine(t)
	made := func(args ...string) *client.Client {
		out, code := roomcast(t, append(args, "--data", m.dir, "--http", m.http, "--json")...)
		var c struct{ AppID, APIKey, APISecret string }
		if err := json.Unmarshal([]byte(out), &c); err != nil || code != 0 || c.AppID == "" {
			t.Fatalf("%v: exit %d: %s", args, code, out)
		}
		api := m.client(client.BasicAuth(c.APIKey, c.APISecret))
		var app struct{ ID, Name string }
		if err := api.Do(t.Context(), http.MethodGet, "/v2/apps/me", nil, &app); err != nil || app.ID != c.AppID || app.Name != "acme" {
			t.Fatalf("%+v, %v", app, err)
		}
		return api
	}
	first := made("admin", "create-app", "--name", "acme")
	var app struct{ ID string }
	if err := first.Do(t.Context(), http.MethodGet, "/v2/apps/me", nil, &app); err != nil {
		t.Fatal(err)
	}
	made("admin", "rotate-api-key", "--app", app.ID)
}

func TestTheCredentialsAreReadableByTheirOwnerOnlyAndStay(t *testing.T) {
	m := newMachine(t)
	path := filepath.Join(m.dir, "credentials.json")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	var login struct{ Token string }
	m.call(http.MethodPost, "/v2/apps/me/members/login", map[string]string{"appUserId": "dora"}, &login)
	if took := m.stop(); took > 3*time.Second {
		t.Errorf("an idle roomcast took %s to stop", took)
	}
	m.start()
	after, err := os.ReadFile(path)
	if err != nil || string(after) != string(before) {
		t.Fatalf("the credentials changed: %v", err)
	}
	member := m.client(client.BearerToken(login.Token))
	if err := member.Do(t.Context(), http.MethodGet, "/v2/members/me", nil, nil); err != nil {
		t.Fatalf("a member token does not outlive a restart: %v", err)
	}
	if strings.Contains(m.out.String(), login.Token) {
		t.Error("a member token is in the log")
	}
}

func TestNoSecretIsInTheLog(t *testing.T) {
	m := newMachine(t)
	key := m.member("erin")
	m.call(http.MethodGet, "/v2/apps/me/stream-keys/"+key.ID, nil, nil)
	c := m.credentials()
	for name, secret := range map[string]string{
		"api secret": c.APISecret, "operator token": c.OperatorToken, "stream key": key.StreamKey,
	} {
		if strings.Contains(m.out.String(), secret) {
			t.Errorf("the %s is in the log", name)
		}
	}
}
