package rtmpout

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// target is an RTMP URL taken apart: rtmp://host[:1935]/app[/more]/key[?query],
// or rtmps://host[:443]/….
type target struct {
	address string
	tls     bool
	app     string
	tcURL   string
	key     string // with its query; a secret
}

// parseURL never puts the URL into an error: it holds the stream key.
func parseURL(raw string) (target, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return target{}, errors.New("RTMP URL: not a URL")
	}
	usual, ok := map[string]string{"rtmp": "1935", "rtmps": "443"}[u.Scheme]
	if !ok {
		return target{}, fmt.Errorf("RTMP URL: scheme %q, want rtmp or rtmps", u.Scheme)
	}
	if u.Hostname() == "" {
		return target{}, errors.New("RTMP URL: no host")
	}
	port := u.Port()
	if port == "" {
		port = usual
	}
	// Everything behind the host, as it was written: keys may hold percent signs.
	_, rest, _ := strings.Cut(raw, "://")
	_, rest, _ = strings.Cut(rest, "/")
	path, query, _ := strings.Cut(rest, "?")
	i := strings.LastIndexByte(path, '/')
	if i < 1 || i == len(path)-1 && query == "" {
		return target{}, errors.New("RTMP URL: want rtmp://host/app/key")
	}
	t := target{
		address: net.JoinHostPort(u.Hostname(), port),
		tls:     u.Scheme == "rtmps",
		app:     path[:i],
		tcURL:   u.Scheme + "://" + u.Host + "/" + path[:i],
		key:     path[i+1:],
	}
	if query != "" {
		t.key += "?" + query
	}
	return t, nil
}
