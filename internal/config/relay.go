package config

import (
	"fmt"
	"net"
	"strings"
)

// minRelaySecret is the shortest secret between workers, in characters.
const minRelaySecret = 32

// Relay is how workers of one installation hand RTMP and HTTP-FLV streams to
// each other.
type Relay struct {
	// RelaySecret is what they show (ROOMCAST_RELAY_SECRET): the same
	// everywhere, at least 32 characters; "" = viewers find only the streams of
	// the worker that they reach.
	RelaySecret string
	// RelayAddress is the host:port at which other workers reach this one's
	// HTTP (ROOMCAST_RELAY_ADDRESS); default: as it listens.
	RelayAddress string
	// RelayTLS makes this worker pull by HTTPS (ROOMCAST_RELAY_TLS, true or
	// false). The others must then show the certificate of the public URL.
	RelayTLS bool
}

func loadRelay(env Env, u Up) (Relay, error) {
	s := settings{env: env}
	r := Relay{
		RelaySecret:  strings.TrimSpace(env("ROOMCAST_RELAY_SECRET")), // as HTTP does to headers
		RelayAddress: first(env("ROOMCAST_RELAY_ADDRESS"), u.HTTP),
		RelayTLS:     s.flag("ROOMCAST_RELAY_TLS"),
	}
	if r.RelaySecret == "" {
		return Relay{}, s.err()
	}
	if n := len(r.RelaySecret); n < minRelaySecret {
		s.wrong("ROOMCAST_RELAY_SECRET has %d characters, it needs at least %d random ones", n, minRelaySecret)
	}
	if err := relayAddress(r.RelayAddress); err != nil {
		s.problems = append(s.problems, err)
	}
	if r.RelayTLS && (!u.TLS() || u.PublicURL == "") {
		s.wrong("ROOMCAST_RELAY_TLS needs --tls-cert and --public-url: the certificate is of that host")
	}
	return r, s.err()
}

func relayAddress(s string) error {
	host, port, err := net.SplitHostPort(s)
	if ip := net.ParseIP(host); err != nil || host == "" || port == "0" || ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("ROOMCAST_RELAY_ADDRESS: %q is no host:port at which other workers reach this one", s)
	}
	return nil
}
