package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	awscredentials "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/roomcast/roomcast/internal/e2e/program"
	"github.com/roomcast/roomcast/internal/localstacktest"
)

// fleet stands for the parts of AWS around the workers that LocalStack's free
// edition has not: a network load balancer with its API, and ECS's agent.
type fleet struct {
	t      *testing.T
	env    []string
	binary string
	api    *machine
	front  *cdn
	rtmp   *balancer
	web    *balancer
	elb    *httptest.Server
}

// balancer forwards connections to targets, as an NLB does: those that are
// there stay when their target is taken out.
type balancer struct {
	ln net.Listener

	mu      sync.Mutex
	targets map[string]bool
}

func newBalancer(t *testing.T) *balancer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{ln: ln, targets: map[string]bool{}}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go b.forward(c)
		}
	}()
	return b
}

func (b *balancer) forward(c net.Conn) {
	defer func() { _ = c.Close() }()
	b.mu.Lock()
	var to []string
	for t := range b.targets {
		to = append(to, t)
	}
	b.mu.Unlock()
	if len(to) == 0 {
		return
	}
	up, err := net.DialTimeout("tcp", to[rand.IntN(len(to))], 5*time.Second)
	if err != nil {
		return
	}
	defer func() { _ = up.Close() }()
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(c, up)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(up, c)
	_ = up.(*net.TCPConn).CloseWrite()
	<-back
}

func (b *balancer) set(target string, on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.targets, target)
	if on {
		b.targets[target] = true
	}
}

func (b *balancer) has(target string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.targets[target]
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, rtmp: newBalancer(t), web: newBalancer(t), binary: filepath.Join(t.TempDir(), "ingest")}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", f.binary, "../../workers/ingest")
	if b, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	f.elb = httptest.NewServer(http.HandlerFunc(f.registrations))
	t.Cleanup(f.elb.Close)
	f.env = installation(t)
	f.want("blue")
	f.api = newMachine(t, f.env...)
	f.front = newCDN(t, "http://"+f.api.http)
	return f
}

// registrations is the load balancer's API.
func (f *fleet) registrations(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	to := map[string]*balancer{"arn:rtmp": f.rtmp, "arn:web": f.web}[r.Form.Get("TargetGroupArn")]
	action := r.Form.Get("Action")
	if to == nil || action != "RegisterTargets" && action != "DeregisterTargets" {
		http.Error(w, "unknown", http.StatusBadRequest)
		return
	}
	to.set(net.JoinHostPort(r.Form.Get("Targets.member.1.Id"), r.Form.Get("Targets.member.1.Port")), action == "RegisterTargets")
	_, _ = fmt.Fprintf(w, "<%[1]sResponse><%[1]sResult/></%[1]sResponse>", action)
}

