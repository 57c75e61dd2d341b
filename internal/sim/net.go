package sim

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// errFault is every error that the network and a bad day of the store make:
// nobody knows whether the write happened.
var errFault = errors.New("no answer")

// callTimeout is how long a caller waits for an answer.
const callTimeout = 2 * time.Second

// net is the way from one machine to the store. Every call gives way, may fail
// before or after it took effect, take effect late, or be its caller's last.
type net struct {
	w      *world
	worker *worker // nil = a function
}

type fate int

const (
	fateGood fate = iota
	fateThrottled
	fateLost // it happens, the answer does not come
	fateLate // as lost, and it happens after the caller gave up
	fateCrashBefore
	fateCrashAfter
)

func (n *net) fate() (f fate, before, after time.Duration) {
	w := n.w
	before, after = w.between(0, 5*time.Millisecond), 0
	if !w.chaos {
		return fateGood, before, after
	}
	d := w.dice
	before, after = w.between(0, 40*time.Millisecond), w.between(0, 40*time.Millisecond)
	switch {
	case w.outage > w.now:
		return fateThrottled, callTimeout, 0
	case w.chance(d.throttle):
		return fateThrottled, before, 0
	case w.chance(d.lost):
		return fateLost, before, callTimeout
	case w.chance(d.late):
		return fateLate, w.between(callTimeout, 4*callTimeout), 0
	case n.worker == nil && w.chance(d.crash):
		return fateCrashBefore + fate(w.rng.IntN(2)), before, 0
	case n.worker != nil && w.chance(d.crash/50):
		return fateCrashBefore + fate(w.rng.IntN(2)), before, 0
	case w.chance(d.slow):
		slow := w.between(0, callTimeout)
		return fateGood, slow, (callTimeout - slow) / 2
	}
	return fateGood, before, after
}

// die ends the caller: a function's one process, a worker's all.
func (n *net) die(what string) {
	n.w.tell("  %s dies at %s", n.name(), what)
	if n.worker != nil {
		n.worker.die()
	}
	n.w.current.kill()
}

func (n *net) name() string {
	if n.worker != nil {
		return string(n.worker.id)
	}
	return "function"
}

// through makes one call.
func through[T any](n *net, what string, do func() (T, error)) (T, error) {
	w := n.w
	p := w.current
	if p == nil {
		return do() // nobody's: the world is being set up
	}
	var none T
	f, before, after := n.fate()
	switch f {
	case fateThrottled:
		p.sleep(before)
		return none, errFault
	case fateLate:
		land := sync.OnceFunc(func() { _, _ = do() })
		w.landing = append(w.landing, land)
		w.after(before, land)
		p.sleep(callTimeout)
		return none, errFault
	case fateCrashBefore:
		p.sleep(before)
		n.die(what)
	case fateGood, fateLost, fateCrashAfter:
	}
	p.sleep(before)
	v, err := do()
	if f == fateCrashAfter {
		n.die(what)
	}
	if after > 0 {
		p.sleep(after)
	}
	if f == fateLost {
		w.tell("  %s: the answer to %s is lost", n.name(), what)
		return none, errFault
	}
	return v, err
}

