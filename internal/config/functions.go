package config

// API is what functions/api runs with. All but OperatorToken is required.
type API struct {
	Table       string // ROOMCAST_TABLE
	MediaBucket string // ROOMCAST_MEDIA_BUCKET
	// StateEventsURL is the queue whose dead letters operators see
	// (ROOMCAST_STATE_EVENTS_URL).
	StateEventsURL string
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
type Sweeper struct{ AWS }

// Outbox is what functions/outbox runs with.
type Outbox struct {
	Table       string // ROOMCAST_TABLE
	MediaBucket string // ROOMCAST_MEDIA_BUCKET
}

// LoadAPI reads the API's settings. As of all loaders here, the error names
// every wrong one, one a line.
func LoadAPI(env Env) (API, error) {
	s := settings{env: env}
	a := API{
		Table: s.table(), MediaBucket: s.mediaBucket(), StateEventsURL: s.stateEvents(),
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
	a, err := LoadAWS(env)
	return Sweeper{a}, err
}

// LoadOutbox reads the outbox's settings.
func LoadOutbox(env Env) (Outbox, error) {
	s := settings{env: env}
	o := Outbox{Table: s.table(), MediaBucket: s.mediaBucket()}
	return o, s.err()
}
