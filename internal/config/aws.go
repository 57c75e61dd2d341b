package config

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// minTokenKey is the shortest key of member tokens, in characters.
const minTokenKey = 32

// AWS names what an AWS installation consists of; infra/data.yaml and
// infra/queues.yaml make it. Region, credentials and AWS_ENDPOINT_URL are read
// by the AWS SDK itself, in its usual ways.
type AWS struct {
	// Table is the DynamoDB table of all records (ROOMCAST_TABLE).
	Table string
	// MediaBucket is the S3 bucket of all media (ROOMCAST_MEDIA_BUCKET).
	MediaBucket string
	// StateEventsURL is the SQS FIFO queue (ROOMCAST_STATE_EVENTS_URL).
	StateEventsURL string
}

// Secrets are set where several processes share an installation; "" = `up`
// keeps its own in the data directory.
type Secrets struct {
	// TokenKeys are those of member tokens (ROOMCAST_TOKEN_KEY): the same
	// everywhere, separated by spaces, each of at least 32 characters. The first
	// signs, all verify.
	TokenKeys [][]byte
	// OperatorToken opens /v2/admin (ROOMCAST_OPERATOR_TOKEN).
	OperatorToken string
}

// Rates bound the API's requests a minute; 0 = any number.
type Rates struct {
	// PerApp is ROOMCAST_RATE_PER_APP, default 60 000.
	PerApp int
	// PerAddress is ROOMCAST_RATE_PER_ADDRESS, default 30 000.
	PerAddress int
}

func (s *settings) rates() Rates {
	return Rates{PerApp: s.rate("ROOMCAST_RATE_PER_APP", 60_000), PerAddress: s.rate("ROOMCAST_RATE_PER_ADDRESS", 30_000)}
}

func (s *settings) rate(name string, fallback int) int {
	v := s.env(name)
	if v == "" {
		return fallback
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 || n > 100_000_000 {
		s.wrong("%s: %q is no number of requests a minute; 0 = any number", name, v)
	}
	return n
}

// LoadAWS reads the names of an AWS installation. The error names every wrong
// one, one a line.
func LoadAWS(env Env) (AWS, error) {
	s := settings{env: env}
	a := AWS{Table: s.table(), MediaBucket: s.mediaBucket(), StateEventsURL: s.stateEvents()}
	return a, s.err()
}

// LoadSecrets reads the secrets that `up` may share with other processes.
func LoadSecrets(env Env) (Secrets, error) {
	s := settings{env: env}
	c := Secrets{TokenKeys: s.tokenKeys(env("ROOMCAST_TOKEN_KEY") != ""), OperatorToken: s.env("ROOMCAST_OPERATOR_TOKEN")}
	return c, s.err()
}

// settings reads variables and collects what is wrong with them.
type settings struct {
	env      Env
	problems []error
}

func (s *settings) err() error { return errors.Join(s.problems...) }

func (s *settings) wrong(format string, args ...any) {
	s.problems = append(s.problems, fmt.Errorf(format, args...))
}

// flag is a variable that is on or off; off where it is not set. Anything else
// is wrong: a switch that is misspelt must not quietly be off.
func (s *settings) flag(name string) bool {
	v := s.env(name)
	if v == "" {
		return false
	}
	on, err := strconv.ParseBool(v)
	if err != nil {
		s.wrong("%s: %q is neither true nor false", name, v)
	}
	return on
}

// required is a variable that must be set.
func (s *settings) required(name, what string) string {
	v := s.env(name)
	if v == "" {
		s.wrong("%s is not set: %s", name, what)
	}
	return v
}

func (s *settings) table() string { return s.required("ROOMCAST_TABLE", "the DynamoDB table") }

func (s *settings) mediaBucket() string {
	return s.required("ROOMCAST_MEDIA_BUCKET", "the S3 bucket of media")
}

func (s *settings) stateEvents() string {
	const name = "ROOMCAST_STATE_EVENTS_URL"
	v := s.queue(name, "the URL of the SQS queue of state events")
	if v != "" && !strings.HasSuffix(v, ".fifo") {
		s.wrong("%s: %q is no FIFO queue", name, v)
	}
	return v
}

// queue is the URL of an SQS queue; "" where it is none.
func (s *settings) queue(name, what string) string {
	v := s.required(name, what)
	if u, err := url.Parse(v); v != "" && (err != nil || u.Host == "" || !strings.HasPrefix(u.Scheme, "http")) {
		s.wrong("%s: %q is no URL of a queue", name, v)
		return ""
	}
	return v
}

func (s *settings) tokenKeys(required bool) [][]byte {
	const name = "ROOMCAST_TOKEN_KEY"
	var keys [][]byte
	for key := range strings.FieldsSeq(s.env(name)) {
		if len(key) < minTokenKey {
			s.wrong("%s has %d characters, it needs at least %d random ones", name, len(key), minTokenKey)
		}
		keys = append(keys, []byte(key))
	}
	if required && len(keys) == 0 {
		s.wrong("%s has 0 characters, it needs at least %d random ones", name, minTokenKey)
	}
	return keys
}

// base is an absolute URL without a trailing slash.
func (s *settings) base(name, scheme, what string) string {
	v := strings.TrimRight(s.required(name, what), "/")
	if u, err := url.Parse(v); v != "" && (err != nil || u.Host == "" || !strings.HasPrefix(u.Scheme, scheme)) {
		s.wrong("%s: %q is no %s URL", name, v, scheme)
	}
	return v
}
