package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/roomcast/roomcast/internal/control"
)

// Idempotency-Key on every POST (docs/contract.md, "Conventions"; the IETF's
// draft-ietf-httpapi-idempotency-key-header): a call that took effect is not
// done again, but answered again from its record and the stored resource.

const (
	keyHeader      = "Idempotency-Key"
	replayedHeader = "Idempotent-Replayed"
	longestKey     = 255
)

func keyParam() *huma.Param {
	longest, shortest := longestKey, 1
	return &huma.Param{
		Name: keyHeader, In: "header", Example: "9f1c5a70-3f0e-4b3b-8d1f-0c9a4f6a2c11",
		Description: "Makes the call repeatable: the same key and body within 24 hours take effect once and are answered again, with " +
			replayedHeader + ": true. A call that was refused may be repeated with the same key. 1–255 visible ASCII characters.",
		Schema: &huma.Schema{Type: huma.TypeString, MinLength: &shortest, MaxLength: &longest, Pattern: "^[!-~]*$"},
	}
}

// markReplayed documents the header of an answer that was given before.
func markReplayed(op *huma.Operation) {
	for status, r := range op.Responses {
		if !strings.HasPrefix(status, "2") {
			continue
		}
		if r.Headers == nil {
			r.Headers = map[string]*huma.Param{}
		}
		r.Headers[replayedHeader] = &huma.Param{
			Description: "true = the call took effect before; this is its answer again",
			Schema:      &huma.Schema{Type: huma.TypeString, Enum: []any{"true"}},
		}
	}
}

type callKey struct{}

// repeatable reads the key of a POST, refuses a call whose twin is still
// running here, and leaves the call's name for once. It comes after strictBody.
func (a *api) repeatable(e endpoint) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		keys := r.Header.Values(keyHeader)
		if len(keys) == 0 {
			next(ctx)
			return
		}
		if len(keys) > 1 || len(keys[0]) > longestKey || !visible(keys[0]) {
			invalid(fieldError{Field: keyHeader, Message: "must be 1 to 255 visible ASCII characters"}).write(w, r)
			return
		}
		call, p := nameCall(r, e.side, callerOf(ctx.Context()), keys[0])
		if p == nil && !a.calls.begin(call.ID) {
			p = newProblem(codeCallRunning, "a call with this "+keyHeader+" is still running; ask again in a moment")
		}
		if p != nil {
			p.write(w, r)
			return
		}
		defer a.calls.end(call.ID)
		next(huma.WithValue(ctx, callKey{}, call))
	}
}

func visible(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return s != ""
}

// nameCall hashes who calls with which key, and what for. The same JSON in
// another order or spacing is the same body.
func nameCall(r *http.Request, s side, c control.Caller, key string) (control.OnceCall, *problem) {
	body, err := io.ReadAll(r.Body) // strictBody has it in memory
	if err != nil {
		return control.OnceCall{}, newProblem(codeMalformedRequest, "the body ends before its end")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	who := sha256.Sum256([]byte(strings.Join([]string{string(s), string(c.AppID), string(c.MemberID), key}, "\n")))
	what := sha256.Sum256([]byte(r.Method + " " + r.URL.RequestURI() + "\n" + canonical(body)))
	return control.OnceCall{ID: hex.EncodeToString(who[:]), Fingerprint: what}, nil
}

// canonical is valid JSON with sorted names and no spaces.
func canonical(body []byte) string {
	if len(body) == 0 {
		return ""
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return string(body)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return string(body)
	}
	return string(text)
}

const shownOnce = "the call took effect, and its answer showed a secret that is shown once; make a new one if it was lost"

// once makes h take effect once per named call. Without again the answer
// shows a secret and is not given twice.
func once[I, O any](a *api, h call[I, O], again ...replay[I, O]) call[I, O] {
	return func(ctx context.Context, c control.Caller, in *I) (*O, error) {
		named, ok := ctx.Value(callKey{}).(control.OnceCall)
		if !ok {
			return h(ctx, c, in)
		}
		var out *O
		record, err := a.Service.Once(ctx, named, func(ctx context.Context) (err error) {
			out, err = h(ctx, c, in)
			return err
		})
		if err != nil || record == nil {
			return out, err
		}
		if len(again) == 0 {
			return nil, newProblem(codeSecretShown, shownOnce)
		}
		if out, err = again[0](ctx, c, in, *record); err == nil {
			if s := stateOf(ctx); s != nil {
				s.header.Set(replayedHeader, "true")
			}
		}
		return out, err
	}
}

// underWay is the set of named calls that run in this process. Another
// process's are told apart by the transaction. Safe for concurrent use.
type underWay struct {
	mu  sync.Mutex
	ids map[string]bool
}

func newUnderWay() *underWay { return &underWay{ids: map[string]bool{}} }

func (u *underWay) begin(id string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ids[id] {
		return false
	}
	u.ids[id] = true
	return true
}

func (u *underWay) end(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.ids, id)
}
