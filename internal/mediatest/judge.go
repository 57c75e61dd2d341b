package mediatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// judgeTimeout bounds one run of ffmpeg that judges; a hanging input is a failure.
const judgeTimeout = 2 * time.Minute

func ffmpeg(args ...string) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), judgeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ffmpeg", append([]string{"-hide_banner", "-nostdin", "-loglevel", "error"}, args...)...) //nolint:gosec // fixed program, arguments from the test
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// Decode decodes every track of input (a file or a URL) and answers an error
// where a decoder or demuxer has one: ffmpeg -xerror -err_detect +explode fails,
// or it goes on but logs an error (it conceals missing references). extra stands before -i, such as "-t", "5" or
// "-live_start_index", "0".
func Decode(input string, extra ...string) error {
	args := append([]string{"-xerror", "-err_detect", "+crccheck+bitstream+buffer+explode"}, extra...)
	_, stderr, err := ffmpeg(append(args, "-i", input, "-map", "0:v?", "-map", "0:a?",
		"-fps_mode", "passthrough", "-enc_time_base", "-1", "-f", "null", "-")...) // the frame rate that ffmpeg guesses is no matter of ours
	if err == nil && stderr != "" {
		err = errors.New("the decoder complains")
	}
	if err != nil {
		return fmt.Errorf("decode %s: %w\n%s", input, err, stderr)
	}
	return nil
}

// DecodeStrict fails the test where Decode finds an error.
func DecodeStrict(tb testing.TB, input string, extra ...string) {
	tb.Helper()
	if err := Decode(input, extra...); err != nil {
		tb.Error(err)
	}
}

// FrameMD5 decodes the video of input (a file or a URL) and returns one MD5
// per picture, in order of presentation. Equal pictures have equal hashes,
// whatever their container and timestamps.
func FrameMD5(tb testing.TB, input string, extra ...string) []string {
	tb.Helper()
	stdout, stderr, err := ffmpeg(append(append([]string{"-xerror"}, extra...),
		"-i", input, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-")...)
	if err != nil {
		tb.Fatalf("frame hashes of %s: %v\n%s", input, err, stderr)
	}
	var sums []string
	for line := range strings.Lines(stdout) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, ",")
		sums = append(sums, strings.TrimSpace(fields[len(fields)-1]))
	}
	return sums
}
