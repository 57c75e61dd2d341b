package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/roomcast/roomcast/internal/rtmpout"
)

// ticksPerSecond is USER_HZ, in which /proc counts CPU.
const ticksPerSecond = 100

// settle is how long the streams run before CPU is counted.
const settle = 6 * time.Second

// makeSource is 20 s at 2.5 Mbit/s: 30 fps, 2 s GOP, B-frames, 48 kHz stereo.
func makeSource(ctx context.Context, dir string) ([]rtmpout.Tag, error) {
	file := filepath.Join(dir, "source.flv")
	cmd := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "error", "-y", //nolint:gosec // fixed arguments
		"-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30:duration=20", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=20",
		"-vf", "noise=alls=20:allf=t", "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "2400k", "-minrate", "2400k", "-maxrate", "2400k", "-bufsize", "2400k",
		"-bf", "2", "-g", "60", "-keyint_min", "60", "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k", "-ac", "2", file)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make the source: %w\n%s", err, out)
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	say("# source: %.2f Mbit/s\n", float64(info.Size())*8/20/1e6)
	return readTags(file)
}

// measure runs one server under n paced publishers and counts its CPU.
func measure(ctx context.Context, s settings, v server, source []rtmpout.Tag, n int) (sample, error) {
	if err := leaveFirstCore(ctx); err != nil {
		return sample{}, err
	}
	r, err := v.start(ctx, s, n)
	if r != nil {
		defer r.stop()
	}
	if err != nil {
		return sample{}, err
	}
	failed := make(chan error, n)
	if err := wait(ctx, settle, failed); err != nil { // what a start costs
		return sample{}, err
	}
	idle, quiet, _, err := window(ctx, r, s.window/2, failed, nil)
	if err != nil {
		return sample{}, err
	}
	load, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	for i, url := range r.urls {
		c, err := rtmpout.Dial(ctx, url, rtmpout.Options{Now: time.Now})
		if err != nil {
			return sample{}, err
		}
		wg.Go(func() {
			defer c.Abort()
			if err := pace(load, c, source, time.Duration(i)*2*time.Second/time.Duration(n)); err != nil {
				failed <- err
			}
		})
	}
	if err := wait(ctx, settle, failed); err != nil {
		return sample{}, err
	}
	busy, after, _, err := window(ctx, r, s.window, failed, nil)
	if err != nil {
		return sample{}, err
	}
	const perHour = 3600 / 1e3 // seconds of CPU of ms per second
	each := float64(n)
	return sample{
		cpu: busy.cpu / each * perHour, idle: idle.cpu, added: (busy.cpu - idle.cpu) / each,
		memoryMB: after.memoryMB, addedMB: (after.memoryMB - quiet.memoryMB) / each, load: after.load,
	}, nil
}

func wait(ctx context.Context, d time.Duration, failed <-chan error) error {
	select {
	case <-time.After(d):
		return nil
	case err := <-failed:
		return fmt.Errorf("a publisher was cut: %w", err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pace sends the source over and over, as an encoder does: every frame when it
// is due.
func pace(ctx context.Context, c *rtmpout.Client, tags []rtmpout.Tag, late time.Duration) error {
	begin, round := time.Now().Add(late), time.Duration(tags[len(tags)-1].TimestampMS+20)*time.Millisecond
	for at := time.Duration(0); ; at += round {
		for _, g := range tags {
			due := at + time.Duration(g.TimestampMS)*time.Millisecond
			if early := time.Until(begin.Add(due)); early > time.Millisecond {
				select {
				case <-ctx.Done():
					return nil
				case <-time.After(early):
				}
			}
			if err := c.Write(g.Type, uint32(due.Milliseconds()), g.Payload); err != nil { //nolint:gosec // wraps as RTMP does
				return err
			}
		}
	}
}

// leaveFirstCore keeps this process, the load, off the server's core.
func leaveFirstCore(ctx context.Context) error {
	cores := fmt.Sprintf("1-%d", runtime.NumCPU()-1)
	out, err := exec.CommandContext(ctx, "taskset", "-a", "-c", "-p", cores, strconv.Itoa(os.Getpid())).CombinedOutput() //nolint:gosec // fixed program
	if err != nil {
		return fmt.Errorf("leave the first core: %w\n%s", err, out)
	}
	return nil
}

type usage struct{ cpu, memoryMB, load float64 }

// spent sums CPU (user and system) and memory of processes.
func spent(pids []int) (u usage, err error) {
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return u, err
		}
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		for _, i := range []int{11, 12} { // utime, stime
			v, err := strconv.ParseFloat(f[i], 64)
			if err != nil {
				return u, err
			}
			u.cpu += v / ticksPerSecond
		}
		pages, err := strconv.ParseFloat(f[21], 64)
		if err != nil {
			return u, err
		}
		u.memoryMB += pages * float64(os.Getpagesize()) / 1e6
	}
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return u, err
	}
	u.load, err = strconv.ParseFloat(strings.Fields(string(b))[0], 64)
	return u, err
}

// precise is spent with the kernel's CPU clocks of the processes, for what is
// less than ticks (clock_getcpuclockid(3)).
func precise(pids []int) (usage, error) {
	u, err := spent(pids)
	if err != nil {
		return u, err
	}
	u.cpu = 0
	for _, pid := range pids {
		var t unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil { //nolint:gosec // how the kernel numbers them
			return u, fmt.Errorf("CPU of process %d: %w", pid, err)
		}
		u.cpu += float64(t.Nano()) / 1e9
	}
	return u, nil
}
