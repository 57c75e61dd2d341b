package listen

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookEvery is how often the files are looked at, when somebody connects.
const lookEvery = 5 * time.Second

// Certificate is that of a pair of PEM files, read again when they change: who
// renews it need not restart anything. Safe for concurrent use.
type Certificate struct {
	certFile, keyFile string
	now               func() time.Time
	log               *slog.Logger

	mu     sync.Mutex
	pair   *tls.Certificate
	seen   [2]stamp
	looked time.Time
}

// stamp tells whether a file has changed.
type stamp struct {
	at   time.Time
	size int64
}

// LoadCertificate reads the files once; the error is one line that names the
// file and what is wrong with it.
func LoadCertificate(certFile, keyFile string, now func() time.Time, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, now: now, log: log, looked: now()}
	c.seen, _ = c.stamps() // the reading says what is wrong
	var err error
	if c.pair, err = c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Certificate) read() (*tls.Certificate, error) {
	for _, file := range []string{c.certFile, c.keyFile} {
		if _, err := os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("read the TLS certificate: %w", err)
		}
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return nil, fmt.Errorf("the TLS certificate %s with the key %s cannot be used: %w", c.certFile, c.keyFile, err)
	}
	if now := c.now(); now.After(pair.Leaf.NotAfter) {
		c.log.Warn("the TLS certificate has expired", "file", c.certFile, "since", pair.Leaf.NotAfter)
	}
	return &pair, nil
}

func (c *Certificate) stamps() (all [2]stamp, err error) {
	for i, file := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(file)
		if err != nil {
			return all, fmt.Errorf("look at the TLS certificate: %w", err)
		}
		all[i] = stamp{info.ModTime(), info.Size()}
	}
	return all, nil
}

// current answers the newest certificate that could be read.
func (c *Certificate) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Sub(c.looked) < lookEvery {
		return c.pair, nil
	}
	c.looked = now
	seen, err := c.stamps()
	if err != nil || seen == c.seen {
		return c.pair, nil // a file that is missing is about to come
	}
	pair, err := c.read()
	if err != nil {
		c.log.Error("the TLS certificate stays as it was", "err", err) // the other file may be about to come
		return c.pair, nil
	}
	c.pair, c.seen = pair, seen
	c.log.Info("read a new TLS certificate", "file", c.certFile, "until", pair.Leaf.NotAfter)
	return pair, nil
}

// config is the server's; http names the protocols of ALPN (RFC 7301).
func (c *Certificate) config(http bool) *tls.Config {
	o := &tls.Config{GetCertificate: c.current, MinVersion: tls.VersionTLS12}
	if http {
		o.NextProtos = []string{"h2", "http/1.1"}
	}
	return o
}
