// Package stack runs a show as template.yaml deploys it: each Lambda's own
// bootstrap, the ingest worker and the transcoder as processes, with the
// environments of infra/, on LocalStack's DynamoDB, SQS and S3. What those
// programs ask of AWS passes a gateway that lets through what their roles
// allow, and counts it.
package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/e2e/freeport"
	it "github.com/roomcast/roomcast/internal/infratest"
	"github.com/roomcast/roomcast/internal/localstacktest"
)

const (
	operatorToken = "operator-token-of-this-test-and-no-other"
	secret        = "0123456789abcdef0123456789abcdef"
	cluster       = "arn:aws:ecs:us-east-1:000000000000:cluster/stack"
	task          = "arn:aws:ecs:us-east-1:000000000000:task-definition/transcoder:1"
	distribution  = "E1STACK"
	// patience is for other processes on a machine that has much to do.
	patience = 60 * time.Second
)

// stack is one installation.
type stack struct {
	t         *testing.T
	account   localstacktest.Account
	templates map[string]it.Template
	// names is what the names in infra/functions.yaml and infra/workers.yaml
	// stand for.
	names map[string]string
	dir   string

	mu       sync.Mutex
	gateways map[string]*gateway
	invoked  map[string]int // functions, by their names
	tasks    []*process     // transcoders
	sweeper  *lambda

	rtmp   string
	front  *httptest.Server // as CloudFront: API and media
	bucket string
	tables map[string]string // outputs of infra/data.yaml
}

func newStack(t *testing.T) *stack {
	t.Helper()
	templates, err := it.Load()
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{
		t: t, account: localstacktest.New(t), templates: templates, dir: t.TempDir(),
		gateways: map[string]*gateway{}, invoked: map[string]int{}, rtmp: address(t),
	}
	data, queues := s.account.Deploy(t, "data"), s.account.Deploy(t, "queues")
	s.tables, s.bucket = data, data["MediaBucket"]
	s.front = httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.front.Close)
	s.names = map[string]string{
		"PublicUrl": s.front.URL, "RtmpUrl": "rtmp://" + s.rtmp, "LogLevel": "INFO",
		"TokenKey": secret, "OperatorToken": operatorToken, "RelaySecret": secret,
		"ClusterArn": cluster, "Cluster": "stack", "TranscoderTask": task, "TranscoderSubnets": "subnet-1,subnet-2", "TranscoderSecurityGroup": "sg-1",
		"TranscoderPublicIp": "ENABLED", "DistributionParameter": "/stack/distribution", "Distribution": distribution, "TranscoderRoleArn": "arn:aws:iam::000000000000:role/transcoder", "ExecutionRoleArn": "arn:aws:iam::000000000000:role/execution",
		"RtmpTargets": "arn:rtmp", "WebTargets": "arn:web",
		"AWS::StackName": "stack", "AWS::Region": localstacktest.Region, "AWS::Partition": "aws", "AWS::AccountId": s.account.ID,
	}
	for _, outputs := range []map[string]string{data, queues} {
		for name, value := range outputs {
			s.names[name] = value
		}
	}
	for name, value := range map[string]string{"/roomcast/stack/wanted": "blue", s.names["DistributionParameter"]: distribution} {
		s.aws("ssm", "AmazonSSM.PutParameter", map[string]any{"Name": name, "Value": value, "Type": "String"}, nil)
	}
	return s
}

func address(t *testing.T) string {
	t.Helper()
	a, err := freeport.Address()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// credentials are an environment's that leads to a program's gateway.
func (s *stack) credentials(g *gateway) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "TMPDIR=" + s.dir, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ENDPOINT_URL=" + g.URL, "AWS_REGION=" + localstacktest.Region,
		"AWS_ACCESS_KEY_ID=" + s.account.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s.account.SecretKey,
	}
}