func done(n *net, what string, do func() error) error {
	_, err := through(n, what, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

// Commit implements control.Store, as all that follow.
func (n *net) Commit(ctx context.Context, c control.Changes) error {
	n.w.awaken(c)
	return done(n, "commit", func() error { return n.w.check.commit(ctx, c) })
}

func (n *net) App(ctx context.Context, id broadcast.AppID) (control.App, error) {
	return through(n, "app", func() (control.App, error) { return n.w.store.App(ctx, id) })
}

func (n *net) Apps(ctx context.Context, p control.Page) (control.List[control.App], error) {
	return n.w.store.Apps(ctx, p)
}

func (n *net) APIKey(ctx context.Context, id string) (control.APIKey, error) {
	return n.w.store.APIKey(ctx, id)
}

func (n *net) APIKeys(ctx context.Context, app broadcast.AppID, p control.Page) (control.List[control.APIKey], error) {
	return n.w.store.APIKeys(ctx, app, p)
}

func (n *net) Member(ctx context.Context, id broadcast.MemberID) (control.Member, error) {
	return through(n, "member", func() (control.Member, error) { return n.w.store.Member(ctx, id) })
}

func (n *net) MemberByUser(ctx context.Context, app broadcast.AppID, id string) (control.Member, error) {
	return through(n, "member", func() (control.Member, error) { return n.w.store.MemberByUser(ctx, app, id) })
}

func (n *net) Members(ctx context.Context, app broadcast.AppID, p control.Page) (control.List[control.Member], error) {
	return n.w.store.Members(ctx, app, p)
}

func (n *net) Key(ctx context.Context, id broadcast.KeyID) (broadcast.StreamKey, broadcast.Lease, error) {
	type both struct {
		key   broadcast.StreamKey
		lease broadcast.Lease
	}
	v, err := through(n, "key", func() (both, error) {
		k, l, err := n.w.store.Key(ctx, id)
		n.w.misread(&k, l)
		return both{k, l}, err
	})
	return v.key, v.lease, err
}

func (n *net) KeyRecord(ctx context.Context, id broadcast.KeyID) (control.KeyRecord, error) {
	return through(n, "key", func() (control.KeyRecord, error) {
		r, err := n.w.store.KeyRecord(ctx, id)
		n.w.misread(&r.Key, r.Lease)
		return r, err
	})
}

func (n *net) KeyOfUser(ctx context.Context, app broadcast.AppID, id string) (control.KeyRecord, error) {
	return through(n, "key", func() (control.KeyRecord, error) { return n.w.store.KeyOfUser(ctx, app, id) })
}

func (n *net) Keys(ctx context.Context, f control.KeyFilter, p control.Page) (control.List[control.KeyRecord], error) {
	return n.w.store.Keys(ctx, f, p)
}

func (n *net) Room(ctx context.Context, id broadcast.RoomID) (broadcast.VideoRoom, error) {
	return through(n, "room", func() (broadcast.VideoRoom, error) { return n.w.store.Room(ctx, id) })
}

func (n *net) Rooms(ctx context.Context, f control.RoomFilter, p control.Page) (control.List[broadcast.VideoRoom], error) {
	return n.w.store.Rooms(ctx, f, p)
}

func (n *net) Post(ctx context.Context, id broadcast.PostID) (broadcast.VideoPost, error) {
	return through(n, "post", func() (broadcast.VideoPost, error) { return n.w.store.Post(ctx, id) })
}

func (n *net) Posts(ctx context.Context, f control.PostFilter, p control.Page) (control.List[broadcast.VideoPost], error) {
	return n.w.store.Posts(ctx, f, p)
}

func (n *net) Journal(ctx context.Context, aggregate string, p control.Page) (control.List[control.JournalEntry], error) {
	return n.w.store.Journal(ctx, aggregate, p)
}

func (n *net) Profile(ctx context.Context, id broadcast.ProfileID) (control.TranscodingProfile, error) {
	return n.w.store.Profile(ctx, id)
}

func (n *net) ProfileRevision(ctx context.Context, id broadcast.ProfileID, revision uint64) (control.TranscodingProfile, error) {
	return n.w.store.ProfileRevision(ctx, id, revision)
}

func (n *net) Profiles(ctx context.Context, app broadcast.AppID, p control.Page) (control.List[control.TranscodingProfile], error) {
	return n.w.store.Profiles(ctx, app, p)
}

func (n *net) HeldLeases(ctx context.Context, after broadcast.KeyID, limit int) ([]broadcast.Lease, error) {
	return through(n, "held leases", func() ([]broadcast.Lease, error) { return n.w.store.HeldLeases(ctx, after, limit) })
}

func (n *net) LiveRooms(ctx context.Context, p control.Page) (control.List[broadcast.VideoRoom], error) {
	return through(n, "live rooms", func() (control.List[broadcast.VideoRoom], error) { return n.w.store.LiveRooms(ctx, p) })
}

func (n *net) DueJobs(ctx context.Context, now time.Time, limit int) ([]control.Job, error) {
	return through(n, "due jobs", func() ([]control.Job, error) { return n.w.store.DueJobs(ctx, now, limit) })
}

func (n *net) Job(ctx context.Context, id string) (control.Job, error) {
	return through(n, "job", func() (control.Job, error) { return n.w.store.Job(ctx, id) })
}

func (n *net) FinishJob(ctx context.Context, id string) error {
	return done(n, "finish job", func() error { return n.w.store.FinishJob(ctx, id) })
}

func (n *net) RetryJob(ctx context.Context, j control.Job) error {
	return done(n, "retry job", func() error { return n.w.store.RetryJob(ctx, j) })
}

func (n *net) ClaimJob(ctx context.Context, was time.Time, j control.Job) error {
	return done(n, "claim job", func() error { return n.w.store.ClaimJob(ctx, was, j) })
}

// FindPublisher implements control.Leases, as all that follow.
func (n *net) FindPublisher(ctx context.Context, h broadcast.Hash) (control.Publisher, error) {
	p, err := through(n, "find publisher", func() (control.Publisher, error) { return n.w.store.FindPublisher(ctx, h) })
	if err == nil { // two round trips: hash, then the rest
		p.Lease, err = n.Lease(ctx, p.KeyID)
	}
	return p, err
}

func (n *net) Lease(ctx context.Context, id broadcast.KeyID) (broadcast.Lease, error) {
	return through(n, "lease", func() (broadcast.Lease, error) { return n.w.store.Lease(ctx, id) })
}

func (n *net) TakeLease(ctx context.Context, id broadcast.KeyID, c control.LeaseCondition, h broadcast.Holder, p broadcast.Progress) (broadcast.Lease, error) {
	return through(n, "take", func() (broadcast.Lease, error) { return n.w.check.take(ctx, id, c, h, p) })
}

func (n *net) RenewLease(ctx context.Context, id broadcast.KeyID, epoch uint64, s broadcast.SessionID, p broadcast.Progress) error {
	err := done(n, "renew", func() error { return n.w.check.renew(ctx, id, epoch, s, p) })
	if n.w.bug == BugRefusedGoesOn && errors.Is(err, control.ErrConflict) || n.w.bug == BugNeverEnds && errors.Is(err, errFault) {
		err = map[Bug]error{BugRefusedGoesOn: errFault}[n.w.bug]
	}
	return err
}

func (n *net) ReleaseLease(ctx context.Context, id broadcast.KeyID, epoch uint64, s broadcast.SessionID, p broadcast.Progress) error {
	return done(n, "release", func() error { return n.w.check.release(ctx, id, epoch, s, p) })
}
