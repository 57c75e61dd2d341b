package session_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/workers/ingest/session"
)

var errOut = errors.New("out of order")

// faults are what a worker's outside does to it. The zero value does nothing.
type faults struct {
	// dead: the process is gone; nothing that it does arrives.
	dead atomic.Bool

	mu sync.Mutex
	// renew, send and put are asked before each such call; nil = all is well.
	renew func() error
	send  func(broadcast.Event) error
	put   func(key string) error
	// found is called when a publisher's key has been looked up, sent when an
	// event was taken: its error is the answer that gets lost.
	found func()
	sent  func(broadcast.Event) error
	// renewed is called after each renewal that succeeded, other before each
	// call but the look-up, renewals and releases.
	renewed func(broadcast.KeyID)
	other   func()
}

// plant changes the faults.
func (f *faults) plant(change func(*faults)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *faults) say(ask func() error) error {
	if f.dead.Load() {
		return errOut
	}
	if ask == nil {
		return nil
	}
	return ask()
}

type leases struct {
	session.Leases
	*faults
}

func (l leases) FindPublisher(ctx context.Context, h broadcast.Hash) (control.Publisher, error) {
	p, err := l.Leases.FindPublisher(ctx, h)
	l.mu.Lock()
	found := l.found
	l.mu.Unlock()
	if found != nil {
		found()
	}
	return p, err
}

func (l leases) RenewLease(ctx context.Context, id broadcast.KeyID, epoch uint64, s broadcast.SessionID, p broadcast.Progress) error {
	l.mu.Lock()
	renew := l.renew
	l.mu.Unlock()
	if err := l.say(renew); err != nil {
		return err
	}
	err := l.Leases.RenewLease(ctx, id, epoch, s, p)
	l.mu.Lock()
	renewed := l.renewed
	l.mu.Unlock()
	if err == nil && renewed != nil {
		renewed(id)
	}
	return err
}

func (l leases) Lease(ctx context.Context, id broadcast.KeyID) (broadcast.Lease, error) {
	l.others()
	return l.Leases.Lease(ctx, id)
}

func (l leases) TakeLease(ctx context.Context, id broadcast.KeyID, c control.LeaseCondition, h broadcast.Holder, p broadcast.Progress) (broadcast.Lease, error) {
	l.others()
	return l.Leases.TakeLease(ctx, id, c, h, p)
}

func (f *faults) others() {
	f.mu.Lock()
	other := f.other
	f.mu.Unlock()
	if other != nil {
		other()
	}
}

func (l leases) ReleaseLease(ctx context.Context, id broadcast.KeyID, epoch uint64, s broadcast.SessionID, p broadcast.Progress) error {
	if err := l.say(nil); err != nil {
		return err
	}
	return l.Leases.ReleaseLease(ctx, id, epoch, s, p)
}

type events struct {
	queue control.Queue
	*faults
}

func (e events) Send(ctx context.Context, ev broadcast.Event) error {
	e.mu.Lock()
	send, sent := e.send, e.sent
	e.mu.Unlock()
	if err := e.say(func() error {
		if send == nil {
			return nil
		}
		return send(ev)
	}); err != nil {
		return err
	}
	m, err := control.EncodeEvent(ev, 0)
	if err != nil {
		return err
	}
	if err := e.queue.Send(ctx, m); err != nil || sent == nil {
		return err
	}
	return sent(ev)
}

type objects struct {
	control.Objects
	*faults
}

func (o objects) Put(ctx context.Context, key string, body [][]byte, opt control.PutOptions) (string, error) {
	o.mu.Lock()
	put := o.put
	o.mu.Unlock()
	if err := o.say(func() error {
		if put == nil {
			return nil
		}
		return put(key)
	}); err != nil {
		return "", err
	}
	return o.Objects.Put(ctx, key, body, opt)
}
