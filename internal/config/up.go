// Package config reads the settings of every program. It is the only place
// that looks at the environment.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// Backend names what keeps state, events and objects.
type Backend string

// The backends: SQLite and a directory; DynamoDB, SQS and S3.
const (
	BackendLocal Backend = "local"
	BackendAWS   Backend = "aws"
)

// Up is what `roomcast up` runs with.
type Up struct {
	// Data is the directory that holds everything; default .roomcast.
	Data string
	// HTTP and RTMP are listen addresses, host:port; default 127.0.0.1:8080
	// and 127.0.0.1:1935. An empty host is every interface, port 0 any port.
	HTTP, RTMP string
	// PublicURL is how others reach HTTP, without a trailing slash; "" = as
	// it listens.
	PublicURL string
	// TLSCert and TLSKey are PEM files: with them HTTP and RTMP speak TLS as
	// well; both or none.
	TLSCert, TLSKey string
	Backend         Backend
	// InsecureWebhooks admits webhook endpoints without TLS and at private
	// addresses: for development only (ROOMCAST_INSECURE_WEBHOOKS, true or false).
	InsecureWebhooks bool
	// MaxViewers and MaxViewersPerAddress bound the RTMP and HTTP-FLV viewers;
	// default 20 000 and 1 000.
	MaxViewers, MaxViewersPerAddress int
	// Capacity is how many streams are taken that are published as they come;
	// the renditions of a ladder count as more. 0 = 400 for each core.
	Capacity int
	// LogFormat is of the lines on standard error: text (default), for people,
	// or json.
	LogFormat string
	// Rates bound the API's requests.
	Rates Rates
	// AWS and Relay are set with BackendAWS only.
	AWS
	Relay
	Secrets
}

// Env looks a variable up; "" = not set.
type Env func(name string) string

// OSEnv is the process's environment.
func OSEnv(name string) string { return os.Getenv(name) }

// LoadUp completes flags ("" = not given) by environment and defaults. The
// error names every wrong setting, one a line.
func LoadUp(flags Up, env Env) (Up, error) {
	u := Up{
		Data:      first(flags.Data, env("ROOMCAST_DATA"), ".roomcast"),
		HTTP:      first(flags.HTTP, env("ROOMCAST_HTTP"), "127.0.0.1:8080"),
		RTMP:      first(flags.RTMP, env("ROOMCAST_RTMP"), "127.0.0.1:1935"),
		PublicURL: strings.TrimRight(first(flags.PublicURL, env("ROOMCAST_PUBLIC_URL")), "/"),
		TLSCert:   first(flags.TLSCert, env("ROOMCAST_TLS_CERT")),
		TLSKey:    first(flags.TLSKey, env("ROOMCAST_TLS_KEY")),
		LogFormat: first(flags.LogFormat, env("ROOMCAST_LOG_FORMAT"), "text"),
		Backend:   Backend(first(string(flags.Backend), env("ROOMCAST_BACKEND"), string(BackendLocal))),
	}
	s := settings{env: env}
	u.InsecureWebhooks = s.flag("ROOMCAST_INSECURE_WEBHOOKS") || flags.InsecureWebhooks
	u.Rates = s.rates()
	var err error
	u.MaxViewers, err = count("--max-viewers (ROOMCAST_MAX_VIEWERS)", flags.MaxViewers, env("ROOMCAST_MAX_VIEWERS"), 20_000)
	perAddress, err2 := count("--max-viewers-per-address (ROOMCAST_MAX_VIEWERS_PER_ADDRESS)",
		flags.MaxViewersPerAddress, env("ROOMCAST_MAX_VIEWERS_PER_ADDRESS"), 1_000)
	u.MaxViewersPerAddress = perAddress
	var err5 error
	u.Capacity, err5 = count("--capacity (ROOMCAST_CAPACITY)", flags.Capacity, env("ROOMCAST_CAPACITY"), 0)
	var err3, err4 error
	if u.Backend == BackendAWS {
		u.AWS, err3 = LoadAWS(env)
		var err5 error
		u.Relay, err5 = loadRelay(env, u)
		err3 = errors.Join(err3, err5)
	}
	u.Secrets, err4 = LoadSecrets(env)
	err = errors.Join(
		err, err2, err3, err4, err5, s.err(),
		address("--http (ROOMCAST_HTTP)", u.HTTP),
		address("--rtmp (ROOMCAST_RTMP)", u.RTMP),
		publicURL("--public-url (ROOMCAST_PUBLIC_URL)", u.PublicURL),
		backend("--backend (ROOMCAST_BACKEND)", u.Backend),
		logFormat("--log-format (ROOMCAST_LOG_FORMAT)", u.LogFormat),
		together(u.TLSCert, u.TLSKey),
	)
	return u, err
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// count is the flag, else the variable, else the default; at least 1.
func count(name string, flag int, variable string, fallback int) (int, error) {
	n := flag
	if flag == 0 && variable == "" {
		return fallback, nil
	}
	if flag == 0 {
		var err error
		if n, err = strconv.Atoi(variable); err != nil {
			return 0, fmt.Errorf("%s: %q is no number", name, variable)
		}
	}
	if n < 1 || n > 1_000_000 {
		return 0, fmt.Errorf("%s: %d is not between 1 and 1000000", name, n)
	}
	return n, nil
}

func address(name, s string) error {
	_, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%s: %q is no host:port, such as 127.0.0.1:8080", name, s)
	}
	return nil
}

