package stack

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	it "github.com/roomcast/roomcast/internal/infratest"
	"github.com/roomcast/roomcast/internal/lambdatest"
)

// start starts one environment of a function.
func (s *stack) start(id string) *lambda {
	s.t.Helper()
	return &lambda{s: s, id: id, process: lambdatest.Start(s.t, lambdatest.Build(s.t, strings.ToLower(id)), s.function(id))}
}

// lambda is a function with one environment: invocations one after the other.
type lambda struct {
	s       *stack
	id      string
	mu      sync.Mutex
	process *lambdatest.Process
}

func (l *lambda) invoke(event, out any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, err := json.Marshal(event)
	if err != nil {
		return err
	}
	l.s.note(l.id)
	return l.process.Invoke(b, out)
}

// note counts one more.
func (s *stack) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.invoked[what]++
}

// invocations so far, and the stream's "records", the "jobs" among them, and
// "takes" of leases.
func (s *stack) invocations() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[string]int{}
	for id, c := range s.invoked {
		n[id] = c
	}
	return n
}

// ServeHTTP is API Gateway's HTTP API.
func (l *lambda) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	in := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "$default", RawPath: r.URL.Path, RawQueryString: r.URL.RawQuery, Headers: map[string]string{"host": r.Host},
		Body: base64.StdEncoding.EncodeToString(body), IsBase64Encoded: true,
	}
	for name, values := range r.Header {
		in.Headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	in.RequestContext.HTTP.Method, in.RequestContext.HTTP.Path, in.RequestContext.HTTP.SourceIP = r.Method, r.URL.Path, "203.0.113.7"
	in.RequestContext.Stage = "$default"
	var out events.APIGatewayV2HTTPResponse
	if err := l.invoke(in, &out); err != nil {
		http.Error(w, `{"message":"Internal Server Error"}`, http.StatusInternalServerError)
		return
	}
	for name, value := range out.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(out.StatusCode)
	answer := []byte(out.Body)
	if out.IsBase64Encoded {
		answer, _ = base64.StdEncoding.DecodeString(out.Body)
	}
	_, _ = w.Write(answer)
}

