package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

const (
	// onceFor is how long a repeated call is recognised.
	onceFor   = 24 * time.Hour
	oncePurge = 500 // records that one pass removes at most
)

// OnceRecord remembers a call that took effect, so that its repetition has
// none. It holds nothing secret: neither the key, nor the body, nor the answer.
type OnceRecord struct {
	// ID is a hash of who calls and of the Idempotency-Key.
	ID string
	// Fingerprint is a hash of the call: method, path and body.
	Fingerprint broadcast.Hash
	// Resource is the id of what the call made; "" = it made nothing new.
	Resource  string
	Status    int // of the answer: 201 where something was made, else 200
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Idempotency keeps the records that Changes.Once writes. Safe for concurrent use.
type Idempotency interface {
	// Once answers the record, expired or not, or ErrNotFound. The read is consistent.
	Once(ctx context.Context, id string) (OnceRecord, error)
	// PurgeOnce removes at most limit records that expired before now and says
	// how many. A store that forgets them by itself answers 0.
	PurgeOnce(ctx context.Context, now time.Time, limit int) (int, error)
}

// OnceCall names a call that must take effect at most once.
type OnceCall struct {
	ID          string
	Fingerprint broadcast.Hash
}

// Once runs do unless the same call took effect within the last 24 hours: then
// it answers that call's record and leaves do's effect undone. The record is
// written in the transaction of do's first effect, so that a process that dies
// in between leaves both or neither. A call that is refused leaves no record.
// The same ID for another call is IDEMPOTENCY_KEY_REUSED.
//
// An earlier record is looked for while do reads: nobody waits for it alone.
// So do may see what an earlier call made of the world, and be refused for it;
// what it would write waits for the answer, here and in onceStore.
func (s *Service) Once(ctx context.Context, call OnceCall, do func(context.Context) error) (*OnceRecord, error) {
	if s.Idempotency == nil {
		return nil, fmt.Errorf("no place for idempotency records: %w", ErrUnavailable)
	}
	now := s.Now()
	use := &onceUse{
		record: OnceRecord{ID: call.ID, Fingerprint: call.Fingerprint, CreatedAt: now, ExpiresAt: now.Add(onceFor)},
		known:  make(chan struct{}),
	}
	go use.lookUp(ctx, s.Idempotency)
	ctx = context.WithValue(ctx, onceKey{}, use)
	err := do(ctx)
	if earlier := use.first(); earlier != nil {
		err = earlier // whatever do met: the call took effect before
	}
	if err == nil && !use.written {
		// It found everything as it should be: nothing was written.
		err = s.Store.Commit(ctx, Changes{ID: s.IDs.New("tx")})
	}
	var first *firstOne
	if errors.As(err, &first) {
		return call.replay(first.record)
	}
	return nil, err
}

func (c OnceCall) replay(r OnceRecord) (*OnceRecord, error) {
	if r.Fingerprint != c.Fingerprint {
		return nil, refuse(broadcast.CodeIdempotencyKeyReused, "this Idempotency-Key was used for another call within the last 24 hours")
	}
	return &r, nil
}

// PurgeOnce removes records that nobody is answered from any more.
func (s *Service) PurgeOnce(ctx context.Context) error {
	for {
		n, err := s.Idempotency.PurgeOnce(ctx, s.Now(), oncePurge)
		if err != nil {
			return fmt.Errorf("remove old idempotency records: %w", err)
		}
		if n < oncePurge {
			return nil
		}
	}
}

// onceUse is the record of the call under way. Only the call's own goroutine
// touches it, but for lookUp.
type onceUse struct {
	record  OnceRecord
	written bool
	known   chan struct{} // closed when earlier is set
	earlier error         // a *firstOne, or why nobody knows; nil = there was none
}

// lookUp finds out whether the call was made before.
func (u *onceUse) lookUp(ctx context.Context, records Idempotency) {
	defer close(u.known)
	stored, err := records.Once(ctx, u.record.ID)
	switch {
	case err == nil && stored.ExpiresAt.After(u.record.CreatedAt):
		u.earlier = &firstOne{stored}
	case err != nil && !errors.Is(err, ErrNotFound):
		u.earlier = err
	}
}

// first waits until it is known that this call is the first of its name; else
// it answers what it repeats, as an error. u may be nil: then nobody asks.
func (u *onceUse) first() error {
	if u == nil {
		return nil
	}
	<-u.known
	return u.earlier
}

type onceKey struct{}

// underWay is the named call of ctx; nil = it has none.
func underWay(ctx context.Context) *onceUse {
	use, _ := ctx.Value(onceKey{}).(*onceUse)
	return use
}

// firstOne says that the same call has taken effect meanwhile.
type firstOne struct{ record OnceRecord }

// Error is for the log.
func (*firstOne) Error() string { return "the same call was made at the same time" }

// onceStore adds the record of the call under way to the first transaction
// that does something. A repetition writes nothing.
type onceStore struct {
	Store
	records Idempotency
	now     func() time.Time
}

// Commit implements Store.
func (o onceStore) Commit(ctx context.Context, c Changes) error {
	use := underWay(ctx)
	if err := use.first(); err != nil {
		return err
	}
	if use == nil || use.written || c.onlyJournal() {
		return o.Store.Commit(ctx, c)
	}
	r := use.record
	r.Resource, r.Status = c.made(), 200
	if r.Resource != "" {
		r.Status = 201
	}
	c.Once = append(c.Once, r)
	err := o.Store.Commit(ctx, c)
	if err == nil {
		use.written = true
		return nil
	}
	if errors.Is(err, ErrConflict) {
		if stored, e := o.records.Once(ctx, r.ID); e == nil && stored.ExpiresAt.After(o.now()) {
			return &firstOne{stored}
		}
	}
	return err
}

// onceWebhooks and onceEvents have effects beside the store: a repetition has none.
type onceWebhooks struct{ Webhooks }

// Wake implements Webhooks.
func (o onceWebhooks) Wake(ctx context.Context, list []Cursor) error {
	if err := underWay(ctx).first(); err != nil {
		return err
	}
	return o.Webhooks.Wake(ctx, list)
}

type onceEvents struct{ DeadEvents }

// Replay implements DeadEvents.
func (o onceEvents) Replay(ctx context.Context, receipt string) error {
	if err := underWay(ctx).first(); err != nil {
		return err
	}
	return o.DeadEvents.Replay(ctx, receipt)
}

// onlyJournal reports whether c is the trace of a refusal.
func (c Changes) onlyJournal() bool { return len(c.Journal) > 0 && len(c.Notices) == 0 && c.still() }

// still reports whether c changes no record.
func (c Changes) still() bool {
	return len(c.Apps)+len(c.APIKeys)+len(c.Members)+len(c.Keys)+len(c.Rooms)+len(c.Posts)+len(c.Leases)+
		len(c.Strings)+len(c.Jobs)+len(c.DeleteMembers)+len(c.DeleteKeys)+len(c.DeleteRooms)+len(c.DeletePosts)+
		len(c.Endpoints)+len(c.DeleteEndpoints)+len(c.Profiles)+len(c.DeleteProfiles)+
		len(c.DeleteAPIKeys)+len(c.DeleteApps) == 0
}

// made is the id of what c makes for its caller; "" = nothing new.
func (c Changes) made() string {
	for _, a := range c.Apps {
		if a.Version == 0 {
			return string(a.ID)
		}
	}
	for _, k := range c.APIKeys {
		if k.Version == 0 {
			return k.ID
		}
	}
	for _, m := range c.Members {
		if m.Version == 0 {
			return string(m.ID)
		}
	}
	for _, r := range c.Rooms {
		if r.Version == 0 {
			return string(r.ID)
		}
	}
	for _, e := range c.Endpoints {
		if e.Version == 0 {
			return e.ID
		}
	}
	for _, p := range c.Profiles {
		if p.Version == 0 {
			return string(p.ID)
		}
	}
	return ""
}
