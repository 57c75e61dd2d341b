package control

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/media"
)

// commitAttempts is how often a step that lost a race is taken anew.
const commitAttempts = 5

// IDs makes ids and secrets. Safe for concurrent use.
type IDs interface {
	// New answers prefix + "_" + a sortable unique id.
	New(prefix string) string
	// Secret answers a random URL-safe string of n random bytes.
	Secret(n int) string
}

// URLs are the public addresses that resources show, without trailing slashes.
type URLs struct {
	HTTP string // http://127.0.0.1:8080: base of HLS, DASH and HTTP-FLV
	RTMP string // rtmp://127.0.0.1:1935: base of ingest and RTMP play
}

// Options are what a Service needs; what has no other zero value below is
// required.
type Options struct {
	Store Store
	IDs   IDs
	Now   func() time.Time
	URLs  URLs
	// Objects are the media; nil in a process that does no jobs.
	Objects Objects
	// Transcoder makes files of recordings; nil = recordings stay as they are.
	Transcoder Transcoder
	// CutFront cuts the front off a media segment (cmaf.CutFront): a recording
	// begins within one. Required where there are Objects.
	CutFront func(segment []byte, from media.Ticks, key bool) (body [][]byte, first media.Ticks, err error)
	// Launcher starts processes for the jobs that need a Transcoder; nil = this
	// process does them.
	Launcher Launcher
	// Deliveries and Work wake whoever delivers and does jobs; nil = they look
	// by themselves.
	Deliveries, Work Waker
	// Idempotency remembers calls; nil = calls with an Idempotency-Key are ErrUnavailable.
	Idempotency Idempotency
	// CDN keeps copies of objects; nil = none does.
	CDN CDN
	// Feed and Webhooks are the way to customers; nil = they are ErrUnavailable.
	Feed     Feed
	Webhooks Webhooks
	// DeadEvents is the queue of state events; nil = its dead letters are
	// ErrUnavailable.
	DeadEvents DeadEvents
	// Bell rings when there are new events; nil = readers look each second.
	Bell *Bell
	// MaxWait caps how long a reader of events may wait; 0 = not at all.
	MaxWait time.Duration
	// PlainWebhooks admits endpoints without TLS: for development only.
	PlainWebhooks bool
	// Log is slog's default when nil.
	Log *slog.Logger
	// Wait pauses between two tries; nil waits on the real clock.
	Wait func(ctx context.Context, d time.Duration) error
}

// Service is the use cases. Safe for concurrent use; beside who called
// a moment ago it keeps no state.
type Service struct {
	Options
	knownKeys    known[APIKey]
	knownMembers known[Caller]
}

// New makes a Service. It panics where Objects come without CutFront: such a
// program would fail only at the first recording.
func New(o Options) *Service {
	if o.Objects != nil && o.CutFront == nil {
		panic("control: Objects without CutFront") //nolint:forbidigo // a program that is wired wrongly
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	if o.Feed == nil {
		o.Feed = nobody{}
	}
	if o.Webhooks == nil {
		o.Webhooks = nobody{}
	}
	if o.Deliveries != nil {
		o.Webhooks = wakingWebhooks{o.Webhooks, o.Deliveries, o.Now}
	}
	if o.Idempotency != nil {
		o.Store, o.Webhooks = onceStore{o.Store, o.Idempotency, o.Now}, onceWebhooks{o.Webhooks}
		if o.DeadEvents != nil {
			o.DeadEvents = onceEvents{o.DeadEvents}
		}
	}
	return &Service{Options: o}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// HashSecret is the hash under which secrets are stored: they are random, so
// that SHA-256 is enough (docs/contract.md, "Who calls").
func HashSecret(secret string) broadcast.Hash { return sha256.Sum256([]byte(secret)) }

// refuse makes a coded error.
func refuse(code broadcast.Code, format string, args ...any) *broadcast.Refusal {
	return &broadcast.Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

// notFound turns ErrNotFound into a coded error and leaves outages alone.
func notFound(err error, code broadcast.Code, what string) error {
	if errors.Is(err, ErrNotFound) {
		return refuse(code, "there is no such %s", what)
	}
	return err
}

// retry runs a read-decide-commit round until it does not lose its race.
func (s *Service) retry(ctx context.Context, round func() error) error {
	for n := 1; ; n++ {
		err := round()
		if !errors.Is(err, ErrConflict) {
			return err
		}
		if n == commitAttempts {
			return refuse(broadcast.CodeBusy, "too many changes at the same time; try again")
		}
		jitter := time.Duration(rand.Int64N(int64(n) * int64(10*time.Millisecond))) //nolint:gosec // jitter, not a secret
		if err := s.Wait(ctx, jitter); err != nil {
			return err
		}
	}
}

// step is one coupled step under way.
type step struct {
	actor Actor
	// load reads the state that the step starts from.
	load func(ctx context.Context) (broadcast.State, error)
	in   broadcast.Input
	// also adds to the transaction; nil = nothing.
	also func(*Changes, broadcast.Outcome)
}

// run reads, steps and commits, again where somebody was faster. The outcome's
// records carry their new versions.
func (s *Service) run(ctx context.Context, st step) (broadcast.Outcome, error) {
	var out broadcast.Outcome
	err := s.retry(ctx, func() error {
		before, err := st.load(ctx)
		if err != nil {
			return err
		}
		now := s.Now()
		out, err = broadcast.Step(before, st.in, now)
		if errors.Is(err, broadcast.ErrIncoherent) {
			// The key and its room were read on both sides of another step.
			return fmt.Errorf("%w: %w", ErrConflict, err)
		}
		if err != nil {
			s.journalRefusal(ctx, st.actor, before, st.in, now, err)
			return err
		}
		c := s.changes(st.actor, before, out, st.in, now)
		if st.also != nil {
			st.also(&c, out)
		}
		if c.empty() {
			return nil
		}
		if err := s.Store.Commit(ctx, c); err != nil {
			return err
		}
		bump(&out, c)
		return nil
	})
	return out, err
}

func bump(out *broadcast.Outcome, c Changes) {
	if len(c.Keys) > 0 {
		out.Key.Version++
	}
	if len(c.Rooms) > 0 {
		out.Room.Version++
	}
}

func (c Changes) empty() bool {
	return len(c.Keys)+len(c.Rooms)+len(c.Leases)+len(c.Posts)+len(c.Strings)+len(c.Members)+
		len(c.DeleteMembers)+len(c.DeleteKeys)+len(c.DeleteRooms)+len(c.DeletePosts)+len(c.Journal)+len(c.Apps)+
		len(c.APIKeys)+len(c.Jobs) == 0
}

// changes is the one transaction of a step: key, room, lease, post, journal,
// notices and the jobs of a show's end.
func (s *Service) changes(who Actor, before broadcast.State, out broadcast.Outcome, in broadcast.Input, now time.Time) Changes {
	c := Changes{ID: s.IDs.New("tx")}
	if out.KeyChanged {
		c.Keys = append(c.Keys, out.Key)
	}
	if out.RoomChanged {
		c.Rooms = append(c.Rooms, *out.Room)
	}
	if out.LeaseChanged {
		c.Leases = append(c.Leases, LeaseWrite{Lease: out.Lease, IfEpoch: before.Lease.Epoch})
	}
	if out.Post != nil {
		c.Posts = append(c.Posts, *out.Post)
	}
	if out.Room != nil && out.RoomChanged && before.Room.State.Carried() && !out.Room.State.Carried() {
		c.Jobs = s.endJobs(*out.Room, now)
	}
	c.Journal = s.entries(who, before, out, in, now)
	c.Notices = s.notices(out, now)
	return c
}
