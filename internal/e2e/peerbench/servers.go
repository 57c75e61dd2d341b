package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/roomcast/roomcast/client"
	"github.com/roomcast/roomcast/internal/e2e/freeport"
)

// server is what takes the streams.
type server struct {
	name  string
	start func(ctx context.Context, s settings, streams int) (*running, error)
}

// running is a server at work. urls are where the publishers go, plain is
// where the plain loop sends; live waits until the first stream can be watched
// and sets play.
type running struct {
	cmd   *exec.Cmd
	pids  func() []int
	urls  []string
	plain string
	play  playURLs
	live  func(ctx context.Context) error
	dir   string
}

type playURLs struct{ RTMPURL, HTTPFLVURL string }

func atOnce(context.Context) error { return nil }

func (r *running) stop() {
	_ = r.cmd.Process.Signal(os.Interrupt) // it may be gone
	done := make(chan struct{})
	go func() { defer close(done); _ = r.cmd.Wait() }() // its status is no result
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		_ = r.cmd.Process.Kill()
		<-done
	}
	_ = os.RemoveAll(r.dir)
}

// core runs a server's command on the first core; load runs on the others.
func core(ctx context.Context, dir string, args ...string) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", "0"}, args...)...) //nolint:gosec // programs of the benchmark
	log, err := os.Create(filepath.Join(dir, "server.log"))
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	return cmd, cmd.Start()
}

const nginxConf = `daemon off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/error.log;
load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
events { worker_connections 4096; }
rtmp { server { listen %[2]s; chunk_size 4096; application live { live on; %[3]s } } }
`

// nginx is Debian's, with or without HLS and DASH of 2 s segments.
func nginx(packaged bool) func(context.Context, settings, int) (*running, error) {
	return func(ctx context.Context, s settings, streams int) (*running, error) {
		dir, err := os.MkdirTemp(s.dir, "nginx-")
		if err != nil {
			return nil, err
		}
		address, err := freeport.Address()
		if err != nil {
			return nil, err
		}
		out := ""
		if packaged {
			out = fmt.Sprintf("hls on; hls_path %[1]s/hls; hls_fragment 2s; hls_playlist_length 30s; dash on; dash_path %[1]s/dash; dash_fragment 2s; dash_playlist_length 30s;", dir)
			for _, d := range []string{"hls", "dash"} {
				if err := os.Mkdir(filepath.Join(dir, d), 0o777); err != nil { //nolint:gosec // nginx's worker is another user
					return nil, err
				}
				_ = os.Chmod(filepath.Join(dir, d), 0o777) //nolint:gosec // the same
			}
		}
		_ = os.Chmod(dir, 0o755)   //nolint:gosec // the same
		_ = os.Chmod(s.dir, 0o755) //nolint:gosec // the same
		conf := filepath.Join(dir, "nginx.conf")
		if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, address, out), 0o600); err != nil {
			return nil, err
		}
		cmd, err := core(ctx, dir, "nginx", "-c", conf, "-p", dir)
		if err != nil {
			return nil, err
		}
		r := &running{cmd: cmd, dir: dir, live: atOnce, pids: func() []int { return family(cmd.Process.Pid) }}
		for i := range streams {
			r.urls = append(r.urls, fmt.Sprintf("rtmp://%s/live/s%d", address, i))
		}
		return r, listening(ctx, address)
	}
}

// roomcast is ours, the whole process with its API and database, in an output
// mode ("" = the default).
func roomcast(mode string) func(context.Context, settings, int) (*running, error) {
	return func(ctx context.Context, s settings, streams int) (*running, error) {
		return startRoomcast(ctx, s, streams, mode)
	}
}

func startRoomcast(ctx context.Context, s settings, streams int, mode string) (*running, error) {
	dir, err := os.MkdirTemp(s.dir, "roomcast-")
	if err != nil {
		return nil, err
	}
	web, err := freeport.Address()
	if err != nil {
		return nil, err
	}
	rtmp, err := freeport.Address()
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	cmd, err := core(ctx, dir, s.roomcast, "up", "--data", data, "--http", web, "--rtmp", rtmp)
	if err != nil {
		return nil, err
	}
	r := &running{cmd: cmd, dir: dir, pids: func() []int { return family(cmd.Process.Pid) }}
	if err := errors.Join(listening(ctx, rtmp), listening(ctx, web)); err != nil {
		return r, err
	}
	b, err := credentials(ctx, filepath.Join(data, "credentials.json"))
	if err != nil {
		return r, err
	}
	var c struct{ APIKey, APISecret string }
	if err := json.Unmarshal(b, &c); err != nil {
		return r, err
	}
	api, err := client.New(client.Options{URL: "http://" + web, Auth: client.BasicAuth(c.APIKey, c.APISecret)})
	if err != nil {
		return r, err
	}
	for i := range streams {
		user := fmt.Sprint("user", i)
		var key struct {
			IngestURL string `json:"ingestURL"`
			StreamKey string `json:"streamKey"`
		}
		if err := api.Do(ctx, http.MethodPost, "/v2/apps/me/members", map[string]string{"appUserId": user}, nil); err != nil {
			return r, err
		}
		if err := api.Do(ctx, http.MethodGet, "/v2/apps/me/members/"+user+"/stream-key", nil, &key); err != nil {
			return r, err
		}
		url := key.IngestURL + "/" + key.StreamKey
		if mode != "" {
			url += "?mode=" + mode
		}
		r.urls = append(r.urls, url)
	}
	r.live = func(ctx context.Context) error { return r.find(ctx, api) }
	return r, nil
}

// find waits until the first stream is ACTIVE.
func (r *running) find(ctx context.Context, api *client.Client) error {
	for range 200 {
		var key struct {
			State    string `json:"streamKeyState"`
			Playback *playURLs
		}
		if err := api.Do(ctx, http.MethodGet, "/v2/apps/me/members/user0/stream-key", nil, &key); err != nil {
			return err
		}
		if key.State == "ACTIVE" && key.Playback != nil {
			r.play = *key.Playback
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("the stream does not become ACTIVE")
}

// credentials are there when roomcast is ready.
func credentials(ctx context.Context, file string) (b []byte, err error) {
	for range 200 {
		if b, err = os.ReadFile(file); err == nil || ctx.Err() != nil {
			return b, err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, err
}

func listening(ctx context.Context, address string) error {
	var d net.Dialer
	for range 200 {
		c, err := d.DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("nothing listens on %s", address)
}

// family is a process and its children.
func family(pid int) []int {
	all := []int{pid}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return all
	}
	for _, f := range strings.Fields(string(b)) {
		if n, err := strconv.Atoi(f); err == nil {
			all = append(all, family(n)...)
		}
	}
	return all
}
