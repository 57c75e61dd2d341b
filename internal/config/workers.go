package config

import (
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Ingest is what workers/ingest runs with. Everything is required but what
// says a default.
type Ingest struct {
	AWS
	// PublicURL is where viewers find media and API (ROOMCAST_PUBLIC_URL).
	PublicURL string
	// RTMP and Web are listen addresses: RTMP alone (ROOMCAST_RTMP, default
	// :1935), and RTMP, HTTP-FLV, relays and health by their first byte
	// (ROOMCAST_WEB, default :8443).
	RTMP, Web string
	// RelaySecret is what workers show each other (ROOMCAST_RELAY_SECRET).
	RelaySecret string
	// MaxViewers and MaxViewersPerAddress bound RTMP and HTTP-FLV viewers;
	// default 20 000 and 1 000.
	MaxViewers, MaxViewersPerAddress int
	// Capacity is how many streams are taken that are published as they come;
	// the renditions of a ladder count as more (ROOMCAST_CAPACITY, default 200,
	// what half a core takes).
	Capacity int
	// LoadBalancers are prefixes of peers that speak for many, such as
	// 10.0.0.0/16 (ROOMCAST_LOAD_BALANCERS, separated by commas; default none).
	LoadBalancers []netip.Prefix
	// Colour is this worker's (ROOMCAST_COLOUR), FleetParameter the SSM
	// parameter that names the wanted one (ROOMCAST_FLEET_PARAMETER).
	Colour, FleetParameter string
	// RTMPTargets and WebTargets are the target groups in which this worker
	// is, by ARN (ROOMCAST_RTMP_TARGETS, ROOMCAST_WEB_TARGETS).
	RTMPTargets, WebTargets string
	// MaxDrain is how long publishers may stay on a worker that is not wanted
	// any more (ROOMCAST_MAX_DRAIN, default 12h).
	MaxDrain time.Duration
	// Address is this worker's IP; default: ECS tells it (ROOMCAST_ADDRESS).
	Address string
	// MetricsStack makes metrics be written into the log, under this stack's
	// name (ROOMCAST_METRICS_STACK, default "": none).
	MetricsStack string
	// LogLevel is DEBUG, INFO (default), WARN or ERROR (ROOMCAST_LOG_LEVEL).
	LogLevel slog.Level
	// ECS is what ECS sets.
	ECS
}

// ECS is what an ECS task is told by its agent.
type ECS struct {
	Agent    string // ECS_AGENT_URI
	Metadata string // ECS_CONTAINER_METADATA_URI_V4
}

// Transcoder is what workers/transcoder runs with.
type Transcoder struct {
	Table       string // ROOMCAST_TABLE
	MediaBucket string // ROOMCAST_MEDIA_BUCKET
	// JobID is the job that this process does (ROOMCAST_JOB_ID).
	JobID string
	// Scratch is a folder for files that are being made (ROOMCAST_SCRATCH,
	// default /scratch).
	Scratch string
	// LogLevel is DEBUG, INFO (default), WARN or ERROR (ROOMCAST_LOG_LEVEL).
	LogLevel slog.Level
}

const (
	defaultMaxDrain = 12 * time.Hour
	minSecret       = 32
)

// LoadIngest reads the ingest worker's settings.
func LoadIngest(env Env) (Ingest, error) {
	s := settings{env: env}
	c := Ingest{
		AWS:            AWS{Table: s.table(), MediaBucket: s.mediaBucket(), StateEventsURL: s.stateEvents()},
		PublicURL:      s.base("ROOMCAST_PUBLIC_URL", "http", "where viewers find media and API"),
		RTMP:           s.listen("ROOMCAST_RTMP", ":1935"),
		Web:            s.listen("ROOMCAST_WEB", ":8443"),
		RelaySecret:    s.required("ROOMCAST_RELAY_SECRET", "what workers show each other"),
		LoadBalancers:  s.prefixes("ROOMCAST_LOAD_BALANCERS"),
		Colour:         s.required("ROOMCAST_COLOUR", "the colour of this worker's service"),
		FleetParameter: s.required("ROOMCAST_FLEET_PARAMETER", "the SSM parameter that names the wanted colour"),
		RTMPTargets:    s.required("ROOMCAST_RTMP_TARGETS", "the target group of RTMP"),
		WebTargets:     s.required("ROOMCAST_WEB_TARGETS", "the target group of HTTP-FLV"),
		MaxDrain:       s.duration("ROOMCAST_MAX_DRAIN", defaultMaxDrain),
		Address:        env("ROOMCAST_ADDRESS"),
		MetricsStack:   env("ROOMCAST_METRICS_STACK"),
		LogLevel:       s.logLevel(),
		ECS:            ECS{Agent: env("ECS_AGENT_URI"), Metadata: env("ECS_CONTAINER_METADATA_URI_V4")},
	}
	if n := len(c.RelaySecret); n > 0 && n < minSecret {
		s.wrong("ROOMCAST_RELAY_SECRET has %d characters, it needs at least %d random ones", n, minSecret)
	}
	if c.Address == "" && c.Metadata == "" {
		s.wrong("ROOMCAST_ADDRESS is not set, and outside of ECS nobody else knows this worker's address")
	}
	c.MaxViewers = s.count("ROOMCAST_MAX_VIEWERS", 20_000)
	c.MaxViewersPerAddress = s.count("ROOMCAST_MAX_VIEWERS_PER_ADDRESS", 1_000)
	c.Capacity = s.count("ROOMCAST_CAPACITY", 200)
	return c, s.err()
}

// LoadTranscoder reads the transcoder's settings.
func LoadTranscoder(env Env) (Transcoder, error) {
	s := settings{env: env}
	c := Transcoder{
		Table: s.table(), MediaBucket: s.mediaBucket(), JobID: s.required("ROOMCAST_JOB_ID", "the job to do"),
		Scratch: first(env("ROOMCAST_SCRATCH"), "/scratch"), LogLevel: s.logLevel(),
	}
	return c, s.err()
}

// WebPort is where a health check finds the worker on its own machine.
func WebPort(env Env) string {
	_, port, err := net.SplitHostPort(first(env("ROOMCAST_WEB"), ":8443"))
	if err != nil {
		return "8443"
	}
	return port
}

func (s *settings) listen(name, fallback string) string {
	v := first(s.env(name), fallback)
	if err := address(name, v); err != nil {
		s.problems = append(s.problems, err)
	}
	return v
}

func (s *settings) count(name string, fallback int) int {
	n, err := count(name, 0, s.env(name), fallback)
	if err != nil {
		s.problems = append(s.problems, err)
	}
	return n
}

func (s *settings) duration(name string, fallback time.Duration) time.Duration {
	v := s.env(name)
	if v == "" {
		return fallback
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		s.wrong("%s: %q is no duration, such as 12h", name, v)
	}
	return d
}

func (s *settings) logLevel() slog.Level {
	var level slog.Level
	if v := s.env("ROOMCAST_LOG_LEVEL"); v != "" {
		if err := level.UnmarshalText([]byte(v)); err != nil {
			s.wrong("ROOMCAST_LOG_LEVEL: %q is none of DEBUG, INFO, WARN and ERROR", v)
		}
	}
	return level
}

func (s *settings) prefixes(name string) []netip.Prefix {
	var list []netip.Prefix
	for text := range strings.SplitSeq(s.env(name), ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			s.wrong("%s: %q is no prefix, such as 10.0.0.0/16", name, text)
			continue
		}
		list = append(list, p)
	}
	return list
}

// Port is the number in host:port; 0 where there is none.
func Port(addr string) int {
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}