// function is the environment that infra/functions.yaml gives one of them.
func (s *stack) function(id string) map[string]string {
	s.t.Helper()
	template := s.templates["functions"]
	properties := template.Of("AWS::Serverless::Function")[id]
	env := map[string]string{}
	policy := s.policy("functions", properties["Policies"])
	if id == "Archiver" { // what is made after the functions
		policy = append(policy, s.policy("cdn", s.templates["cdn"].Section("Resources")["Invalidation"])...)
	}
	for _, e := range s.credentials(s.gateway(id, policy)) {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	for name, v := range it.Map(it.Map(properties["Environment"])["Variables"]) {
		value, err := template.Value(v, s.names)
		if err != nil {
			s.t.Fatal(err)
		}
		value = strings.TrimSuffix(strings.TrimPrefix(value, "{{resolve:secretsmanager:"), "}}")
		env[name] = value
	}
	return env
}

// worker is the environment that infra/workers.yaml gives a task.
func (s *stack) worker(definition, role string) []string {
	s.t.Helper()
	template := s.templates["workers"]
	env := s.credentials(s.gateway(definition, s.policy("workers", template.Of("AWS::IAM::Role")[role]["Policies"])))
	for _, c := range it.List(template.Of("AWS::ECS::TaskDefinition")[definition]["ContainerDefinitions"]) {
		for _, v := range append(it.List(it.Map(c)["Environment"]), it.List(it.Map(c)["Secrets"])...) {
			m := it.Map(v)
			from := m["Value"]
			if from == nil {
				from = m["ValueFrom"]
			}
			value, err := template.Value(from, s.names)
			if err != nil {
				s.t.Fatal(err)
			}
			env = append(env, fmt.Sprintf("%v=%s", m["Name"], value))
		}
	}
	return env
}

// process is a worker that runs.
type process struct {
	cmd    *exec.Cmd
	out    log
	exited chan error
}

// log collects what a process prints; safe for concurrent use.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// build builds a program of workers/.
func (s *stack) build(name string) string {
	s.t.Helper()
	to := filepath.Join(s.dir, name)
	if b, err := exec.CommandContext(s.t.Context(), "go", "build", "-o", to, "../../../workers/"+name).CombinedOutput(); err != nil {
		s.t.Fatalf("%v\n%s", err, b)
	}
	return to
}

// run starts a worker; it ends with the test.
func (s *stack) run(name, binary string, env []string) *process {
	p := &process{cmd: exec.Command(binary), exited: make(chan error, 1)}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		s.t.Errorf("%s: %v", name, err)
		p.exited <- err
		return p
	}
	go func() { p.exited <- p.cmd.Wait() }()
	s.t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may be gone
		<-p.exited
		if s.t.Failed() {
			s.t.Logf("%s said:\n%s", name, p.out.String())
		}
	})
	return p
}

// ingest starts the worker as ECS would, on ports of this machine.
func (s *stack) ingest() *process {
	env := s.worker("IngestBlueTask", "IngestRole")
	agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var wish struct{ ProtectionEnabled bool }
		_ = json.NewDecoder(r.Body).Decode(&wish) // none asks for the address
		_, _ = fmt.Fprintf(w, `{"protection":{"ProtectionEnabled":%t},"Networks":[{"IPv4Addresses":["127.0.0.1"]}]}`, wish.ProtectionEnabled)
	}))
	s.t.Cleanup(agent.Close)
	web := address(s.t)
	p := s.run("ingest", s.build("ingest"), append(env,
		"ECS_AGENT_URI="+agent.URL, "ECS_CONTAINER_METADATA_URI_V4="+agent.URL, "ROOMCAST_RTMP="+s.rtmp, "ROOMCAST_WEB="+web))
	s.eventually(patience, "the worker is healthy", func() error {
		r, err := http.Get("http://" + web + "/healthz") //nolint:noctx // a test's own server
		if err != nil {
			return err
		}
		return r.Body.Close()
	})
	return p
}

// serve makes the CDN's host answer: media from the bucket, the rest by api.
func (s *stack) serve(api http.Handler) {
	to, err := url.Parse(localstacktest.Endpoint)
	if err != nil {
		s.t.Fatal(err)
	}
	media := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.URL.Path = "/" + s.bucket + r.In.URL.Path
		r.Out.Host = to.Host
	}}
	mux := http.NewServeMux()
	mux.Handle("/live/", media)
	mux.Handle("/posts/", media)
	mux.Handle("/", api)
	s.front.Config.Handler = mux
}

// aws is one call of AWS's JSON protocol, straight to LocalStack, which reads
// the account from the credential and checks no signature.
func (s *stack) aws(service, target string, in, out any) {
	s.t.Helper()
	if err := s.call(s.t.Context(), service, target, in, out); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stack) call(ctx context.Context, service, target string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, localstacktest.Endpoint+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	version := "1.1"
	if slices.Contains([]string{"dynamodb", "sqs"}, service) {
		version = "1.0"
	}
	r.Header.Set("Content-Type", "application/x-amz-json-"+version)
	r.Header.Set("X-Amz-Target", target)
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/20260101/%s/%s/aws4_request, SignedHeaders=host, Signature=none",
		s.account.AccessKey, localstacktest.Region, service))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.300s", target, answer.Status, b)
	}
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(b, out)
}

// eventually tries until try answers nil.
func (s *stack) eventually(within time.Duration, what string, try func() error) {
	s.t.Helper()
	end := time.Now().Add(within)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s: not within %s: %v", what, within, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
