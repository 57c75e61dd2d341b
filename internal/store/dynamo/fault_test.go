package dynamo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/store/dynamo"
)

// faults is a middleware of the SDK's client, next to the wire: it counts the
// attempts and lets some of them fail. Safe for concurrent use.
type faults struct {
	mu sync.Mutex
	// calls are the names of the operations, one per attempt.
	calls []string
	// next are the faults of the next attempts, one each.
	next []fault
}

// fault does one attempt; send passes it on to the server.
type fault func(send func() (*smithyhttp.Response, error)) (*smithyhttp.Response, error)

func (f *faults) install(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("faults",
		func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
			f.mu.Lock()
			f.calls = append(f.calls, middleware.GetOperationName(ctx))
			var now fault
			if len(f.next) > 0 {
				now, f.next = f.next[0], f.next[1:]
			}
			f.mu.Unlock()
			if now == nil {
				return next.HandleDeserialize(ctx, in)
			}
			var out middleware.DeserializeOutput
			var metadata middleware.Metadata
			response, err := now(func() (*smithyhttp.Response, error) {
				var err error
				out, metadata, err = next.HandleDeserialize(ctx, in)
				response, _ := out.RawResponse.(*smithyhttp.Response)
				return response, err
			})
			if response != nil {
				out.RawResponse = response
			}
			return out, metadata, err
		}), middleware.After)
}

func (f *faults) set(next ...fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next, f.calls = next, nil
}

func (f *faults) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

func answer(status int, body string) *smithyhttp.Response {
	return &smithyhttp.Response{Response: &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(strings.NewReader(body)),
	}}
}

// refuses answers an error of the service and does nothing.
func refuses(status int, code, more string) fault {
	return func(func() (*smithyhttp.Response, error)) (*smithyhttp.Response, error) {
		return answer(status, fmt.Sprintf(`{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":"injected"%s}`, code, more)), nil
	}
}

func canceled(codes ...string) fault {
	var reasons []string
	for _, c := range codes {
		reasons = append(reasons, fmt.Sprintf(`{"Code":%q}`, c))
	}
	return refuses(400, "TransactionCanceledException", `,"CancellationReasons":[`+strings.Join(reasons, ",")+`]`)
}

// unsent: the connection broke before the server had the request.
func unsent(func() (*smithyhttp.Response, error)) (*smithyhttp.Response, error) {
	return nil, &smithyhttp.RequestSendError{Err: &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}}
}

// unanswered: the server did it, and its answer is lost.
func unanswered(send func() (*smithyhttp.Response, error)) (*smithyhttp.Response, error) {
	if r, err := send(); err == nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
	}
	return nil, &smithyhttp.RequestSendError{Err: io.ErrUnexpectedEOF}
}

// timedOut: done, and no answer within the attempt's time.
func timedOut(send func() (*smithyhttp.Response, error)) (*smithyhttp.Response, error) {
	if _, err := unanswered(send); err == nil {
		return nil, err
	}
	return nil, &smithyhttp.RequestSendError{Err: timeout{}}
}

type timeout struct{}

func (timeout) Error() string   { return "i/o timeout" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

// breaksOff: done; the answer ends in its middle with err.
func breaksOff(err error) fault {
	return func(send func() (*smithyhttp.Response, error)) (*smithyhttp.Response, error) {
		r, sendErr := send()
		if sendErr != nil {
			return nil, sendErr
		}
		body, readErr := io.ReadAll(r.Body)
		if readErr != nil {
			return nil, readErr
		}
		_ = r.Body.Close()
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), broken{err}))
		return r, nil
	}
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

func (tb table) openWith(t *testing.T, f *faults) *dynamo.Store {
	t.Helper()
	opt := tb.options()
	opt.AWS.APIOptions = append(opt.AWS.APIOptions, f.install)
	s, err := dynamo.Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// passing are faults after which the same call must succeed, and once.
func passing() map[string]fault {
	return map[string]fault{
		"throttled":                  refuses(400, "ProvisionedThroughputExceededException", ""),
		"throttled by the account":   refuses(400, "RequestLimitExceeded", ""),
		"throttling":                 refuses(400, "ThrottlingException", ""),
		"internal error":             refuses(500, "InternalServerError", ""),
		"unavailable":                refuses(503, "ServiceUnavailable", ""),
		"never sent":                 unsent,
		"done, answer lost":          unanswered,
		"done, timed out":            timedOut,
		"done, answer broke off":     breaksOff(io.ErrUnexpectedEOF),
		"done, connection was reset": breaksOff(&net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}),
		// aws-sdk-go-v2 issue 2737
		"done, connection closed while the body is read": breaksOff(&net.OpError{Op: "read", Net: "tcp", Err: net.ErrClosed}),
	}
}

