package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/mediatest"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

// certificate makes the files of a self-signed certificate of 127.0.0.1, and
// what trusts it.
func certificate(t *testing.T) (cert, key string, trust *tls.Config) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return cert, key, &tls.Config{RootCAs: pool}
}

// A real encoder publishes by RTMPS, real players play by RTMPS and HTTPS, on
// two ports and on one; plain RTMP goes on beside them.
func TestAShowInTLS(t *testing.T) {
	cert, key, trust := certificate(t)
	one := freeAddress(t)
	for name, at := range map[string][2]string{"two ports": {freeAddress(t), freeAddress(t)}, "one port": {one, one}} {
		t.Run(name, func(t *testing.T) {
			m := newMachineOn(t, at[0], at[1], "ROOMCAST_TLS_CERT="+cert, "ROOMCAST_TLS_KEY="+key)
			streamer, show := m.member("tess"), m.newRoom("tess")
			if want := "rtmps://" + m.rtmp + "/live"; streamer.IngestURL != want {
				t.Fatalf("ingestURL %s, want %s", streamer.IngestURL, want)
			}
			mediatest.PublishFFmpeg(t, source(t), streamer.url()+"?mode=RTMP_CMAF")
			m.awaitKey("tess", "ACTIVE", 20*time.Second)
			p := m.roomDo(show.ID, "start", nil).Playback
			if !strings.HasPrefix(*p.RTMPURL, "rtmps://"+m.rtmp+"/play/") || !strings.HasPrefix(*p.HTTPFLVURL, "https://"+m.http+"/flv/") {
				t.Fatalf("play URLs %s %s", *p.RTMPURL, *p.HTTPFLVURL)
			}
			for _, url := range []string{*p.RTMPURL, strings.Replace(*p.RTMPURL, "rtmps", "rtmp", 1), *p.HTTPFLVURL, *p.HLSURL} {
				mediatest.DecodeStrict(t, url, "-t", "2")
			}
			trusting := &http.Client{Transport: &http.Transport{TLSClientConfig: trust.Clone(), ForceAttemptHTTP2: true}}
			defer trusting.CloseIdleConnections()
			resp, err := trusting.Get(*p.HTTPFLVURL)
			if err != nil {
				t.Fatal(err)
			}
			head := make([]byte, 64<<10)
			if _, err := io.ReadFull(resp.Body, head); err != nil || resp.Proto != "HTTP/2.0" || string(head[:3]) != "FLV" {
				t.Errorf("by HTTP/2: %s, %q, %v", resp.Proto, head[:3], err)
			}
			_ = resp.Body.Close()

			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			c, err := rtmpout.Dial(ctx, m.member("theo").url(), rtmpout.Options{Now: time.Now, TLS: trust})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Close(); err != nil {
				t.Errorf("unpublish by RTMPS: %v", err)
			}
			if _, err := rtmpout.Dial(ctx, m.key("theo").url(), rtmpout.Options{Now: time.Now}); err == nil {
				t.Error("an unknown certificate is trusted")
			}
		})
	}
}

func TestWrongTLSFilesAreOneClearLine(t *testing.T) {
	cert, key, _ := certificate(t)
	_, other, _ := certificate(t)
	for what, c := range map[string]struct{ cert, key, says string }{
		"missing":     {cert + ".none", key, cert + ".none: no such file"},
		"another key": {cert, other, "does not match"},
		"half":        {cert, "", "ROOMCAST_TLS_KEY"},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		cmd := exec.CommandContext(t.Context(), binary, "up", "--data", dir, "--http", "127.0.0.1:0", "--rtmp", "127.0.0.1:0", "--tls-cert", c.cert, "--tls-key", c.key)
		b, err := cmd.CombinedOutput()
		out := strings.TrimSpace(string(b))
		if err == nil || !strings.Contains(out, c.says) || !strings.Contains(out, "--tls-key") || strings.Count(out, "\n") > 1 {
			t.Errorf("%s: %v, %q", what, err, out)
		}
	}
}
