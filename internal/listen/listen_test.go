package listen_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roomcast/roomcast/internal/listen"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pems are a self-signed certificate for name and its key.
func pems(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
}

// files are where a certificate lies.
type files struct{ cert, key string }

func (f files) write(t *testing.T, cert, key []byte) {
	t.Helper()
	for name, b := range map[string][]byte{f.cert: cert, f.key: key} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func newFiles(t *testing.T) files {
	t.Helper()
	dir := t.TempDir()
	f := files{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	cert, key := pems(t, "first.example")
	f.write(t, cert, key)
	return f
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// house is a port with both protocols, which echo under their name.
type house struct {
	t    *testing.T
	addr string
	port *listen.Port
}

func open(t *testing.T, o listen.Options, withTLS bool) *house {
	t.Helper()
	if withTLS {
		f := newFiles(t)
		var err error
		if o.Certificate, err = listen.LoadCertificate(f.cert, f.key, time.Now, quiet()); err != nil {
			t.Fatal(err)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Now = time.Now
	h := &house{t: t, addr: ln.Addr().String(), port: listen.Split(ln, o)}
	var wg sync.WaitGroup
	serve := func(name string, ln net.Listener) {
		if ln == nil {
			return
		}
		wg.Go(func() {
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				wg.Go(func() { defer func() { _ = conn.Close() }(); echo(name, conn) })
			}
		})
		t.Cleanup(func() { _ = ln.Close() })
	}
	t.Cleanup(wg.Wait)
	serve("rtmp", h.port.RTMP)
	serve("http", h.port.HTTP)
	return h
}

// echo answers with the protocol, whether it is plain TCP, and the first four
// bytes that it read.
func echo(name string, conn net.Conn) {
	got := make([]byte, 4)
	if _, err := io.ReadFull(conn, got); err != nil {
		return
	}
	kind := "wrapped"
	switch conn.(type) {
	case *net.TCPConn:
		kind = "tcp"
	case *tls.Conn:
		kind = "tls"
	}
	if listen.Secure(conn) {
		kind += " secure"
	}
	_, _ = io.WriteString(conn, name+" "+kind+" "+string(got))
}

// say opens a connection, in TLS where config is set, and answers what comes.
func (h *house) say(config *tls.Config, words string) string {
	h.t.Helper()
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if config != nil {
		config.InsecureSkipVerify = true
		conn = tls.Client(conn, config)
	}
	if _, err := io.WriteString(conn, words); err != nil {
		return "closed"
	}
	got, err := io.ReadAll(conn)
	if len(got) == 0 {
		return "closed"
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		h.t.Fatal(err)
	}
	return string(got)
}

func TestOnePortTellsFourProtocolsApart(t *testing.T) {
	both := listen.Options{RTMP: true, HTTP: true}
	h := open(t, both, true)
	for _, c := range []struct {
		what   string
		config *tls.Config
		words  string
		want   string
	}{
		{"RTMP", nil, "\x03abc", "rtmp tcp \x03abc"},
		{"HTTP", nil, "GET ", "http tcp GET "},
		{"RTMPS", &tls.Config{}, "\x03abc", "rtmp wrapped secure \x03abc"},
		{"HTTPS of a client without ALPN", &tls.Config{}, "GET ", "http wrapped secure GET "},
		{"HTTPS", &tls.Config{NextProtos: []string{"http/1.1"}}, "GET ", "http wrapped secure GET "},
		{"HTTP/2", &tls.Config{NextProtos: []string{"h2"}}, "PRI ", "http tls secure PRI "},
	} {
		if got := h.say(c.config, c.words); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
	plain := open(t, both, false)
	for words, want := range map[string]string{"\x03abc": "rtmp tcp \x03abc", "GET ": "http tcp GET ", "\x16\x03\x01\x00": "http tcp \x16\x03\x01\x00"} {
		if got := plain.say(nil, words); got != want {
			t.Errorf("without a certificate: %q, want %q", got, want)
		}
	}
}

func TestAPortOfOneProtocolGivesItAway(t *testing.T) {
	rtmp, web := open(t, listen.Options{RTMP: true}, true), open(t, listen.Options{HTTP: true}, true)
	for _, c := range []struct {
		h      *house
		config *tls.Config
		words  string
		want   string
	}{
		{rtmp, nil, "\x03abc", "rtmp tcp \x03abc"},
		{rtmp, nil, "GET ", "rtmp tcp GET "}, // which RTMP refuses by itself
		{rtmp, &tls.Config{}, "\x03abc", "rtmp tls secure \x03abc"},
		{web, nil, "GET ", "http tcp GET "},
		{web, &tls.Config{NextProtos: []string{"h2"}}, "PRI ", "http tls secure PRI "},
	} {
		if got := c.h.say(c.config, c.words); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestWhoSaysNothingOrNonsenseHoldsUpNobody(t *testing.T) {
	h := open(t, listen.Options{RTMP: true, HTTP: true, Patience: 500 * time.Millisecond, MaxWaiting: 8}, true)
	dial := func(words string) net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.WriteString(conn, words); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	silent := []net.Conn{dial(""), dial("\x16"), dial("\x16\x03\x01\x02\x00garbage that is no hello"), dial("\x16\x03\x01")}
	if got := h.say(nil, "\x03abc"); got != "rtmp tcp \x03abc" {
		t.Errorf("beside them: %q", got)
	}
	for i, conn := range silent {
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("peer %d is still connected", i)
		}
	}
	for range 9 {
		silent = append(silent, dial(""))
	}
	closed := make(chan struct{}, len(silent))
	begin := time.Now()
	for _, conn := range silent[4:] {
		go func() { _, _ = io.Copy(io.Discard, conn); closed <- struct{}{} }()
	}
	<-closed // the ninth, at once
	if d := time.Since(begin); d > 400*time.Millisecond {
		t.Errorf("one too many waits for %v", d)
	}
	for range 8 {
		<-closed
	}
}

func TestAPortClosesWithItsLastListener(t *testing.T) {
	h := open(t, listen.Options{RTMP: true, HTTP: true}, true)
	if err := h.port.RTMP.Close(); err != nil {
		t.Error(err)
	}
	if got := h.say(nil, "\x03abc"); got != "closed" {
		t.Errorf("RTMP after its end: %q", got)
	}
	if got := h.say(nil, "GET "); got != "http tcp GET " {
		t.Errorf("HTTP after the end of RTMP: %q", got)
	}
	waiting, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = waiting.Close() }()
	if err := h.port.HTTP.Close(); err != nil {
		t.Error(err)
	}
	if err := h.port.HTTP.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
	if _, err := h.port.HTTP.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: %v", err)
	}
	if conn, err := net.Dial("tcp", h.addr); err == nil {
		_ = conn.Close()
		t.Error("the port is still open")
	}
}

// served is the name in the certificate that a new connection gets.
func served(t *testing.T, addr string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState().PeerCertificates[0].DNSNames[0]
}

func TestANewCertificateIsReadWhenItsFilesChange(t *testing.T) {
	f, c := newFiles(t), &clock{now: time.Now()}
	var said bytes.Buffer
	cert, err := listen.LoadCertificate(f.cert, f.key, c.read, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listen.Split(ln, listen.Options{Now: time.Now, HTTP: true, Certificate: cert})
	server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(port.HTTP) }()
	defer func() { _ = server.Close(); <-done }()
	addr := ln.Addr().String()

	newCert, newKey := pems(t, "second.example")
	if err := os.WriteFile(f.cert, newCert, 0o600); err != nil { // the key is yet to come
		t.Fatal(err)
	}
	c.pass(time.Minute)
	if got := served(t, addr); got != "first.example" {
		t.Errorf("with half of a pair: %s", got)
	}
	if err := os.WriteFile(f.key, newKey, 0o600); err != nil {
		t.Fatal(err)
	}
	c.pass(time.Minute)
	if got := served(t, addr); got != "second.example" {
		t.Errorf("with a new pair: %s", got)
	}
	if err := os.Remove(f.cert); err != nil {
		t.Fatal(err)
	}
	c.pass(time.Minute)
	if got := served(t, addr); got != "second.example" {
		t.Errorf("without a file: %s", got)
	}
	if !strings.Contains(said.String(), "stays as it was") || strings.Contains(said.String(), "PRIVATE") {
		t.Errorf("said %q", said.String())
	}
}

func TestFilesThatAreNoCertificateAreOneClearLine(t *testing.T) {
	f := newFiles(t)
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	if err := os.WriteFile(garbage, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := newFiles(t)
	for what, c := range map[string]struct {
		files
		says string
	}{
		"missing":     {files{f.cert + ".none", f.key}, f.cert + ".none: no such file"},
		"missing key": {files{f.cert, f.key + ".none"}, f.key + ".none: no such file"},
		"garbage":     {files{garbage, f.key}, garbage + " with the key"},
		"another key": {files{f.cert, other.key}, "does not match"},
		"swapped":     {files{f.key, f.cert}, f.key + " with the key"},
		"a directory": {files{t.TempDir(), f.key}, "is a directory"},
	} {
		_, err := listen.LoadCertificate(c.cert, c.key, time.Now, quiet())
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q in one line", what, err, c.says)
		}
	}
}
