// Package lambdatest runs a Lambda's built bootstrap as AWS does: it is the
// Runtime API (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html)
// on a port of its own. Tests only.
package lambdatest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	prefix  = "/2018-06-01/runtime/"
	timeout = 30 * time.Second
	// maxSaid bounds what a failed test shows of a process's log.
	maxSaid = 4 << 10
)

// Build builds functions/NAME for this machine as `sam build` does for its
// own, and answers the file.
func Build(t testing.TB, name string) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(file), "..", "..")
	out := filepath.Join(t.TempDir(), "bootstrap")
	// #nosec G204 -- a test names a folder of this repository
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-tags=lambda.norpc", "-buildvcs=false", "-ldflags=-s -w", "-o", out, "./functions/"+name)
	cmd.Dir = root
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build functions/%s: %v\n%s", name, err, b)
	}
	return out
}

// What a function may cost. maxInit is from exec to the first request for work,
// or the processor's time for it where others keep the machine busy.
const (
	maxInit   = 30 * time.Millisecond
	maxBinary = 16_000_000
	maxRSS    = 40 << 20
	starts    = 5 // a cold start's own work is the least of them
)

// Cold builds functions/NAME, starts it several times and fails the test where
// its file is larger than 16 MB or the quickest start took more than 30 ms.
// The last process goes on.
func Cold(t testing.TB, name string, env map[string]string) *Process {
	t.Helper()
	bootstrap := Build(t, name)
	info, err := os.Stat(bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > maxBinary {
		t.Errorf("%s has %d bytes, at most %d", name, info.Size(), maxBinary)
	}
	best, cpu := time.Hour, time.Hour
	var p *Process
	for range starts {
		p = Start(t, bootstrap, env)
		best, cpu = min(best, p.Init), min(cpu, p.InitCPU)
	}
	if best > maxInit && cpu > maxInit {
		t.Errorf("init of %s took %s, of which %s of work; at most %s", name, best, cpu, maxInit)
	}
	t.Logf("%s: init %s (%s of work), binary %d KiB", name, best, cpu, info.Size()>>10)
	return p
}

// Frugal invokes the process n times, whatever it answers, and fails the test
// where it holds more than 40 MiB then.
func (p *Process) Frugal(event []byte, n int) {
	p.t.Helper()
	for range n {
		if err := p.Invoke(event, nil); err != nil {
			p.t.Fatal(err)
		}
	}
	rss := p.RSS()
	if rss > maxRSS {
		p.t.Errorf("%d bytes of memory after %d invocations, at most %d", rss, n, maxRSS)
	}
	p.t.Logf("memory %d KiB after %d invocations", rss>>10, n)
}

// Process is one execution environment. Not safe for concurrent use: Lambda
// gives a process one invocation at a time.
type Process struct {
	// Init is the time from the start of the process to its first request for
	// work.
	Init time.Duration
	// InitCPU is what that cost on all cores together: no less than Init on an
	// idle machine, and the same on a busy one. It tells nothing but on Linux.
	InitCPU time.Duration
	// Deadline is what each invocation is given; default 30 s.
	Deadline time.Duration

	t     testing.TB
	cmd   *exec.Cmd
	log   bytes.Buffer // read when the process is over
	begin time.Time
	work  chan []byte
	idle  chan struct{}
	done  chan answer
	over  chan error
	next  int

	stopped atomic.Bool
}

type answer struct {
	body   []byte
	failed bool
}

// Start starts a bootstrap with this environment and waits until it asks for
// work. It ends with the test.
func Start(t testing.TB, bootstrap string, env map[string]string) *Process {
	t.Helper()
	p, err := start(t, bootstrap, env)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.idle:
		return p
	case err := <-p.over:
		t.Fatalf("%s ended before it asked for work: %v\n%s", bootstrap, err, p.log.String())
	case <-time.After(timeout): //nolint:forbidigo // another process's condition
		t.Fatalf("%s does not ask for work", bootstrap)
	}
	return nil
}

// Refused starts a bootstrap that must not start, and answers what it says.
func Refused(t testing.TB, bootstrap string, env map[string]string) string {
	t.Helper()
	p, err := start(t, bootstrap, env)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.idle:
		t.Fatal("it started")
	case err := <-p.over:
		if err == nil {
			t.Fatal("it ended without an error")
		}
	case <-time.After(timeout): //nolint:forbidigo // another process's condition
		t.Fatal("it neither starts nor ends")
	}
	return p.log.String()
}

