// Package e2e runs the built roomcast as a user does: the real process, a real
// encoder, real players.
package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/roomcast/roomcast/client"
	"github.com/roomcast/roomcast/internal/e2e/freeport"
	"github.com/roomcast/roomcast/internal/e2e/program"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) { program.Main(m, &binary, 2) }

// machine is one installation: a data directory, fixed addresses, and the
// process that runs on them now.
type machine struct {
	t          testing.TB
	dir        string
	http, rtmp string
	env        []string // besides this process's own
	cmd        *exec.Cmd
	exited     chan error
	out        program.Output
	api        *client.Client // with the first app's credentials
	operator   *client.Client
	startedIn  time.Duration
}

func newMachine(t testing.TB, env ...string) *machine {
	t.Helper()
	return newMachineOn(t, freeAddress(t), freeAddress(t), env...)
}

func newMachineOn(t testing.TB, web, rtmp string, env ...string) *machine {
	t.Helper()
	m := &machine{t: t, env: env, dir: filepath.Join(t.TempDir(), "data"), http: web, rtmp: rtmp}
	m.start()
	t.Cleanup(func() {
		m.kill()
		if t.Failed() {
			t.Logf("roomcast said:\n%s", m.out.String())
		}
	})
	c := m.credentials()
	m.api = m.client(client.BasicAuth(c.APIKey, c.APISecret))
	m.operator = m.client(client.BearerToken(c.OperatorToken))
	return m
}

// client calls the API once per call: these tests want to see every answer.
func (m *machine) client(auth client.Auth) *client.Client {
	m.t.Helper()
	api, err := client.New(client.Options{URL: "http://" + m.http, Auth: auth, Tries: 1})
	if err != nil {
		m.t.Fatal(err)
	}
	return api
}

func freeAddress(t testing.TB) string {
	t.Helper()
	address, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// start runs `roomcast up` and waits until it is ready.
func (m *machine) start() {
	m.t.Helper()
	begin := time.Now()
	m.cmd = exec.Command(binary, "up", "--data", m.dir, "--http", m.http, "--rtmp", m.rtmp)
	m.cmd.Env = append(os.Environ(), m.env...)
	m.cmd.Stdout, m.cmd.Stderr = &m.out, &m.out
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	exited := make(chan error, 1)
	cmd := m.cmd
	go func() { exited <- cmd.Wait() }()
	m.exited = exited
	eventually(m.t, 10*time.Second, "roomcast is ready", func() error {
		select {
		case err := <-exited:
			exited <- err
			m.t.Fatalf("roomcast ended: %v\n%s", err, m.out.String())
		default:
		}
		return status(http.MethodGet, "http://"+m.http+"/readyz", http.StatusOK)
	})
	m.startedIn = time.Since(begin)
}

// kill ends the process as a power cut would.
func (m *machine) kill() {
	_ = m.cmd.Process.Signal(syscall.SIGKILL) // it may be gone
	err := <-m.exited
	m.exited <- err
}

// stop ends it as an operator would, and answers how long that took.
func (m *machine) stop() time.Duration {
	m.t.Helper()
	begin := time.Now()
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		m.t.Fatal(err)
	}
	err := <-m.exited
	m.exited <- err
	if err != nil {
		m.t.Errorf("roomcast ended with %v\n%s", err, m.out.String())
	}
	return time.Since(begin)
}

type credentials struct{ OperatorToken, AppID, APIKey, APISecret string }

// credentials are those of the first start.
func (m *machine) credentials() (c credentials) {
	m.t.Helper()
	b, err := os.ReadFile(filepath.Join(m.dir, "credentials.json"))
	if err != nil {
		m.t.Fatal(err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		m.t.Fatal(err)
	}
	return c
}

// call is one API call that must succeed; out may be nil.
func (m *machine) call(method, path string, in, out any) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := m.api.Do(ctx, method, path, in, out); err != nil {
		m.t.Fatal(err)
	}
}

// refused is one API call that must be refused with the code.
func (m *machine) refused(code, method, path string, in any) {
	m.t.Helper()
	if err := m.api.Do(context.Background(), method, path, in, nil); !client.HasCode(err, code) {
		m.t.Fatalf("got %v, want %s", err, code)
	}
}

type streamKey struct {
	ID          string    `json:"id"`
	State       string    `json:"streamKeyState"`
	IngestURL   string    `json:"ingestURL"`
	StreamKey   string    `json:"streamKey"`
	Mode        string    `json:"mode"`
	VideoRoomID *string   `json:"videoRoomId"`
	Playback    *playback `json:"playback"`
	LastError   *struct{ Code, Message string }
	Ingest      *struct {
		VideoCodec string   `json:"videoCodec"`
		Warnings   []string `json:"warnings"`
	} `json:"ingest"`
}

type playback struct {
	HLSURL     *string `json:"hlsURL"`
	DASHURL    *string `json:"dashURL"`
	RTMPURL    *string `json:"rtmpURL"`
	HTTPFLVURL *string `json:"httpFlvURL"`
}

type room struct {
	ID          string    `json:"id"`
	State       string    `json:"videoRoomState"`
	VODState    string    `json:"vodState"`
	EndReason   *string   `json:"endReason"`
	Playback    *playback `json:"playback"`
	Forcibly    bool      `json:"forciblyTerminated"`
	VideoPostID *string   `json:"videoPostId"`
	// LiveStartedAt is zero where it has not begun.
	LiveStartedAt time.Time `json:"liveStartedAt"`
}

func (m *machine) member(user string) streamKey {
	m.t.Helper()
	m.call(http.MethodPost, "/v2/apps/me/members", map[string]string{"appUserId": user}, nil)
	return m.key(user)
}

func (m *machine) key(user string) (k streamKey) {
	m.t.Helper()
	m.call(http.MethodGet, "/v2/apps/me/members/"+user+"/stream-key", nil, &k)
	return k
}

func (k streamKey) url() string { return k.IngestURL + "/" + k.StreamKey }

func (m *machine) newRoom(user string) (r room) {
	m.t.Helper()
	m.call(http.MethodPost, "/v2/apps/me/video-rooms", map[string]string{
		"type": "BROADCAST_RTMP", "appUserId": user, "title": "a show", "scheduledAt": "2026-12-24T20:00:00Z",
	}, &r)
	return r
}

func (m *machine) room(id string) (r room) {
	m.t.Helper()
	m.call(http.MethodGet, "/v2/apps/me/video-rooms/"+id, nil, &r)
	return r
}

func (m *machine) roomDo(id, action string, in any) (r room) {
	m.t.Helper()
	m.call(http.MethodPost, "/v2/apps/me/video-rooms/"+id+"/"+action, in, &r)
	return r
}

// awaitKey waits for a state and answers every state that was seen on the way.
func (m *machine) awaitKey(user, state string, within time.Duration) []string {
	m.t.Helper()
	var seen []string
	eventually(m.t, within, "the key is "+state, func() error {
		k := m.key(user)
		if len(seen) == 0 || seen[len(seen)-1] != k.State {
			seen = append(seen, k.State)
		}
		if k.State != state {
			return fmt.Errorf("states %v, last error %v", seen, k.LastError)
		}
		return nil
	})
	return seen
}

// eventually tries until it works; the last error says why it did not.
func eventually(t testing.TB, within time.Duration, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s: %v", within, what, err)
		}
		time.Sleep(20 * time.Millisecond) // the condition is another process's
	}
}

func status(method, url string, want int) error {
	req, err := http.NewRequestWithContext(context.Background(), method, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != want {
		return fmt.Errorf("%s %s: %s, want %d", method, url, resp.Status, want)
	}
	return nil
}