func TestFaultsThatPassAreTriedAgainAndHappenOnce(t *testing.T) {
	f := &faults{}
	s := newTable(t).openWith(t, f)
	seed := control.Changes{
		ID: "seed", Keys: []broadcast.StreamKey{{ID: "key", AppID: "app"}},
		Leases: []control.LeaseWrite{{New: true, Lease: broadcast.Lease{KeyID: "key", PlayID: "play"}}},
	}
	if err := s.Commit(t.Context(), seed); err != nil {
		t.Fatal(err)
	}
	transaction := passing()
	transaction["met another transaction"] = canceled("None", "TransactionConflict")
	transaction["an item was throttled"] = canceled("ThrottlingError", "None")
	transaction["in progress"] = refuses(400, "TransactionInProgressException", "")
	for name, fault := range transaction {
		room := broadcast.VideoRoom{ID: broadcast.RoomID(name), AppID: "app", Title: name}
		c := control.Changes{ID: name, Rooms: []broadcast.VideoRoom{room}}
		if len(c.ID) > 36 {
			c.ID = c.ID[:36]
		}
		f.set(fault, fault)
		if err := s.Commit(t.Context(), c); err != nil {
			t.Errorf("%s: commit: %v", name, err)
		}
		if n := len(f.seen()); n != 3 {
			t.Errorf("%s: %d attempts, want 3", name, n)
		}
		f.set(fault)
		if got, err := s.Room(t.Context(), room.ID); err != nil || got.Version != 1 {
			t.Errorf("%s: room of version %d (%v)", name, got.Version, err)
		}
	}
	single := passing()
	single["met a transaction"] = refuses(400, "TransactionConflictException", "")
	for name, fault := range single {
		l, err := s.Lease(t.Context(), "key")
		if err != nil {
			t.Fatal(err)
		}
		c := control.LeaseCondition{Generation: l.KeyGeneration, Epoch: l.Epoch}
		f.set(fault, fault)
		got, err := s.TakeLease(t.Context(), "key", c, broadcast.Holder{Session: "ses"}, broadcast.Progress{})
		if err != nil || got.Epoch != l.Epoch+1 {
			t.Errorf("%s: take: epoch %d after %d (%v)", name, got.Epoch, l.Epoch, err)
		}
		for what, do := range map[string]func() error{
			"renew": func() error {
				return s.RenewLease(t.Context(), "key", got.Epoch, "ses", broadcast.Progress{Renewals: 1})
			},
			"finish": func() error { return s.FinishJob(t.Context(), "job") },
		} {
			f.set(fault)
			if err := do(); err != nil {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
		f.set(fault)
		if err := s.ReleaseLease(t.Context(), "key", got.Epoch, "ses", broadcast.Progress{Renewals: 1}); err != nil {
			t.Errorf("%s: release: %v", name, err)
		}
	}
}

func TestFaultsThatStayAreOutages(t *testing.T) {
	f := &faults{}
	s := newTable(t).openWith(t, f)
	for name, lasting := range map[string]fault{
		"throttled for long":     refuses(400, "ProvisionedThroughputExceededException", ""),
		"conflicts for long":     canceled("TransactionConflict"),
		"cancelled for validity": canceled("ValidationError"),
		"refused":                refuses(400, "AccessDeniedException", ""),
		"other parameters":       refuses(400, "IdempotentParameterMismatchException", ""),
	} {
		f.set(slices.Repeat([]fault{lasting}, 8)...)
		err := s.Commit(t.Context(), control.Changes{ID: name, Apps: []control.App{{ID: "app"}}})
		if err == nil || errors.Is(err, control.ErrConflict) || errors.Is(err, control.ErrNotFound) {
			t.Errorf("%s: %v, want an outage", name, err)
		}
		if strings.Contains(name, "for long") != (len(f.seen()) == 8) {
			t.Errorf("%s: %d attempts", name, len(f.seen()))
		}
	}
	// A condition that failed beside a conflict is a conflict, at once.
	f.set(canceled("None", "ConditionalCheckFailed", "TransactionConflict"))
	err := s.Commit(t.Context(), control.Changes{ID: "both", Apps: []control.App{{ID: "app"}, {ID: "other"}}})
	if !errors.Is(err, control.ErrConflict) || len(f.seen()) != 1 {
		t.Errorf("a failed condition beside a conflict: %v after %d attempts", err, len(f.seen()))
	}
}

func TestContextEndsTheAttempts(t *testing.T) {
	f := &faults{}
	s := newTable(t).openWith(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	f.set(refuses(500, "InternalServerError", ""), func(func() (*smithyhttp.Response, error)) (*smithyhttp.Response, error) {
		cancel()
		return nil, &smithyhttp.RequestSendError{Err: context.Canceled}
	})
	if err := s.Commit(ctx, control.Changes{ID: "c", Apps: []control.App{{ID: "app"}}}); !errors.Is(err, context.Canceled) || len(f.seen()) != 2 {
		t.Errorf("%v after %d attempts", err, len(f.seen()))
	}
}