// want writes the fleet's wanted colour.
func (f *fleet) want(colour string) {
	f.t.Helper()
	setting := func(name string) string {
		for _, e := range f.env {
			if v, ok := strings.CutPrefix(e, name+"="); ok {
				return v
			}
		}
		return ""
	}
	cfg, err := awsconfig.LoadDefaultConfig(f.t.Context(), awsconfig.WithRegion(localstacktest.Region), awsconfig.WithBaseEndpoint(localstacktest.Endpoint),
		awsconfig.WithCredentialsProvider(awscredentials.NewStaticCredentialsProvider(setting("AWS_ACCESS_KEY_ID"), setting("AWS_SECRET_ACCESS_KEY"), "")))
	if err == nil {
		_, err = ssm.NewFromConfig(cfg).PutParameter(f.t.Context(), &ssm.PutParameterInput{
			Name: aws.String("/roomcast/wanted"), Value: &colour, Type: types.ParameterTypeString, Overwrite: aws.Bool(true),
		})
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// task is one worker as ECS runs it.
type task struct {
	f         *fleet
	colour    string
	rtmp, web string
	out       program.Output
	cmd       *exec.Cmd
	exited    chan error
	mu        sync.Mutex
	protected bool
}

// run starts a worker and registers it when it is healthy, as its service does.
func (f *fleet) run(colour string) *task {
	f.t.Helper()
	k := &task{f: f, colour: colour, rtmp: freeAddress(f.t), web: freeAddress(f.t), exited: make(chan error, 1)}
	agent := httptest.NewServer(http.HandlerFunc(k.protection))
	f.t.Cleanup(agent.Close)
	k.cmd = exec.Command(f.binary)
	k.cmd.Env = append(append(os.Environ(), f.env...),
		"ROOMCAST_PUBLIC_URL=http://"+f.api.http, "ROOMCAST_RTMP="+k.rtmp, "ROOMCAST_WEB="+k.web, "ROOMCAST_ADDRESS=127.0.0.1",
		"ROOMCAST_RELAY_SECRET="+strings.Repeat("x", 32), "ROOMCAST_COLOUR="+colour, "ROOMCAST_FLEET_PARAMETER=/roomcast/wanted",
		"ROOMCAST_RTMP_TARGETS=arn:rtmp", "ROOMCAST_WEB_TARGETS=arn:web", "ROOMCAST_MAX_DRAIN="+maxDrain.String(),
		"AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2="+f.elb.URL, "ECS_AGENT_URI="+agent.URL)
	k.cmd.Stdout, k.cmd.Stderr = &k.out, &k.out
	if err := k.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	go func() { k.exited <- k.cmd.Wait() }()
	f.t.Cleanup(func() {
		_ = k.cmd.Process.Kill() // it may be gone
		err := <-k.exited
		k.exited <- err
		if f.t.Failed() {
			f.t.Logf("the %s worker said (%v):\n%s", colour, err, k.out.String())
		}
	})
	eventually(f.t, 20*time.Second, "the worker is healthy", func() error {
		check := exec.CommandContext(f.t.Context(), f.binary, "healthcheck")
		check.Env = append(os.Environ(), "ROOMCAST_WEB="+k.web)
		return check.Run()
	})
	f.rtmp.set(k.rtmp, true)
	f.web.set(k.web, true)
	return k
}

func (k *task) protection(w http.ResponseWriter, r *http.Request) {
	var wish struct{ ProtectionEnabled bool }
	if err := json.NewDecoder(r.Body).Decode(&wish); err != nil || r.URL.Path != "/task-protection/v1/state" {
		http.Error(w, "?", http.StatusBadRequest)
		return
	}
	k.mu.Lock()
	k.protected = wish.ProtectionEnabled
	k.mu.Unlock()
	_, _ = fmt.Fprintf(w, `{"protection":{"ProtectionEnabled":%t}}`, wish.ProtectionEnabled)
}

func (k *task) isProtected() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.protected
}

// ended waits until the worker has ended by itself, without an error.
func (k *task) ended(within time.Duration) {
	k.f.t.Helper()
	select {
	case err := <-k.exited:
		k.exited <- err
		if err != nil {
			k.f.t.Fatalf("the %s worker ended with %v", k.colour, err)
		}
	case <-time.After(within):
		k.f.t.Fatalf("the %s worker has not ended within %s", k.colour, within)
	}
}

// admitted is how many publishers the worker took.
func (k *task) admitted() int { return strings.Count(k.out.String(), `"msg":"publishing"`) }

// cdn answers as CloudFront does: what is immutable for ever, a manifest for
// one second, and one request to the origin for all who ask.
type cdn struct {
	*httptest.Server
	origin string
	mu     sync.Mutex
	kept   map[string]*kept
}

type kept struct {
	mu     sync.Mutex
	at     time.Time
	body   []byte
	status int
	always bool
}

func newCDN(t *testing.T, origin string) *cdn {
	c := &cdn{origin: origin, kept: map[string]*kept{}}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *cdn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	k := c.kept[r.URL.Path]
	if k == nil {
		k = &kept{}
		c.kept[r.URL.Path] = k
	}
	c.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.always && time.Since(k.at) >= time.Second {
		if err := k.fetch(c.origin + r.URL.Path); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
	}
	w.WriteHeader(k.status)
	_, _ = w.Write(k.body)
}

func (k *kept) fetch(url string) error {
	resp, err := (&http.Client{Timeout: 20 * time.Second}).Get(url)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	k.body, err = io.ReadAll(resp.Body)
	k.at, k.status = time.Now(), resp.StatusCode
	k.always = resp.StatusCode == http.StatusOK && strings.Contains(resp.Header.Get("Cache-Control"), "immutable")
	return err
}

// watcher plays HLS as RFC 8216 6.3.3 wants: it begins three target durations
// before the end, loads what appears, and plays in real time.
type watcher struct {
	base   string
	played atomic.Int64
	stall  time.Duration // the longest; when watch has returned, as is failed
	failed error
}

func (v *watcher) watch(ctx context.Context, playlist string) {
	v.base = playlist[:strings.LastIndex(playlist, "/")+1]
	next, plays := -1, time.Time{}
	for ctx.Err() == nil {
		text, err := get(ctx, playlist)
		if err != nil {
			if ctx.Err() == nil {
				v.failed = err
			}
			return
		}
		first, list := mediaPlaylist(string(text))
		if next < 0 && len(list) >= 3 {
			next = max(first, first+len(list)-3)
			plays = time.Now()
		}
		if next >= 0 && next < first {
			v.failed = fmt.Errorf("segment %d is no more in the playlist, which begins with %d", next, first)
			return
		}
		for ; next >= 0 && next < first+len(list); next++ {
			s := list[next-first]
			if _, err := get(ctx, v.base+s.name); err != nil {
				if ctx.Err() == nil {
					v.failed = err
				}
				return
			}
			if late := time.Since(plays); late > 0 {
				if v.played.Load() > 0 {
					v.stall = max(v.stall, late)
				}
				plays = time.Now()
			}
			plays = plays.Add(s.duration)
			v.played.Add(1)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second): // half a target duration or more (6.3.4)
		}
	}
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := viewers.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	return b, err
}

