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
	l.s.mu.Lock()
	l.s.invoked[l.id]++
	l.s.mu.Unlock()
	return l.process.Invoke(b, out)
}

// invocations so far, and the stream's "records" and the "jobs" among them.
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

// pattern is a filter of the stream's mapping (infra/functions.yaml), as far as
// those here go.
type pattern struct {
	EventName []string `json:"eventName"`
	DynamoDB  struct {
		Keys struct {
			PK struct {
				S []struct {
					Prefix string `json:"prefix"`
				}
			} `json:"pk"`
		}
	} `json:"dynamodb"`
}

func (s *stack) patterns() (list []pattern) {
	s.t.Helper()
	it.Walk(s.templates["functions"].Of("AWS::Serverless::Function")["Outbox"], func(v any) {
		text, ok := it.Map(v)["Pattern"].(string)
		if !ok {
			return
		}
		var p pattern
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			s.t.Errorf("filter %s: %v", text, err)
		}
		list = append(list, p)
	})
	if len(list) == 0 {
		s.t.Error("the stream's mapping has no filter")
	}
	return list
}

type record struct {
	EventName string `json:"eventName"`
	DynamoDB  struct {
		Keys attributes
	} `json:"dynamodb"`
}

func passes(list []pattern, r record) bool {
	for _, p := range list {
		for _, pk := range p.DynamoDB.Keys.PK.S {
			if slices.Contains(p.EventName, r.EventName) && strings.HasPrefix(r.DynamoDB.Keys["pk"].S, pk.Prefix) {
				return true
			}
		}
	}
	return false
}

// follow is the mapping of the table's stream: its filter, then batches.
func (l *lambda) follow(ctx context.Context, arn string) error {
	const version = "DynamoDBStreams_20120810."
	filter := l.s.patterns()
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
		"StreamArn": arn, "ShardId": described.StreamDescription.Shards[0].ShardID, "ShardIteratorType": "TRIM_HORIZON",
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
			var r record
			if err := json.Unmarshal(raw, &r); err != nil {
				return err
			}
			if passes(filter, r) {
				batch.Records = append(batch.Records, raw)
				l.s.counted(r)
			}
		}
		if len(batch.Records) > 0 {
			if err := l.invoke(batch, nil); err != nil {
				return fmt.Errorf("outbox: %w", err)
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
func (s *stack) counted(r record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch pk := r.DynamoDB.Keys["pk"].S; {
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
