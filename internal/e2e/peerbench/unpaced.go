package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/roomcast/roomcast/internal/e2e/freeport"
)

// mediaMinutes is how much media an unpaced round works through.
const mediaMinutes = 10

// unpaced is work that is done as fast as it goes. peer names what it is
// compared with.
type unpaced struct {
	name, peer string
	cpu        func(ctx context.Context, s settings) (seconds float64, err error)
}

func unpacedWork(sink string) []unpaced {
	return []unpaced{
		{"memcpy + write", "", own(jobCopy, "")},
		{"ffmpeg -c copy, hls + dash", "memcpy + write", ffmpegCopy},
		{"roomcast, hls + dash", "memcpy + write", own(jobPackage, "")},
		{"roomcast, hls + dash", "ffmpeg -c copy, hls + dash", nil},
		{"plain PUT over TLS", "", own(jobPut, sink)},
		{"roomcast, upload to S3 over TLS", "plain PUT over TLS", own(jobUpload, sink)},
	}
}

// runUnpaced measures CPU per media-hour, rounds interleaved.
func runUnpaced(ctx context.Context, s settings) error {
	if _, err := makeSource(ctx, s.dir); err != nil {
		return err
	}
	sink := httptest.NewTLSServer(&bucket{objects: map[string][]byte{}})
	defer sink.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: sink.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(s.dir, "ca.pem"), ca, 0o600); err != nil {
		return err
	}
	if err := leaveFirstCore(ctx); err != nil {
		return err
	}
	all := map[string][]float64{}
	for range s.rounds {
		for _, w := range unpacedWork(sink.URL) {
			if w.cpu == nil || !strings.Contains(w.name, s.only) {
				continue
			}
			seconds, err := w.cpu(ctx, s)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			all[w.name] = append(all[w.name], seconds*60/mediaMinutes)
			say("# %s: %.3f cpu-s per media-hour\n", w.name, seconds*60/mediaMinutes)
		}
	}
	say("| unpaced, %d minutes of media | cpu-s per media-hour, median | range | ratio | to |\n|---|---|---|---|---|\n", mediaMinutes)
	middle := func(name string) float64 {
		list := slices.Sorted(slices.Values(all[name]))
		return list[len(list)/2]
	}
	for _, w := range unpacedWork("") {
		if len(all[w.name]) == 0 {
			continue
		}
		ratio := "–"
		if len(all[w.peer]) > 0 {
			ratio = fmt.Sprintf("%.2f", middle(w.name)/middle(w.peer))
		}
		say("| %s | %.2f | %.2f – %.2f | %s | %s |\n", w.name, middle(w.name), slices.Min(all[w.name]), slices.Max(all[w.name]), ratio, w.peer)
	}
	return nil
}

// own runs a job of this program on the first core.
func own(kind, address string) func(context.Context, settings) (float64, error) {
	return func(ctx context.Context, s settings) (float64, error) {
		dir, err := os.MkdirTemp(s.dir, kind+"-")
		if err != nil {
			return 0, err
		}
		defer func() { _ = os.RemoveAll(dir) }() // best effort, in the temporary directory
		self, err := os.Executable()
		if err != nil {
			return 0, err
		}
		cmd := exec.CommandContext(ctx, "taskset", "-c", "0", self, "-be", kind, "-address", address, //nolint:gosec // this program
			"-dir", dir, "-source", filepath.Join(s.dir, "source.flv"), "-minutes", strconv.Itoa(mediaMinutes))
		if s.profiles != "" {
			cmd.Args = append(cmd.Args, "-profile", filepath.Join(s.profiles, kind+".prof"))
		}
		cmd.Env = append(cmd.Environ(), "SSL_CERT_FILE="+filepath.Join(s.dir, "ca.pem"))
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return 0, err
		}
		var seconds float64
		return seconds, json.Unmarshal(bytes.TrimSpace(out), &seconds)
	}
}

// ffmpegCopy packages the same media with ffmpeg.
func ffmpegCopy(ctx context.Context, s settings) (float64, error) {
	dir, err := os.MkdirTemp(s.dir, "ffmpeg-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // the same
	for _, d := range []string{"hls", "dash"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			return 0, err
		}
	}
	cmd := exec.CommandContext(ctx, "taskset", "-c", "0", "ffmpeg", "-nostdin", "-v", "error", "-stream_loop", strconv.Itoa(mediaMinutes*3-1), //nolint:gosec // fixed arguments
		"-i", filepath.Join(s.dir, "source.flv"), "-c", "copy", "-f", "hls", "-hls_time", "2", "-hls_list_size", "15", "-hls_segment_type", "fmp4", filepath.Join(dir, "hls", "v.m3u8"),
		"-c", "copy", "-f", "dash", "-seg_duration", "2", "-window_size", "15", "-use_template", "1", "-use_timeline", "1", filepath.Join(dir, "dash", "manifest.mpd"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, out)
	}
	return (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), nil
}

// bucket takes PUTs as S3 does, with its conditions, and gives back what is
// small: manifests.
type bucket struct {
	mu      sync.Mutex
	objects map[string][]byte
	etags   map[string]string
	count   int
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.etags == nil {
		b.etags = map[string]string{}
	}
	key := r.URL.Path
	etag, there := b.etags[key]
	switch {
	case r.Method == http.MethodPut && (r.Header.Get("If-None-Match") == "*" && there || r.Header.Get("If-Match") != "" && r.Header.Get("If-Match") != etag):
		w.WriteHeader(http.StatusPreconditionFailed)
	case r.Method == http.MethodPut:
		body := io.Reader(r.Body)
		if r.ContentLength < 64<<10 {
			kept, err := io.ReadAll(body)
			if err != nil {
				return
			}
			b.objects[key] = kept
		}
		_, _ = io.Copy(io.Discard, body) // the sender notices
		b.count++
		b.etags[key] = fmt.Sprintf("%q", strconv.Itoa(b.count))
		w.Header().Set("ETag", b.etags[key])
	case !there:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<Error><Code>NoSuchKey</Code></Error>") // the same
	default:
		w.Header().Set("ETag", etag)
		_, _ = w.Write(b.objects[key]) // the same
	}
}

// ingestOnly is our RTMP server and hub in a process of its own, without API,
// store and packaging.
func ingestOnly(ctx context.Context, s settings, streams int) (*running, error) {
	dir, err := os.MkdirTemp(s.dir, "ingest-")
	if err != nil {
		return nil, err
	}
	address, err := freeport.Address()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd, err := core(ctx, dir, self, "-be", jobIngest, "-address", address)
	if err != nil {
		return nil, err
	}
	r := &running{cmd: cmd, dir: dir, live: atOnce, pids: func() []int { return family(cmd.Process.Pid) }}
	for i := range streams {
		r.urls = append(r.urls, fmt.Sprintf("rtmp://%s/live/s%d", address, i))
	}
	return r, listening(ctx, address)
}