func publicURL(name, s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("%s: %q is no http or https URL, such as https://live.example.com", name, s)
	}
	return nil
}

func backend(name string, b Backend) error {
	switch b {
	case BackendLocal, BackendAWS:
		return nil
	}
	return fmt.Errorf("%s: %q is not available; it must be local or aws", name, b)
}

func logFormat(name, s string) error {
	if s != "text" && s != "json" {
		return fmt.Errorf("%s: %q is neither text nor json", name, s)
	}
	return nil
}

func together(cert, key string) error {
	if (cert == "") != (key == "") {
		return errors.New("--tls-cert (ROOMCAST_TLS_CERT) and --tls-key (ROOMCAST_TLS_KEY): one is set and the other is not")
	}
	return nil
}

// TLS says that HTTP and RTMP speak TLS as well.
func (u Up) TLS() bool { return u.TLSCert != "" }

// OnePort says that HTTP and RTMP share an address.
func (u Up) OnePort() bool {
	_, port, err := net.SplitHostPort(u.HTTP)
	return err == nil && u.HTTP == u.RTMP && port != "0"
}

// PublicURLs answers the base URLs of HTTP and RTMP for what listens on the
// given addresses, in TLS where that is spoken. Where an address names no host,
// viewers on this machine are meant. Ports that players take by themselves are
// left out: 1935, and 443 of rtmps.
func (u Up) PublicURLs(httpAddr, rtmpAddr net.Addr) (httpURL, rtmpURL string) {
	web, rtmp, usual := "http://", "rtmp://", ":1935"
	if u.TLS() {
		web, rtmp, usual = "https://", "rtmps://", ":443"
	}
	httpURL = u.PublicURL
	if httpURL == "" {
		httpURL = strings.TrimSuffix(web+reachable(httpAddr), usual)
	}
	rtmpURL = rtmp + reachable(rtmpAddr)
	if p, err := url.Parse(u.PublicURL); err == nil && p.Hostname() != "" {
		_, port, _ := net.SplitHostPort(rtmpAddr.String())
		rtmpURL = rtmp + net.JoinHostPort(p.Hostname(), port)
	}
	return httpURL, strings.TrimSuffix(rtmpURL, usual)
}

func reachable(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// Local is the host:port at which this machine reaches the HTTP address.
func (u Up) Local() string {
	host, port, err := net.SplitHostPort(u.HTTP)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return u.HTTP
}