func start(t testing.TB, bootstrap string, env map[string]string) (*Process, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Process{t: t, Deadline: timeout, work: make(chan []byte), idle: make(chan struct{}, 1), done: make(chan answer, 1), over: make(chan error, 1)}
	server := &http.Server{Handler: http.HandlerFunc(p.serve), ReadHeaderTimeout: timeout}
	served := make(chan struct{})
	p.cmd = exec.CommandContext(context.Background(), bootstrap) // #nosec G204 -- what the test has built
	p.cmd.Env = []string{"AWS_LAMBDA_RUNTIME_API=" + ln.Addr().String(), "AWS_LAMBDA_FUNCTION_NAME=test", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128"}
	for name, value := range env {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.begin = time.Now() //nolint:forbidigo // what is measured
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	// Its first request waits in the backlog: serve may read what was set above.
	go func() { defer close(served); _ = server.Serve(ln) }() // ends with Close
	ended := make(chan struct{})
	go func() { p.over <- p.cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may be gone
		<-ended
		_ = server.Close() // nobody is left
		<-served
		if t.Failed() {
			said := p.log.Bytes()
			t.Logf("%s said last:\n%s", bootstrap, said[max(0, len(said)-maxSaid):])
		}
	})
	return p, nil
}

func (p *Process) serve(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, prefix)
	switch {
	case path == "invocation/next":
		if p.next == 0 {
			p.Init = time.Since(p.begin) //nolint:forbidigo // what is measured
			p.InitCPU = p.cpu()
		}
		p.next++
		p.idle <- struct{}{}
		select {
		case body := <-p.work:
			h := w.Header()
			h.Set("Lambda-Runtime-Aws-Request-Id", strconv.Itoa(p.next))
			h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(p.Deadline).UnixMilli(), 10)) //nolint:forbidigo // AWS's clock
			h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:test")
			_, _ = w.Write(body) // a process that ended is noticed elsewhere
		case <-r.Context().Done():
		}
	case strings.HasSuffix(path, "/response"), strings.HasSuffix(path, "/error"):
		body, err := io.ReadAll(r.Body)
		p.done <- answer{body: body, failed: err != nil || strings.HasSuffix(path, "/error")}
		w.WriteHeader(http.StatusAccepted)
	default:
		http.NotFound(w, r)
	}
}

// Invoke hands the process one event and decodes its answer into out; nil =
// whatever it is. The error is what the function answered.
func (p *Process) Invoke(event []byte, out any) error {
	p.t.Helper()
	over := func(err error) error {
		p.over <- err
		if !p.stopped.Load() {
			p.t.Fatalf("the process ended: %v\n%s", err, p.log.String())
		}
		return errors.New("the process was stopped")
	}
	select {
	case p.work <- event:
	case err := <-p.over:
		return over(err)
	}
	var a answer
	select {
	case a = <-p.done:
	case err := <-p.over:
		return over(err)
	case <-time.After(timeout + p.Deadline): //nolint:forbidigo // another process's condition
		p.t.Fatal("no answer")
	}
	<-p.idle
	if a.failed {
		return fmt.Errorf("the function failed: %s", a.body)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(a.body, out)
}

// Stop ends the process, in the middle of an invocation as well, which answers
// an error then. It may be called beside Invoke.
func (p *Process) Stop() {
	p.stopped.Store(true)
	_ = p.cmd.Process.Kill() // it may be gone
}

// cpu is the time that the threads of the process ran.
func (p *Process) cpu() time.Duration {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	var sum time.Duration
	for _, task := range tasks {
		b, err := os.ReadFile(task) // #nosec G304 -- of the process that was started here
		if err != nil {
			continue // the thread is gone
		}
		ran, _, _ := strings.Cut(string(b), " ")
		if n, err := strconv.ParseInt(ran, 10, 64); err == nil {
			sum += time.Duration(n)
		}
	}
	return sum
}

// RSS is the memory of the process now, in bytes.
func (p *Process) RSS() int64 {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return kib << 10
		}
	}
	p.t.Fatal("no VmRSS")
	return 0
}

// Event reads events/NAME.json.
func Event(t testing.TB, name string) []byte {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	b, err := os.ReadFile(filepath.Join(filepath.Dir(file), "..", "..", "events", name+".json")) // #nosec G304 -- a file of this repository
	if err != nil {
		t.Fatal(err)
	}
	return b
}