// consume is the event source mapping of a queue: BatchSize 1, what failed
// comes again.
func (l *lambda) consume(ctx context.Context, url string) error {
	for ctx.Err() == nil {
		var got struct {
			Messages []struct {
				MessageID     string `json:"MessageId"`
				ReceiptHandle string
				Body          string
				Attributes    map[string]string
			}
		}
		err := l.s.call(ctx, "sqs", "AmazonSQS.ReceiveMessage", map[string]any{"QueueUrl": url, "WaitTimeSeconds": 1, "AttributeNames": []string{"All"}}, &got)
		if err != nil {
			return err
		}
		for _, m := range got.Messages {
			var answer events.SQSEventResponse
			err := l.invoke(events.SQSEvent{Records: []events.SQSMessage{{MessageId: m.MessageID, ReceiptHandle: m.ReceiptHandle, Body: m.Body, Attributes: m.Attributes}}}, &answer)
			if err != nil || len(answer.BatchItemFailures) > 0 {
				l.s.t.Logf("%s fails at %s: %v", l.id, m.Body, err)
				continue
			}
			if err := l.s.call(ctx, "sqs", "AmazonSQS.DeleteMessage", map[string]any{"QueueUrl": url, "ReceiptHandle": m.ReceiptHandle}, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// mapping is how a function reads the table's stream (infra/functions.yaml).
type mapping struct {
	start   string // TRIM_HORIZON or LATEST
	filters []any
}

func (s *stack) mapping(id string) (m mapping) {
	s.t.Helper()
	for _, e := range it.Map(s.templates["functions"].Of("AWS::Serverless::Function")[id]["Events"]) {
		if it.Map(e)["Type"] != "DynamoDB" {
			continue
		}
		p := it.Map(it.Map(e)["Properties"])
		m.start, _ = p["StartingPosition"].(string)
		for _, f := range it.List(it.Map(p["FilterCriteria"])["Filters"]) {
			text, _ := it.Map(f)["Pattern"].(string)
			var filter any
			if err := json.Unmarshal([]byte(text), &filter); err != nil {
				s.t.Errorf("filter %s: %v", text, err)
			}
			m.filters = append(m.filters, filter)
		}
	}
	if len(m.filters) == 0 {
		s.t.Errorf("the stream's mapping of %s has no filter", id)
	}
	return m
}

// fits says whether a record passes a filter, as far as those here go: a list
// is of alternatives, each a value, a prefix, or whether there is one.
func fits(filter, v any) bool {
	switch f := filter.(type) {
	case map[string]any:
		for name, inner := range f {
			if !fits(inner, it.Map(v)[name]) {
				return false
			}
		}
		return true
	case []any:
		for _, alternative := range f {
			m := it.Map(alternative)
			prefix, hasPrefix := m["prefix"].(string)
			exists, hasExists := m["exists"].(bool)
			text, isText := v.(string)
			switch {
			case hasPrefix && isText && strings.HasPrefix(text, prefix), hasExists && exists == (v != nil), len(m) == 0 && alternative == v:
				return true
			}
		}
	}
	return false
}

// follow is the mapping of the table's stream: its filters, then batches. count
// is told each record that passes.
func (l *lambda) follow(ctx context.Context, arn string, count func(pk string)) error {
	const version = "DynamoDBStreams_20120810."
	by := l.s.mapping(l.id)
	var described struct {
		StreamDescription struct {
			Shards []struct {
				ShardID string `json:"ShardId"`
			}
		}
	}
	if err := l.s.call(ctx, "dynamodb", version+"DescribeStream", map[string]any{"StreamArn": arn}, &described); err != nil {
		return err
	}
	if n := len(described.StreamDescription.Shards); n != 1 {
		return fmt.Errorf("the stream has %d shards, this reads one", n)
	}
	var at struct{ ShardIterator string }
	err := l.s.call(ctx, "dynamodb", version+"GetShardIterator", map[string]any{
		"StreamArn": arn, "ShardId": described.StreamDescription.Shards[0].ShardID, "ShardIteratorType": by.start,
	}, &at)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		var got struct {
			Records           []json.RawMessage
			NextShardIterator string
		}
		if err := l.s.call(ctx, "dynamodb", version+"GetRecords", map[string]any{"ShardIterator": at.ShardIterator}, &got); err != nil {
			return err
		}
		at.ShardIterator = got.NextShardIterator
		var batch struct{ Records []json.RawMessage }
		for _, raw := range got.Records {
			var r any
			if err := json.Unmarshal(raw, &r); err != nil {
				return err
			}
			if slices.ContainsFunc(by.filters, func(f any) bool { return fits(f, r) }) {
				batch.Records = append(batch.Records, raw)
				pk, _ := it.Map(it.Map(it.Map(it.Map(r)["dynamodb"])["Keys"])["pk"])["S"].(string)
				count(pk)
			}
		}
		if len(batch.Records) > 0 {
			if err := l.invoke(batch, nil); err != nil {
				return fmt.Errorf("%s: %w", l.id, err)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond): // Lambda's own pause
		}
	}
	return nil
}

// counted counts a record, but for what the recording's processing tells.
func (s *stack) counted(pk string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case strings.HasPrefix(pk, "JOB#"):
		s.invoked["jobs"]++
		fallthrough
	case !strings.HasPrefix(pk, "NOTICE#post_"):
		s.invoked["records"]++
	}
}

// runTask is ECS: it starts the transcoder with what the task is given.
func (s *stack) runTask(w http.ResponseWriter, body []byte) {
	var in struct {
		Overrides struct {
			ContainerOverrides []struct {
				Name        string
				Environment []struct{ Name, Value string }
			}
		}
	}
	if err := json.Unmarshal(body, &in); err != nil || len(in.Overrides.ContainerOverrides) != 1 {
		http.Error(w, "?", http.StatusBadRequest)
		return
	}
	env := append(s.worker("TranscoderTask", "TranscoderRole"), "ROOMCAST_SCRATCH="+s.t.TempDir())
	for _, e := range in.Overrides.ContainerOverrides[0].Environment {
		env = append(env, e.Name+"="+e.Value)
	}
	p := s.run("transcoder", s.dir+"/transcoder", env)
	s.mu.Lock()
	s.tasks = append(s.tasks, p)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_, _ = w.Write([]byte(`{"tasks":[{"taskArn":"arn:task"}],"failures":[]}`))
}
