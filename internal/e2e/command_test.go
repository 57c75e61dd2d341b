package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
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

// A room of one app, seen by an operator in every list, as a table and as JSON.
func TestAnOperatorReadsListsJournalsAndEvents(t *testing.T) {
	m := newMachine(t)
	m.member("erin")
	var room struct{ ID string }
	m.call(http.MethodPost, "/v2/apps/me/video-rooms", map[string]string{
		"type": "BROADCAST_RTMP", "appUserId": "erin", "scheduledAt": "2030-01-01T00:00:00Z", "title": "two\nlines",
	}, &room)
	m.call(http.MethodPost, "/v2/apps/me/video-rooms/"+room.ID+"/cancel", nil, nil)
	var app struct{ ID string }
	m.call(http.MethodGet, "/v2/apps/me", nil, &app)
	for _, c := range []struct {
		args string
		says []string
	}{
		{"apps", []string{app.ID, "default"}},
		{"keys --state INACTIVE", []string{"erin", "INACTIVE", app.ID}},
		{"rooms --state CANCELLED --limit 1", []string{room.ID, "CANCELLED", "erin"}},
		{"journal " + room.ID, []string{"create", "SCHEDULED", "cancel", "api_key"}},
		{"events " + app.ID, []string{"video_room.created", "video_room.cancelled", room.ID}},
	} {
		args := append(strings.Fields("admin "+c.args), "--data", m.dir, "--http", m.http)
		plain, code := roomcast(t, args...)
		asJSON, code2 := roomcast(t, append(args, "--json")...)
		var items []map[string]any
		if err := json.Unmarshal([]byte(asJSON), &items); err != nil || code+code2 != 0 || len(items) == 0 {
			t.Fatalf("%s: %v\n%s\n%s", c.args, err, plain, asJSON)
		}
		if lines := strings.Count(plain, "\n"); lines != len(items)+1 {
			t.Errorf("%s: %d lines for %d items:\n%s", c.args, lines, len(items), plain)
		}
		for _, s := range c.says {
			if !strings.Contains(plain, s) || !strings.Contains(asJSON, s) {
				t.Errorf("%s: %q is missing\n%s\n%s", c.args, s, plain, asJSON)
			}
		}
	}
	if out, code := roomcast(t, "admin", "journal", "room_none", "--data", m.dir, "--http", m.http); code != 1 || !strings.Contains(out, "VIDEO_ROOM_NOT_FOUND") {
		t.Errorf("no such room: exit %d, %s", code, out)
	}
}

func TestTheShellCompletesCommandsAndFlags(t *testing.T) {
	for line, want := range map[string]string{"roomcast admin jo": "journal", "roomcast admin rooms --sta": "--state"} {
		cmd := exec.CommandContext(t.Context(), binary)
		cmd.Env = append(os.Environ(), "COMP_LINE="+line)
		if out, err := cmd.Output(); err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%q is completed to %q, %v", line, out, err)
		}
	}
	cmd := exec.CommandContext(t.Context(), binary, "completion")
	cmd.Env = append(os.Environ(), "SHELL=/bin/bash")
	if out, err := cmd.Output(); err != nil || !strings.Contains(string(out), "complete -C") {
		t.Errorf("completion prints %q, %v", out, err)
	}
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

// Nor in JSON, of which each line is one value, with the request's id.
func TestNoSecretIsInTheLog(t *testing.T) {
	m := newMachine(t, "ROOMCAST_LOG_FORMAT=json")
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
	requests := 0
	for line := range strings.Lines(m.out.String()) {
		var l struct{ Request string }
		if strings.HasPrefix(line, "time=") || strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &l) != nil {
			t.Errorf("no JSON: %s", line)
		}
		if l.Request != "" {
			requests++
		}
	}
	if requests < 2 {
		t.Errorf("%d lines tell of a request:\n%s", requests, m.out.String())
	}
}

// A request that never ends delays a clean end for a second, unless a second
// signal says that it shall not wait. Signals within a moment, as make and a
// process group pass them on, are one.
func TestASecondSignalEndsAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		signals []time.Duration // after the first one
		code    int
	}{
		"one wish, told twice": {[]time.Duration{0}, 0},
		"a second one":         {[]time.Duration{300 * time.Millisecond, 350 * time.Millisecond}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			conn, err := net.Dial("tcp", m.http)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := io.WriteString(conn, "POST /v2/apps/me/members HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond) // it is read
			begin := time.Now()
			for _, after := range append([]time.Duration{0}, c.signals...) {
				time.Sleep(time.Until(begin.Add(after)))
				_ = m.cmd.Process.Signal(syscall.SIGTERM) // it may be gone
			}
			err = <-m.exited
			m.exited <- err
			if code := m.cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit code %d after %s, want %d\n%s", code, time.Since(begin), c.code, m.out.String())
			}
		})
	}
}
