// Package browser plays addresses in headless Chromium with real players and
// reports how that went. It needs the npm packages of package-lock.json
// (`make deps`) and Debian's chromium.
//
//	b, err := browser.Launch(ctx)        // one Chromium
//	defer b.Close()
//	p, err := b.Open(ctx, browser.Options{Player: browser.HLSJS, URL: hlsURL})
//	…                                    // the page stays open and plays
//	report, err := p.Report(ctx)         // at any time, as often as wanted
package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// chromium is where Debian's package puts it.
const chromium = "/usr/bin/chromium"

// closeWithin is how long Chromium may take to end before it is killed.
const closeWithin = 10 * time.Second

// Browser is one running Chromium with any number of pages. It is safe for
// concurrent use.
type Browser struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	harness *harness
	done    chan struct{} // closed when nothing more will be answered

	mu      sync.Mutex
	lastID  int
	waiting map[int]chan answer
	failure error // why done was closed
}

type answer struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`
}

// Launch starts Chromium. It ends with Close, or when ctx ends.
func Launch(ctx context.Context) (*Browser, error) {
	dir, err := find()
	if err != nil {
		return nil, err
	}
	h, err := serveHarness(dir)
	if err != nil {
		return nil, err
	}
	b := &Browser{harness: h, done: make(chan struct{}), waiting: map[int]chan answer{}}
	ready := b.expect(0)
	b.cmd = exec.CommandContext(ctx, "node", filepath.Join(dir, "play.mjs"), chromium) //nolint:gosec // fixed program, our own script
	b.cmd.Dir = dir
	// At the end of ctx the driver gets the end of its input and takes
	// Chromium with it; WaitDelay is for a driver that hangs.
	b.cmd.Cancel = func() error { return b.stdin.Close() }
	b.cmd.WaitDelay = closeWithin
	var stderr tail
	b.cmd.Stderr = &stderr
	if b.stdin, err = b.cmd.StdinPipe(); err != nil {
		return nil, errors.Join(err, h.close())
	}
	stdout, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	if err := b.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start node: %w", err), h.close())
	}
	go b.read(stdout, &stderr)
	if _, err := b.await(ctx, 0, ready); err != nil {
		return nil, errors.Join(fmt.Errorf("start chromium: %w", err), b.Close())
	}
	return b, nil
}

// find looks for this folder from the working directory upwards: tests run in
// their own package's folder.
func find() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		here := filepath.Join(dir, "internal", "e2e", "browser")
		if _, err := os.Stat(filepath.Join(here, "node_modules", "playwright-core", "package.json")); err == nil {
			return here, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no internal/e2e/browser/node_modules above %s: run `make deps`", wd)
		}
	}
}

// read hands every answer to who waits for it, until the driver ends.
func (b *Browser) read(stdout io.Reader, stderr *tail) {
	lines := bufio.NewReader(stdout)
	var failure error
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var a answer
		if err := json.Unmarshal(line, &a); err != nil {
			failure = fmt.Errorf("the driver said %.200q: %w", line, err)
			_ = b.stdin.Close() // it cannot be understood, end it
			break
		}
		b.mu.Lock()
		waiter := b.waiting[a.ID]
		delete(b.waiting, a.ID)
		b.mu.Unlock()
		if waiter != nil {
			waiter <- a
		}
	}
	_, _ = io.Copy(io.Discard, stdout) // until it ends
	if err := b.cmd.Wait(); failure == nil {
		failure = fmt.Errorf("the browser has ended: %w\n%s", errors.Join(err, errEnded), stderr)
	}
	b.mu.Lock()
	b.failure = failure
	b.mu.Unlock()
	close(b.done)
}

var errEnded = errors.New("closed")

func (b *Browser) expect(id int) chan answer {
	c := make(chan answer, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting[id] = c
	return c
}

func (b *Browser) await(ctx context.Context, id int, c chan answer) (json.RawMessage, error) {
	select {
	case a := <-c:
		if a.Error != "" {
			return nil, errors.New(a.Error)
		}
		return a.Result, nil
	case <-b.done:
		b.mu.Lock()
		defer b.mu.Unlock()
		return nil, b.failure
	case <-ctx.Done():
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.waiting, id)
		return nil, ctx.Err()
	}
}

// request is one line to the driver; play.mjs says what each means.
type request struct {
	ID     int    `json:"id"`
	Do     string `json:"do"`
	Page   int    `json:"page,omitempty"`
	Player Player `json:"player,omitempty"`
	URL    string `json:"url,omitempty"`
	Width  int    `json:"width,omitempty"`
	Height int    `json:"height,omitempty"`
	Mobile bool   `json:"mobile,omitempty"`
	Path   string `json:"path,omitempty"`
	Script string `json:"script,omitempty"`
	BPS    int    `json:"bps,omitempty"`
}

// call sends r and decodes the answer into result, unless that is nil.
func (b *Browser) call(ctx context.Context, r request, result any) error {
	b.mu.Lock()
	b.lastID++
	r.ID = b.lastID
	c := make(chan answer, 1)
	b.waiting[r.ID] = c
	line, err := json.Marshal(r)
	if err == nil {
		_, err = b.stdin.Write(append(line, '\n'))
	}
	b.mu.Unlock()
	if err != nil {
		return fmt.Errorf("ask the browser to %s: %w", r.Do, err)
	}
	raw, err := b.await(ctx, r.ID, c)
	if err != nil {
		return fmt.Errorf("%s in the browser: %w", r.Do, err)
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(raw, result); err != nil {
		return fmt.Errorf("read the browser's answer to %s: %w", r.Do, err)
	}
	return nil
}

// Close ends Chromium and waits for it. A second call does nothing.
func (b *Browser) Close() error {
	_ = b.stdin.Close() // closed twice is closed
	select {
	case <-b.done:
	case <-time.After(closeWithin):
		_ = b.cmd.Process.Kill() // it may just have ended
		<-b.done
	}
	return b.harness.close()
}

// tail keeps the last bytes that were written to it.
type tail struct {
	mu   sync.Mutex
	last []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	t.last = t.last[max(0, len(t.last)-4000):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.last)
}
