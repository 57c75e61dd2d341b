// Package ffmpeg runs ffmpeg: one child process for one job, with its
// arguments made by pure functions, its progress parsed, its end explained.
package ffmpeg

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Tool is the programs of an installation; New finds them. Safe for
// concurrent use.
type Tool struct {
	ffmpeg, ffprobe string
	// Encoders that are there, of those that Missing asks for.
	encoders []string
	// Nice lowers the children's priority (nice(1)): live goes first.
	Nice int
}

// The priorities of children (nice(1)): live goes first.
const (
	liveNice = 5
	jobNice  = 10
)

// needed are the encoders that renditions and pictures take.
func needed() []string { return []string{"libx264", "aac", "mjpeg", "libwebp"} }

// New looks for ffmpeg and ffprobe in the PATH. Without them it answers a Tool
// that can do nothing, and Missing says what is not there.
func New(ctx context.Context) *Tool {
	t := &Tool{Nice: jobNice}
	var err error
	if t.ffmpeg, err = exec.LookPath("ffmpeg"); err != nil {
		t.ffmpeg = ""
	}
	if t.ffprobe, err = exec.LookPath("ffprobe"); err != nil {
		t.ffprobe = ""
	}
	if t.ffmpeg == "" {
		return t
	}
	out, err := exec.CommandContext(ctx, t.ffmpeg, "-hide_banner", "-encoders").Output() //nolint:gosec // the program that was found
	if err != nil {
		t.ffmpeg = ""
		return t
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 1 && slices.Contains(needed(), f[1]) {
			t.encoders = append(t.encoders, f[1])
		}
	}
	return t
}

// Live answers the tool for live renditions: between the rest of the system
// and what is not live; nil where they cannot be made.
func (t *Tool) Live() *Tool {
	if t.ffmpeg == "" || !slices.Contains(t.encoders, "libx264") {
		return nil
	}
	live := *t
	live.Nice = liveNice
	return &live
}

// Missing lists what encoding needs and is not there.
func (t *Tool) Missing() (list []string) {
	if t.ffmpeg == "" {
		list = append(list, "ffmpeg")
	}
	if t.ffprobe == "" {
		list = append(list, "ffprobe")
	}
	if t.ffmpeg == "" {
		return list
	}
	for _, e := range needed() {
		if !slices.Contains(t.encoders, e) {
			list = append(list, "encoder "+e)
		}
	}
	return list
}

// Error is an ffmpeg that ended with an error.
type Error struct {
	Args   []string
	Stderr string // its last lines
	Err    error
}

// Error is one line for the log.
func (e *Error) Error() string {
	return fmt.Sprintf("ffmpeg: %v: %s", e.Err, strings.ReplaceAll(strings.TrimSpace(e.Stderr), "\n", "; "))
}

// Unwrap answers the error of os/exec.
func (e *Error) Unwrap() error { return e.Err }

// Run runs ffmpeg with args and waits for it. progress is told ten times a
// second how much media was written, with -copyts how much since it was first
// told: what is done sooner than that tells nothing. nil = nobody asks. The
// child dies with ctx.
func (t *Tool) Run(ctx context.Context, args []string, progress func(done time.Duration)) error {
	if t.ffmpeg == "" {
		return errors.New("ffmpeg is not installed")
	}
	all := append([]string{"-hide_banner", "-nostdin", "-loglevel", "error", "-progress", "pipe:1", "-stats_period", "0.1", "-y"}, args...)
	cmd := exec.CommandContext(ctx, t.ffmpeg, all...) //nolint:gosec // the program that was found, arguments of ours
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	errs := &tail{limit: 4096}
	cmd.Stderr = errs
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start ffmpeg: %w", err)
	}
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, cmd.Process.Pid, t.Nice) // a wish
	follow(stdout, progress)
	err = cmd.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return &Error{Args: args, Stderr: errs.String(), Err: err}
	}
	return nil
}

func closeAll(lists ...[]*os.File) {
	for _, list := range lists {
		for _, f := range list {
			_ = f.Close() // it may be closed
		}
	}
}

// follow reads the key=value lines of -progress to their end.
func follow(r io.Reader, progress func(time.Duration)) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		value, ok := strings.CutPrefix(lines.Text(), "out_time_us=")
		if us, err := strconv.ParseInt(value, 10, 64); ok && err == nil && us > 0 && progress != nil {
			progress(time.Duration(us) * time.Microsecond)
		}
	}
	_, _ = io.Copy(io.Discard, r) // a line too long for the scanner
}

// tail keeps the last bytes written. Not safe for concurrent use.
type tail struct {
	limit int
	b     []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > 2*t.limit {
		t.b = bytes.Clone(t.b[len(t.b)-t.limit:])
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.b[max(0, len(t.b)-t.limit):]) }
