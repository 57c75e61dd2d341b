package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
)

// relayTrust is how other workers are believed; nil = they are asked without
// TLS. They are reached by private addresses, and show the certificate of the
// public name.
func (m *machine) relayTrust() (*tls.Config, error) {
	if m.settings.RelaySecret == "" && m.backend.shared {
		m.log.Warn("RTMP and HTTP-FLV viewers find only the streams of the worker that they reach: ROOMCAST_RELAY_SECRET is not set")
	}
	if m.settings.RelaySecret == "" || !m.settings.RelayTLS {
		return nil, nil //nolint:nilnil // there is nothing to check
	}
	public, err := url.Parse(m.settings.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("--public-url: %w", err)
	}
	own, err := os.ReadFile(m.settings.TLSCert)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // the own one will do
	}
	roots.AppendCertsFromPEM(own)
	return &tls.Config{ServerName: public.Hostname(), RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}
