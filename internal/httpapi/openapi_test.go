package httpapi

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheCommittedDocumentIsThatOfTheCode(t *testing.T) {
	doc, err := OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenAPI()
	if err != nil || !bytes.Equal(doc, again) {
		t.Fatalf("the document is not the same every time (%v)", err)
	}
	committed, err := os.ReadFile(filepath.Join("..", "..", "docs", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(doc, committed) {
		t.Error("docs/openapi.yaml is out of date: make generate")
	}
}

func TestTheAPIIsTheOneOfTheContract(t *testing.T) {
	w := newWorld(t)
	var got []string
	for pattern, op := range w.ops {
		got = append(got, pattern)
		if op.Summary == "" || len(op.Responses) < 4 || op.OperationID == "" {
			t.Errorf("%s is not documented", pattern)
		}
	}
	slices.Sort(got)
	var want []string
	for _, line := range strings.Fields(`
		/v2/apps/me:GET,PATCH /v2/apps/me/members:GET,POST /v2/apps/me/members/login:POST
		/v2/apps/me/members/{appUserId}:GET,PATCH,DELETE /v2/apps/me/members/{appUserId}/stream-key:GET
		/v2/apps/me/stream-keys:GET /v2/apps/me/stream-keys/{id}:GET,PATCH /v2/apps/me/stream-keys/{id}/reissue:POST
		/v2/apps/me/stream-keys/{id}/force-terminate:POST /v2/apps/me/stream-keys/{id}/disconnect:POST
		/v2/apps/me/video-rooms:GET,POST /v2/apps/me/video-rooms/{id}:GET,PATCH,DELETE /v2/apps/me/video-rooms/{id}/start:POST
		/v2/apps/me/video-rooms/{id}/end:POST /v2/apps/me/video-rooms/{id}/cancel:POST /v2/apps/me/video-rooms/{id}/journal:GET
		/v2/apps/me/video-posts:GET /v2/apps/me/video-posts/{id}:GET,PATCH,DELETE /v2/apps/me/video-posts/{id}/retry:POST
		/v2/members/me/video-posts:GET /v2/members/me/video-posts/{id}:GET
		/v2/members/me:GET /v2/members/me/stream-key:GET,PATCH /v2/members/me/stream-key/reissue:POST
		/v2/members/me/stream-key/disconnect:POST /v2/members/me/video-rooms:GET,POST /v2/members/me/video-rooms/{id}:GET,PATCH,DELETE
		/v2/members/me/video-rooms/{id}/start:POST /v2/members/me/video-rooms/{id}/end:POST /v2/members/me/video-rooms/{id}/cancel:POST
		/v2/admin/apps:GET,POST /v2/admin/apps/{id}:GET,PATCH,DELETE /v2/admin/workers:GET /v2/admin/video-rooms/{id}/journal:GET /v2/admin/apps/{id}/events:GET /v2/apps/me/api-keys:GET,POST /v2/apps/me/api-keys/{id}:DELETE /v2/admin/apps/{id}/api-keys:POST /v2/admin/stream-keys:GET /v2/admin/video-rooms:GET
		/v2/admin/dead-letters:GET /v2/admin/dead-letters/{id}:DELETE /v2/admin/dead-letters/{id}/replay:POST
		/v2/apps/me/transcoding-profiles:GET,POST /v2/apps/me/transcoding-profiles/{id}:GET,PATCH,DELETE /v2/members/me/transcoding-profiles:GET
		/v2/apps/me/events:GET /v2/members/me/events:GET /v2/apps/me/events/{id}/redeliver:POST
		/v2/apps/me/webhook-endpoints:GET,POST /v2/apps/me/webhook-endpoints/{id}:GET,PATCH,DELETE
		/v2/apps/me/webhook-endpoints/{id}/test:POST /v2/apps/me/webhook-endpoints/{id}/rotate-secret:POST
		/v2/apps/me/webhook-endpoints/{id}/redeliver:POST /v2/apps/me/webhook-endpoints/{id}/dead-letters:GET`) {
		path, methods, _ := strings.Cut(line, ":")
		for m := range strings.SplitSeq(methods, ",") {
			want = append(want, m+" "+path)
		}
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("operations\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestOpenAPIIsServedWithoutACredential(t *testing.T) {
	w := newWorld(t)
	a := w.want(w.send("GET", "/openapi.json", "", ""), 200, "")
	if a.text("openapi") != "3.1.0" || a.body["paths"] == nil {
		t.Errorf("document: %.200s", a.raw)
	}
	var refs []string
	for _, m := range regexp.MustCompile(`"\$ref":"#/([^"]+)"`).FindAllStringSubmatch(a.raw, -1) {
		refs = append(refs, m[1])
	}
	for _, ref := range refs {
		var at any = a.body
		for part := range strings.SplitSeq(ref, "/") {
			m, _ := at.(map[string]any)
			at = m[part]
		}
		if at == nil {
			t.Errorf("#/%s leads nowhere", ref)
		}
	}
}

func TestTheDocsPageLoadsNothingFromElsewhere(t *testing.T) {
	w := newWorld(t)
	foreign := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9.-]+\.[a-z]{2,}|javascript:|innerHTML|eval\(|\son[a-z]+=|<script>|style=`)
	for path, contentType := range map[string]string{
		"/docs": "text/html; charset=utf-8", "/docs/docs.js": "text/javascript; charset=utf-8", "/docs/docs.css": "text/css; charset=utf-8",
	} {
		a := w.want(w.send("GET", path, "", ""), 200, "")
		if a.header.Get("Content-Type") != contentType || len(a.raw) < 200 {
			t.Errorf("%s: %q, %d bytes", path, a.header.Get("Content-Type"), len(a.raw))
		}
		if csp := a.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if m := foreign.FindString(a.raw); m != "" {
			t.Errorf("%s has %q", path, m)
		}
		for _, m := range regexp.MustCompile(`(?:src|href)="(/[^"#]*)"`).FindAllStringSubmatch(a.raw, -1) {
			w.want(w.send("GET", m[1], "", ""), 200, "")
		}
	}
}

func TestAHEADIsAGETWithoutItsBodyAndASlowBodyIsCut(t *testing.T) {
	w := newWorld(t)
	server := Server(w.handler)
	server.ReadTimeout = 200 * time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		<-done
	}()

	req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "http://"+l.Addr().String()+"/v2/apps/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", w.acme.basic())
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
	if res.StatusCode != 200 || res.Header.Get("ETag") == "" {
		t.Errorf("HEAD: %d %v", res.StatusCode, res.Header)
	}

	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte("PATCH /v2/apps/me HTTP/1.1\r\nHost: x\r\nAuthorization: " + w.acme.basic() +
		"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"name\":"))
	if err != nil {
		t.Fatal(err)
	}
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(conn); err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(answer.String(), "\r\n\r\n")
	var p problem
	if err := json.Unmarshal([]byte(body), &p); err != nil || p.ErrorCode != codeRequestTimeout || p.Status != 408 {
		t.Errorf("a slow body is answered %q (%v)", answer.String(), err)
	}
}
