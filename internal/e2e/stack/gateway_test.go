package stack

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	it "github.com/roomcast/roomcast/internal/infratest"
	"github.com/roomcast/roomcast/internal/localstacktest"
)

// gateway is AWS as one program sees it. What its role does not allow is
// refused, and fails the test.
type gateway struct {
	*httptest.Server
	s       *stack
	program string
	policy  it.Policy

	mu    sync.Mutex
	calls []call
}

// call is one request that was answered with a success.
type call struct {
	name       string // "s3.PutObject"
	at, end    time.Time
	key        string // of an S3 object, or the hash of a query, or an invalidation
	reads      float64
	writes     float64
	statusCode int
	messages   int // of SQS that were sent
}

// access is what IAM decides about.
type access struct {
	action, resource string
	keys             []string
}

// gateway is that of a program, made when it is first asked for.
func (s *stack) gateway(program string, policy it.Policy) *gateway {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.gateways[program]; g != nil {
		return g
	}
	g := &gateway{s: s, program: program, policy: policy}
	g.Server = httptest.NewServer(g)
	s.t.Cleanup(g.Server.Close)
	s.gateways[program] = g
	return g
}

// policy reads what a part of a template allows.
func (s *stack) policy(template string, policies any) it.Policy {
	s.t.Helper()
	p, err := s.templates[template].Policy(policies, s.names)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// all answers every call so far.
func (g *gateway) all() []call {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.calls)
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c := call{at: time.Now()}
	var wants []access
	service := serviceOf(r)
	switch service {
	case "dynamodb":
		c.name, wants, body = g.table(r, body)
		if c.name == "dynamodb.Query" && len(wants) > 0 {
			c.key = wants[0].keys[0]
		}
	case "sqs", "ssm", "ecs":
		c.name, wants = g.json(service, r, body)
		if c.name == "sqs.SendMessage" {
			c.messages = 1
		}
		if c.name == "sqs.SendMessageBatch" {
			var in struct{ Entries []struct{} }
			_ = json.Unmarshal(body, &in) // LocalStack tells
			c.messages = len(in.Entries)
		}
	case "s3":
		c.name, c.key, wants = g.object(r)
	case "elasticloadbalancing":
		form, _ := url.ParseQuery(string(body)) // an empty one is refused below
		c.name = "elasticloadbalancing." + form.Get("Action")
		wants = []access{{"elasticloadbalancing:" + form.Get("Action"), form.Get("TargetGroupArn"), nil}}
	}
	if id, ok := strings.CutPrefix(r.URL.Path, "/2020-05-31/distribution/"); ok && service == "cloudfront" {
		id, _, _ = strings.Cut(id, "/")
		c.name, c.key = "cloudfront.CreateInvalidation", string(body)
		wants = []access{{"cloudfront:CreateInvalidation", "arn:aws:cloudfront::" + g.s.account.ID + ":distribution/" + id, nil}}
	}
	if len(wants) == 0 {
		g.s.t.Errorf("%s asks for %s %s of %q, which this gateway does not know", g.program, r.Method, r.URL, service)
	}
	for _, a := range wants {
		if !g.policy.Allows(a.action, a.resource, a.keys) {
			g.s.t.Errorf("the role of %s forbids %s on %s %v", g.program, a.action, a.resource, a.keys)
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"__type":"AccessDeniedException","message":"forbidden"}`))
			return
		}
	}
	switch service {
	case "ecs":
		g.s.runTask(w, body)
	case "elasticloadbalancing":
		action := strings.TrimPrefix(c.name, "elasticloadbalancing.")
		_, _ = fmt.Fprintf(w, "<%[1]sResponse><%[1]sResult/></%[1]sResponse>", action)
	case "cloudfront":
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`<Invalidation><Id>I1</Id><Status>InProgress</Status></Invalidation>`))
	default:
		g.forward(w, r, body, &c)
	}
	c.end = time.Now()
	if c.statusCode < http.StatusMultipleChoices {
		g.mu.Lock()
		g.calls = append(g.calls, c)
		g.mu.Unlock()
	}
}

// serviceOf reads the credential's scope (Signature Version 4).
func serviceOf(r *http.Request) string {
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	scope, _, _ = strings.Cut(scope, ",")
	if parts := strings.Split(scope, "/"); len(parts) == 5 {
		return parts[3]
	}
	return ""
}

func (g *gateway) forward(w http.ResponseWriter, r *http.Request, body []byte, c *call) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, localstacktest.Endpoint+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	out.Header = r.Header.Clone()
	out.Header.Del("Content-Length")
	answer, err := (&http.Transport{DisableCompression: true, MaxIdleConns: 1, DisableKeepAlives: true}).RoundTrip(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	c.statusCode = answer.StatusCode
	if c.reads, c.writes = units(b, answer.Header.Get("Content-Encoding")); !strings.Contains(c.name, "Get") && c.name != "dynamodb.Query" {
		c.reads, c.writes = 0, c.reads+c.writes
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(b)
}

// units is what DynamoDB says that a call has consumed.
func units(b []byte, encoding string) (reads, writes float64) {
	if encoding == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return 0, 0
		}
		if b, err = io.ReadAll(z); err != nil {
			return 0, 0
		}
	}
	var answer struct{ ConsumedCapacity json.RawMessage }
	if json.Unmarshal(b, &answer) != nil || len(answer.ConsumedCapacity) == 0 {
		return 0, 0
	}
	type consumed struct{ CapacityUnits, ReadCapacityUnits, WriteCapacityUnits float64 }
	var list []consumed
	if json.Unmarshal(answer.ConsumedCapacity, &list) != nil {
		var one consumed
		if json.Unmarshal(answer.ConsumedCapacity, &one) != nil {
			return 0, 0
		}
		list = []consumed{one}
	}
	for _, c := range list {
		reads, writes = reads+c.ReadCapacityUnits, writes+c.WriteCapacityUnits
		if c.ReadCapacityUnits == 0 && c.WriteCapacityUnits == 0 {
			reads += c.CapacityUnits // table says which it is
		}
	}
	return reads, writes
}

type attributes map[string]struct{ S string }

// table is what a request of DynamoDB wants, and the request with the wish to
// be told what it consumes.
func (g *gateway) table(r *http.Request, body []byte) (name string, wants []access, wish []byte) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	arn := g.s.names["TableArn"]
	type item struct{ Key, Item attributes }
	var in struct {
		item
		IndexName                 string
		ExpressionAttributeValues attributes
		RequestItems              map[string]struct{ Keys []attributes }
		TransactItems             []struct{ Get, Put, Update, Delete, ConditionCheck *item }
	}
	if json.Unmarshal(body, &in) != nil {
		return operation, nil, body
	}
	want := func(action string, i item) {
		wants = append(wants, access{"dynamodb:" + action, arn, []string{i.Key["pk"].S + i.Item["pk"].S}})
	}
	switch operation {
	case "GetItem", "PutItem", "UpdateItem", "DeleteItem":
		want(operation, in.item)
	case "BatchGetItem":
		for _, table := range in.RequestItems {
			for _, k := range table.Keys {
				want(operation, item{Key: k})
			}
		}
	case "TransactGetItems", "TransactWriteItems":
		for _, i := range in.TransactItems {
			for action, of := range map[string]*item{"GetItem": i.Get, "PutItem": i.Put, "UpdateItem": i.Update, "DeleteItem": i.Delete, "ConditionCheckItem": i.ConditionCheck} {
				if of != nil {
					want(action, *of)
				}
			}
		}
	case "Query":
		resource := arn
		if in.IndexName != "" {
			resource += "/index/" + in.IndexName
		}
		wants = []access{{"dynamodb:Query", resource, []string{in.ExpressionAttributeValues[":hash"].S}}}
	}
	var all map[string]any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if decoder.Decode(&all) == nil {
		all["ReturnConsumedCapacity"] = "TOTAL"
		if b, err := json.Marshal(all); err == nil {
			body = b
		}
	}
	return "dynamodb." + operation, wants, body
}

// json is what requests of SQS, SSM and ECS want.
func (g *gateway) json(service string, r *http.Request, body []byte) (name string, wants []access) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var in struct{ QueueURL, QueueName, Name, TaskDefinition string }
	if json.Unmarshal(body, &in) != nil {
		return operation, nil
	}
	queue := in.QueueName
	if queue == "" {
		queue = in.QueueURL[strings.LastIndex(in.QueueURL, "/")+1:]
	}
	place := ":" + localstacktest.Region + ":" + g.s.account.ID + ":"
	switch service {
	case "sqs":
		action := strings.TrimSuffix(operation, "Batch")
		wants = []access{{"sqs:" + action, "arn:aws:sqs" + place + queue, nil}}
	case "ssm":
		wants = []access{{"ssm:" + operation, "arn:aws:ssm" + place + "parameter" + in.Name, nil}}
	case "ecs":
		wants = []access{
			{"ecs:" + operation, in.TaskDefinition, nil},
			{"iam:PassRole", g.s.names["TranscoderRoleArn"], nil},
			{"iam:PassRole", g.s.names["ExecutionRoleArn"], nil},
		}
	}
	return service + "." + operation, wants
}

// object is what a request of S3 wants (path style).
func (g *gateway) object(r *http.Request) (name, key string, wants []access) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	arn, q := "arn:aws:s3:::"+bucket, r.URL.Query()
	one := func(operation, action string) (string, string, []access) {
		return "s3." + operation, key, []access{{"s3:" + action, arn + "/" + key, nil}}
	}
	switch {
	case key == "":
		return "s3.ListObjectsV2", "", []access{{"s3:ListBucket", arn, nil}}
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		name, key, wants = one("GetObject", "GetObject")
		return name, key, append(wants, access{"s3:ListBucket", arn, nil})
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		return one("AbortMultipartUpload", "AbortMultipartUpload")
	case r.Method == http.MethodDelete:
		return one("DeleteObject", "DeleteObject")
	case r.Method == http.MethodPut && q.Has("partNumber"):
		return one("UploadPart", "PutObject")
	case r.Method == http.MethodPost:
		return one("MultipartUpload", "PutObject")
	}
	return one("PutObject", "PutObject")
}
