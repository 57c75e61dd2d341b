package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// Child is a running ffmpeg that is fed and read while it works.
type Child struct {
	// In is its pipe:3; closing it is the end of the input. Outs are pipe:4 and
	// on; they end with the child.
	In   io.WriteCloser
	Outs []io.ReadCloser

	cmd  *exec.Cmd
	args []string
	errs *tail
}

// Start runs ffmpeg with args, one input and outs outputs. The child dies with
// ctx. Wait must be called, after Outs have been read to their ends or closed.
func (t *Tool) Start(ctx context.Context, args []string, outs int) (*Child, error) {
	if t.ffmpeg == "" {
		return nil, errors.New("ffmpeg is not installed")
	}
	all := append([]string{"-hide_banner", "-nostdin", "-loglevel", "error", "-y"}, args...)
	cmd := exec.CommandContext(ctx, t.ffmpeg, all...) //nolint:gosec // the program that was found, arguments of ours
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c := &Child{cmd: cmd, args: args, errs: &tail{limit: 4096}}
	cmd.Stderr = c.errs
	var ours []*os.File
	for i := range 1 + outs {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(cmd.ExtraFiles, ours)
			return nil, err
		}
		if i == 0 {
			c.In = w
			cmd.ExtraFiles, ours = append(cmd.ExtraFiles, r), append(ours, w)
		} else {
			c.Outs = append(c.Outs, r)
			cmd.ExtraFiles, ours = append(cmd.ExtraFiles, w), append(ours, r)
		}
	}
	err := cmd.Start()
	closeAll(cmd.ExtraFiles)
	if err != nil {
		closeAll(ours)
		return nil, fmt.Errorf("start ffmpeg: %w", err)
	}
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, cmd.Process.Pid, t.Nice) // a wish
	return c, nil
}

// PID is the child's process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Kill ends the child at once; it may have ended already.
func (c *Child) Kill() { _ = c.cmd.Process.Kill() }

// Wait waits for the end and says why it was not a good one: an *Error.
func (c *Child) Wait() error {
	err := c.cmd.Wait()
	_ = c.In.Close() // it may be closed
	for _, o := range c.Outs {
		_ = o.Close()
	}
	if err != nil {
		return &Error{Args: c.args, Stderr: c.errs.String(), Err: err}
	}
	return nil
}
