package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/roomcast/roomcast/client"
	"github.com/roomcast/roomcast/internal/e2e/freeport"
	"github.com/roomcast/roomcast/internal/e2e/program"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) { program.Main(m, &binary, 3) }

// process is one `roomcast up`: a data directory, fixed addresses, and what
// runs on them now. Safe for concurrent use.
type process struct {
	name       string
	dir        string
	http, rtmp string
	env        []string // besides this process's own
	out        program.Output

	mu     sync.Mutex
	cmd    *exec.Cmd // nil = it does not run
	exited chan error
}

func newProcess(t *testing.T, name string, env ...string) *process {
	t.Helper()
	p := &process{name: name, dir: filepath.Join(t.TempDir(), "data"), http: freeAddress(t), rtmp: freeAddress(t), env: env}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s said at last:\n%s", name, tail(p.out.String(), 20_000))
		}
	})
	return p
}

func freeAddress(t testing.TB) string {
	t.Helper()
	address, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// start runs it and answers how long it took until it was ready.
func (p *process) start() (time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	begin := time.Now()
	cmd := exec.Command(binary, "up", "--data", p.dir, "--http", p.http, "--rtmp", p.rtmp)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	for deadline := begin.Add(patience); ; time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get("http://" + p.http + "/readyz")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
		select {
		case err := <-exited:
			return 0, fmt.Errorf("%s ended at its start: %w", p.name, err)
		default:
		}
		if time.Now().After(deadline) {
			_ = cmd.Process.Kill()
			return 0, fmt.Errorf("%s is not ready after %s", p.name, patience)
		}
	}
	p.cmd, p.exited = cmd, exited
	return time.Since(begin), nil
}

// kill ends it as a power cut would.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill() // it may be gone
	<-p.exited
	p.cmd = nil
}

// stop ends it as an operator would.
func (p *process) stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.cmd.Process.Signal(syscall.SIGTERM)
	err = errors.Join(err, <-p.exited)
	p.cmd = nil
	return err
}

// signal stops it or lets it go on; one that does not run is left alone.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(s)
	}
}

// crashed says why it ended by itself; nil = it did not.
func (p *process) crashed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return nil
	}
	select {
	case err := <-p.exited:
		p.exited <- err
		return fmt.Errorf("%s ended by itself: %w", p.name, err)
	default:
		return nil
	}
}

// api is a client with the first app's credentials, which the first start writes.
func (p *process) api() (*client.Client, error) {
	c, err := p.secrets()
	if err != nil {
		return nil, err
	}
	return client.New(client.Options{URL: "http://" + p.http, Auth: client.BasicAuth(c.APIKey, c.APISecret), HTTP: &http.Client{Timeout: callFor}, Tries: 1})
}

func (p *process) operator() (*client.Client, error) {
	c, err := p.secrets()
	if err != nil {
		return nil, err
	}
	return client.New(client.Options{URL: "http://" + p.http, Auth: client.BearerToken(c.OperatorToken), Tries: 1})
}

type secrets struct{ OperatorToken, APIKey, APISecret string }

func (p *process) secrets() (c secrets, err error) {
	b, err := os.ReadFile(filepath.Join(p.dir, "credentials.json"))
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	return c, err
}

// tail is the end of a text, in whole lines, of at most n bytes.
func tail(s string, n int) string {
	if len(s) > n {
		s = s[len(s)-n:]
		_, s, _ = strings.Cut(s, "\n")
	}
	return s
}
