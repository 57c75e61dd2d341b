package config

import "strings"

// API is what functions/api runs with. All but OperatorToken is required.
type API struct {
	Table string // ROOMCAST_TABLE
	// StateEventsURL is the queue whose dead letters operators see
	// (ROOMCAST_STATE_EVENTS_URL).
	StateEventsURL string
	// DeliveriesURL is the queue that wakes functions/webhook
	// (ROOMCAST_DELIVERIES_URL).
	DeliveriesURL string
	// PublicURL is where viewers find media and API (ROOMCAST_PUBLIC_URL).
	PublicURL string
	// RTMPURL is where encoders publish (ROOMCAST_RTMP_URL).
	RTMPURL string
	// TokenKeys are those of member tokens (ROOMCAST_TOKEN_KEY), each of ≥ 32
	// characters, separated by spaces: the first signs, all verify.
	TokenKeys [][]byte
	// OperatorToken opens /v2/admin (ROOMCAST_OPERATOR_TOKEN); "" = nobody may.
	OperatorToken string
	// Rates bound the requests of apps and addresses.
	Rates Rates
}

// StateConsumer is what functions/stateconsumer runs with.
type StateConsumer struct {
	Table string // ROOMCAST_TABLE
}

// Sweeper is what functions/sweeper runs with.
type Sweeper struct {
	Table          string // ROOMCAST_TABLE
	StateEventsURL string // ROOMCAST_STATE_EVENTS_URL
	DeliveriesURL  string // ROOMCAST_DELIVERIES_URL
	// JobsURL is the queue that wakes functions/archiver (ROOMCAST_JOBS_URL).
	JobsURL string
}

// Outbox is what functions/outbox runs with.
type Outbox struct {
	Table         string // ROOMCAST_TABLE
	DeliveriesURL string // ROOMCAST_DELIVERIES_URL
	JobsURL       string // ROOMCAST_JOBS_URL
}

// Webhook is what functions/webhook runs with.
type Webhook struct {
	Table         string // ROOMCAST_TABLE
	DeliveriesURL string // ROOMCAST_DELIVERIES_URL
	// PublicURL and RTMPURL are shown in what is delivered (ROOMCAST_PUBLIC_URL,
	// ROOMCAST_RTMP_URL).
	PublicURL, RTMPURL string
}

// Archiver is what functions/archiver runs with.
type Archiver struct {
	Table       string // ROOMCAST_TABLE
	MediaBucket string // ROOMCAST_MEDIA_BUCKET
	// Cluster and Task are where and as what workers/transcoder runs
	// (ROOMCAST_CLUSTER, ROOMCAST_TRANSCODER_TASK).
	Cluster, Task string
	// Subnets and SecurityGroups are its network (ROOMCAST_TRANSCODER_SUBNETS,
	// ROOMCAST_TRANSCODER_SECURITY_GROUPS, separated by commas).
	Subnets, SecurityGroups []string
	// PublicIP gives a task a public address (ROOMCAST_TRANSCODER_PUBLIC_IP,
	// ENABLED or DISABLED).
	PublicIP bool
	// DistributionParameter names the SSM parameter with the id of the CloudFront
	// distribution (ROOMCAST_DISTRIBUTION_PARAMETER).
	DistributionParameter string
}

// LoadAPI reads the API's settings. As of all loaders here, the error names
// every wrong one, one a line.
func LoadAPI(env Env) (API, error) {
	s := settings{env: env}
	a := API{
		Table: s.table(), StateEventsURL: s.stateEvents(),
		DeliveriesURL: s.deliveries(),
		PublicURL:     s.base("ROOMCAST_PUBLIC_URL", "http", "where viewers find media and API"),
		RTMPURL:       s.base("ROOMCAST_RTMP_URL", "rtmp", "where encoders publish"),
		TokenKeys:     s.tokenKeys(true),
		OperatorToken: env("ROOMCAST_OPERATOR_TOKEN"),
		Rates:         s.rates(),
	}
	return a, s.err()
}

// LoadStateConsumer reads the state consumer's settings.
func LoadStateConsumer(env Env) (StateConsumer, error) {
	s := settings{env: env}
	c := StateConsumer{Table: s.table()}
	return c, s.err()
}

// LoadSweeper reads the sweeper's settings.
func LoadSweeper(env Env) (Sweeper, error) {
	s := settings{env: env}
	c := Sweeper{Table: s.table(), StateEventsURL: s.stateEvents(), DeliveriesURL: s.deliveries(), JobsURL: s.jobs()}
	return c, s.err()
}

// LoadOutbox reads the outbox's settings.
func LoadOutbox(env Env) (Outbox, error) {
	s := settings{env: env}
	c := Outbox{Table: s.table(), DeliveriesURL: s.deliveries(), JobsURL: s.jobs()}
	return c, s.err()
}

// LoadWebhook reads the settings of who delivers.
func LoadWebhook(env Env) (Webhook, error) {
	s := settings{env: env}
	c := Webhook{
		Table: s.table(), DeliveriesURL: s.deliveries(),
		PublicURL: s.base("ROOMCAST_PUBLIC_URL", "http", "where viewers find media and API"),
		RTMPURL:   s.base("ROOMCAST_RTMP_URL", "rtmp", "where encoders publish"),
	}
	return c, s.err()
}

// LoadArchiver reads the archiver's settings.
func LoadArchiver(env Env) (Archiver, error) {
	s := settings{env: env}
	const publicIP = "ROOMCAST_TRANSCODER_PUBLIC_IP"
	c := Archiver{
		Table: s.table(), MediaBucket: s.mediaBucket(),
		Cluster:        s.required("ROOMCAST_CLUSTER", "the ECS cluster of transcoders"),
		Task:           s.required("ROOMCAST_TRANSCODER_TASK", "the task definition of transcoders"),
		Subnets:        s.list("ROOMCAST_TRANSCODER_SUBNETS", "the subnets of transcoders"),
		SecurityGroups: s.list("ROOMCAST_TRANSCODER_SECURITY_GROUPS", "the security groups of transcoders"),
	}
	c.DistributionParameter = s.required("ROOMCAST_DISTRIBUTION_PARAMETER", "the SSM parameter with the id of the distribution")
	switch v := s.required(publicIP, "whether a transcoder has a public address, ENABLED or DISABLED"); v {
	case "", "DISABLED":
	case "ENABLED":
		c.PublicIP = true
	default:
		s.wrong("%s: %q is neither ENABLED nor DISABLED", publicIP, v)
	}
	return c, s.err()
}

// list is separated by commas and has at least one item.
func (s *settings) list(name, what string) []string {
	var list []string
	for item := range strings.SplitSeq(s.required(name, what), ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

func (s *settings) deliveries() string {
	return s.queue("ROOMCAST_DELIVERIES_URL", "the URL of the SQS queue that wakes deliveries")
}

func (s *settings) jobs() string {
	return s.queue("ROOMCAST_JOBS_URL", "the URL of the SQS queue that wakes jobs")
}
