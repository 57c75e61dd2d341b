package httpapi

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// broadcastCodes reads every broadcast.Code constant from the source, so that a
// new one cannot be forgotten here.
func broadcastCodes(t *testing.T) []broadcast.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "broadcast", "errors.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var list []broadcast.Code
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Code") {
			return true
		}
		for _, v := range spec.Values {
			lit, ok := v.(*ast.BasicLit)
			if !ok {
				t.Fatalf("%s is no literal", spec.Names[0].Name)
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, broadcast.Code(text))
		}
		return true
	})
	if len(list) < 20 {
		t.Fatalf("found %d codes only", len(list))
	}
	return list
}

func TestEveryCodeOfTheRulesHasAStatusAndIsDocumented(t *testing.T) {
	documented := map[broadcast.Code]bool{}
	for _, c := range codes() {
		documented[c] = true
		if _, ok := meaningOf(c); !ok {
			t.Errorf("%s is documented and has no status", c)
		}
	}
	for _, c := range broadcastCodes(t) {
		_, mapped := meaningOf(c)
		if hidden := c == broadcast.CodeEventForbidden || c == broadcast.CodePostState; mapped == hidden || documented[c] == hidden {
			t.Errorf("%s: mapped %v, documented %v", c, mapped, documented[c])
		}
	}
}

func TestCodesHaveTheStatusesOfTheContract(t *testing.T) {
	for code, status := range map[broadcast.Code]int{
		"MEMBER_NOT_FOUND": 404, "STREAM_KEY_NOT_FOUND": 404, "VIDEO_ROOM_NOT_FOUND": 404, "VIDEO_POST_NOT_FOUND": 404,
		"VIDEO_ROOM_STATE_NOT_SCHEDULED": 409, "STREAM_KEY_STATE_NOT_ACTIVE": 409, "STREAM_KEY_BUSY": 409,
		"VIDEO_ROOM_STATE_NOT_LIVE_INACTIVE": 409, "STREAM_KEY_STATE_NOT_INACTIVE": 409, "STREAM_KEY_STATE_NOT_INACTIVE_LIVE": 409,
		"VIDEO_ROOM_STATE_NOT_LIVE": 409, "MEMBER_IS_LIVE": 409, "VIDEO_ROOM_IS_LIVE": 409, "VIDEO_ROOM_TYPE_NOT_BROADCAST_RTMP": 409,
		"INVALID_APP_USER_ID_FORMAT": 422, "CUSTOM_DATA_TOO_LARGE": 422, "VIDEO_ROOM_TYPE_NOT_AVAILABLE": 422,
		"TRANSCODING_PROFILE_IN_USE": 409, "IDEMPOTENCY_KEY_REUSED": 422,
		"INVALID_CREDENTIALS": 401, "VERSION_MISMATCH": 412, "TRY_AGAIN": 503,
	} {
		if m, ok := meaningOf(code); !ok || m.status != status || m.title == "" {
			t.Errorf("%s is %d %q, want %d", code, m.status, m.title, status)
		}
	}
}

// broken is the real service with one use case that fails.
type broken struct {
	*control.Service
	err   error
	panic any
}

func (b broken) App(ctx context.Context, c control.Caller) (control.App, error) {
	if b.panic != nil {
		panic(b.panic)
	}
	if b.err != nil {
		return control.App{}, b.err
	}
	return b.Service.App(ctx, c)
}

func TestAFailureInsideSaysNothingOutsideAndOneLineInTheLog(t *testing.T) {
	secret := "disk /dev/secret at 0xc000"
	for name, c := range map[string]struct {
		broken broken
		status int
		code   broadcast.Code
	}{
		"unknown error":   {broken{err: errors.New(secret)}, 500, codeInternal},
		"hidden refusal":  {broken{err: &broadcast.Refusal{Code: broadcast.CodeEventForbidden, Message: secret}}, 500, codeInternal},
		"panic":           {broken{panic: secret}, 500, codeInternal},
		"full disk":       {broken{err: fmt.Errorf("%s: %w", secret, control.ErrNoSpace)}, 503, codeUnavailable},
		"busy store":      {broken{err: fmt.Errorf("%s: %w", secret, control.ErrUnavailable)}, 503, codeUnavailable},
		"too slow":        {broken{err: fmt.Errorf("%s: %w", secret, context.DeadlineExceeded)}, 503, codeUnavailable},
		"lost five races": {broken{err: &broadcast.Refusal{Code: broadcast.CodeBusy, Message: "try again"}}, 503, broadcast.CodeBusy},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.broken.Service = w.service
			w.serve(c.broken)
			before := strings.Count(w.log.String(), "\n")
			a := w.want(w.send("GET", "/v2/apps/me", w.acme.basic(), "", "X-Request-Id", "req-of-mine"), c.status, c.code)
			if strings.Contains(a.raw, secret) {
				t.Errorf("the inside leaks: %s", a.raw)
			}
			lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")[before:]
			if len(lines) != 1 || !strings.Contains(lines[0], `"request":"req-of-mine"`) {
				t.Errorf("log: %q", lines)
			}
			if c.code != broadcast.CodeBusy && !strings.Contains(lines[0], secret) {
				t.Errorf("the log does not say why: %s", lines[0])
			}
		})
	}
}

