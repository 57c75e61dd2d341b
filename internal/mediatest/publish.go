package mediatest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// Proc is a running ffmpeg. It is safe for concurrent use.
type Proc struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // valid once done is closed
	log  lockedBuffer
}

// PublishFFmpeg pushes file to the RTMP (or other FLV) address url as an
// encoder does: in real time, in a loop until it is stopped, packets copied
// (-re -stream_loop -1 -c copy -f flv). extra stands before -i. The process is
// killed and waited for when the test ends.
func PublishFFmpeg(tb testing.TB, file, url string, extra ...string) *Proc {
	tb.Helper()
	args := []string{"-hide_banner", "-nostdin", "-loglevel", "info", "-re", "-stream_loop", "-1"}
	args = append(append(args, extra...), "-i", file, "-map", "0", "-c", "copy", "-f", "flv", url)
	return StartFFmpeg(tb, args...)
}

// StartFFmpeg starts ffmpeg with args. The process is killed and waited for
// when the test ends.
func StartFFmpeg(tb testing.TB, args ...string) *Proc {
	tb.Helper()
	p := &Proc{cmd: exec.Command("ffmpeg", args...), done: make(chan struct{})} //nolint:gosec // fixed program, arguments from the test
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		tb.Fatalf("start ffmpeg: %v", err)
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	tb.Cleanup(func() {
		p.Kill()
		if tb.Failed() {
			tb.Logf("ffmpeg %q:\n%s", args, p.Log())
		}
	})
	return p
}

// Kill ends the process at once (SIGKILL), without a word to the server, and
// waits for it.
func (p *Proc) Kill() {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.log.note(fmt.Sprintf("kill: %v\n", err))
	}
	<-p.done
}

// Stop asks the process to finish (SIGINT: an encoder's clean stop) and waits
// up to limit for it; then it is killed and an error says so.
func (p *Proc) Stop(limit time.Duration) error {
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("interrupt ffmpeg: %w", err)
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(limit):
		p.Kill()
		return fmt.Errorf("ffmpeg went on for %s after the interrupt", limit)
	}
}

// Wait waits for the process to end by itself and returns exec's error, nil
// for exit status 0.
func (p *Proc) Wait() error {
	<-p.done
	return p.err
}

// Done is closed when the process has ended.
func (p *Proc) Done() <-chan struct{} { return p.done }

// Log is what ffmpeg has written so far to stdout and stderr.
func (p *Proc) Log() string { return p.log.String() }

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) note(s string) { _, _ = b.Write([]byte(s)) } // a bytes.Buffer takes everything

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
