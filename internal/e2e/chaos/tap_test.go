package chaos

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/mediatest/check"
)

// tap stands before the bucket and keeps every write that took effect, in its
// order, whether or not its answer reaches the writer. Safe for concurrent use.
type tap struct {
	*httptest.Server
	endpoint, bucket string

	mu   sync.Mutex
	log  []check.Write
	keys map[string]*sync.Mutex // one write of a key at a time
}

func newTap(t *testing.T, endpoint, bucket string) *tap {
	t.Helper()
	p := &tap{endpoint: endpoint, bucket: bucket, keys: map[string]*sync.Mutex{}}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *tap) address() string { return strings.TrimPrefix(p.URL, "http://") }

// ServeHTTP passes a request on, to its end, and the answer back.
func (p *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut on its way: it took no effect
	}
	key, ours := strings.CutPrefix(r.URL.Path, "/"+p.bucket+"/")
	writes := ours && strings.HasPrefix(key, "live/") && (r.Method == http.MethodPut || r.Method == http.MethodDelete) && r.URL.RawQuery == ""
	if query := r.URL.Query(); ours && len(query) == 1 && query.Has("x-id") {
		writes = strings.HasPrefix(key, "live/") && (r.Method == http.MethodPut || r.Method == http.MethodDelete)
	}
	if writes {
		unlock := p.hold(key)
		defer unlock()
	}
	write := check.Write{Key: key, Body: body, Deleted: r.Method == http.MethodDelete, Before: p.len(), Options: control.PutOptions{
		ContentType: r.Header.Get("Content-Type"), CacheControl: r.Header.Get("Cache-Control"),
		IfMatch: r.Header.Get("If-Match"), IfNoneMatch: r.Header.Get("If-None-Match") == "*",
	}}
	resp, err := p.pass(r, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	if writes && resp.StatusCode/100 == 2 {
		p.mu.Lock()
		p.log = append(p.log, write)
		p.mu.Unlock()
	}
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer)
}

// pass sends the request although its sender may be gone by now.
func (p *tap) pass(r *http.Request, body []byte) (*http.Response, error) {
	out, err := http.NewRequest(r.Method, p.endpoint+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	out.Header = r.Header.Clone()
	out.Host = r.Host
	return http.DefaultTransport.RoundTrip(out)
}

func (p *tap) hold(key string) (unlock func()) {
	p.mu.Lock()
	m := p.keys[key]
	if m == nil {
		m = &sync.Mutex{}
		p.keys[key] = m
	}
	p.mu.Unlock()
	m.Lock()
	return m.Unlock
}

func (p *tap) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.log)
}

// folders are those of the play ids that were written to.
func (p *tap) folders() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	folders := map[string]int{}
	for _, w := range p.log {
		if parts := strings.SplitN(w.Key, "/", 3); len(parts) == 3 {
			folders[parts[0]+"/"+parts[1]+"/"]++
		}
	}
	return folders
}

// missing answers what was acknowledged and is not in the bucket as it was
// written last.
func (p *tap) missing() (list []string, looked int) {
	last := map[string]check.Write{}
	for _, w := range p.log {
		last[w.Key] = w
	}
	for key, w := range last {
		if w.Deleted {
			continue
		}
		looked++
		resp, err := http.Head(p.endpoint + "/" + p.bucket + "/" + key)
		if err != nil {
			list = append(list, err.Error())
			continue
		}
		_ = resp.Body.Close()
		sum := md5.Sum(w.Body)
		if want := `"` + hex.EncodeToString(sum[:]) + `"`; resp.StatusCode != http.StatusOK || resp.Header.Get("ETag") != want {
			list = append(list, fmt.Sprintf("%s: %s, ETag %s, want %s", key, resp.Status, resp.Header.Get("ETag"), want))
		}
	}
	return list, looked
}