func TestAnErrorOfADecoderIsNotRepeated(t *testing.T) {
	list := fieldErrors([]*huma.ErrorDetail{
		nil,
		{Location: "body", Message: `parsing time "sk-secret"`, Value: "sk-secret"},
		{Location: "body.title", Message: "expected string", Value: "sk-secret"},
	})
	if text := fmt.Sprint(list); strings.Contains(text, "secret") || len(list) != 2 {
		t.Errorf("field errors: %s", text)
	}
}

func TestUnknownPathsAndMethodsAreProblems(t *testing.T) {
	w := newWorld(t)
	auth := w.acme.basic()
	for _, path := range []string{"/", "/v2", "/v2/apps", "/v2/apps/me/", "/v2/apps/me/nothing", "/v2//apps/me", "/v2/x/../apps/me", "/favicon.ico", "/docs/../docs"} {
		w.want(w.send("GET", path, auth, ""), 404, codeNotFound)
	}
	for path, allow := range map[string]string{
		"/v2/apps/me":                "GET, HEAD, PATCH",
		"/v2/apps/me/members":        "GET, HEAD, POST",
		"/v2/apps/me/members/login":  "GET, HEAD, POST, PATCH, DELETE",
		"/v2/members/me/stream-key":  "GET, HEAD, PATCH",
		"/v2/apps/me/video-rooms/r1": "GET, HEAD, PATCH, DELETE",
		"/openapi.json":              "GET, HEAD",
	} {
		for _, method := range []string{http.MethodPut, "BREW"} {
			if got := w.want(w.send(method, path, auth, ""), 405, codeMethodNotAllowed).header.Get("Allow"); got != allow {
				t.Errorf("%s %s: Allow %q, want %q", method, path, got, allow)
			}
		}
	}
}

func TestRequestIDsAreEchoedWhenSaneAndMadeOtherwise(t *testing.T) {
	w := newWorld(t)
	for id, echoed := range map[string]bool{
		"abc-123": true, strings.Repeat("x", 128): true, "~!": true,
		strings.Repeat("x", 129): false, "two words": false, "tab\there": false, "é": false, "": false,
	} {
		got := w.send("GET", "/v2/apps/me", w.acme.basic(), "", "X-Request-Id", id).header.Get("X-Request-Id")
		if (got == id) != echoed || got == "" {
			t.Errorf("%q became %q", id, got)
		}
	}
}

// Whoever reads no more than the detail knows what to do.
func TestADetailSaysWhatToDo(t *testing.T) {
	w := newWorld(t)
	w.login(w.acme, "kim")
	auth, room := w.acme.basic(), "/v2/apps/me/video-rooms/"+w.newRoom(w.acme)
	off := "/v2/apps/me/video-rooms/" + w.newRoom(w.acme)
	w.ok(w.send("POST", off+"/cancel", auth, ""))
	const members = "/v2/apps/me/members"
	for _, c := range []struct{ method, path, auth, body, want string }{
		{"POST", members, auth, `{"appUserId":"a b"}`, "appUserId: expected string to match pattern"},
		{"POST", members, auth, `{"appUserID":"x"}`, "appUserID: unexpected property; and 1 more in errors"},
		{"POST", members, auth, `{"a":1,}`, "not one valid JSON value: byte 8 does not fit"},
		{"POST", members, auth, `{} {}`, "not one valid JSON value: byte 4 does not fit"},
		{"POST", members, auth, `{"a"`, "not one valid JSON value: it ends too early"},
		{"GET", members, "", "", "/v2/apps/me takes HTTP Basic with apiKey:apiSecret"},
		{"GET", "/v2/members/me", "Bearer x", "", "/v2/members/me takes Authorization: Bearer with a member's token"},
		{"GET", "/v2/admin/apps", "Basic eDp5", "", "/v2/admin takes Authorization: Bearer with the operator's token"},
		{"POST", room + "/end", auth, "", "it has not begun, cancel it instead"},
		{"POST", room + "/end", auth, `{"force":true}`, "it has not begun, cancel it instead"},
		{"POST", off + "/end", auth, "", "it is over"},
	} {
		if a := w.send(c.method, c.path, c.auth, c.body); a.status < 400 || !strings.Contains(a.text("detail"), c.want) {
			t.Errorf("%s %s %s: %s", c.method, c.path, c.body, a.raw)
		}
	}
}