var viewers = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 500}}

type listed struct {
	name     string
	duration time.Duration
}

func mediaPlaylist(text string) (first int, list []listed) {
	var s listed
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if n, ok := strings.CutPrefix(line, "#EXT-X-MEDIA-SEQUENCE:"); ok {
			_, _ = fmt.Sscan(n, &first)
		}
		if d, ok := strings.CutPrefix(line, "#EXTINF:"); ok {
			var seconds float64
			_, _ = fmt.Sscan(strings.TrimSuffix(d, ","), &seconds)
			s.duration = time.Duration(seconds * float64(time.Second))
		}
		if line != "" && line[0] != '#' {
			s.name = line
			list = append(list, s)
		}
	}
	return first, list
}

// listener watches over HTTP-FLV, as long as it takes, and notes the longest
// time without a byte; a connection that is cut is made again.
type listener struct {
	reads atomic.Int64
	gap   time.Duration // when watch has returned, as is cuts
	cuts  int
}

func (v *listener) watch(ctx context.Context, url string) {
	last := time.Time{}
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return
		}
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err == nil && resp.StatusCode == http.StatusOK {
			b := make([]byte, 64<<10)
			for {
				n, err := resp.Body.Read(b)
				if n > 100 { // media, not the file's head
					if !last.IsZero() {
						v.gap = max(v.gap, time.Since(last))
					}
					last = time.Now()
					v.reads.Add(1)
				}
				if err != nil {
					break
				}
			}
		}
		if err == nil {
			_ = resp.Body.Close()
		}
		if ctx.Err() == nil && !last.IsZero() {
			v.cuts++
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// terminate is what ECS does to a task that it stops.
func (k *task) terminate() {
	k.f.t.Helper()
	if err := k.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		k.f.t.Fatal(err)
	}
}
