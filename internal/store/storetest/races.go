package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
)

// twentyStarts lets 20 callers start 20 rooms of one member at once.
func twentyStarts(f *fixture) {
	u := f.user(f.app().ID)
	u.key.State, u.key.Mode = broadcast.KeyActive, broadcast.ModeCMAF
	f.must(f.commit(control.Changes{Keys: []broadcast.StreamKey{u.key}}))
	rooms := make([]broadcast.VideoRoom, 20)
	for i := range rooms {
		rooms[i] = f.room(u)
	}
	var won, refused atomic.Int64
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for _, r := range rooms {
		wg.Go(func() {
			<-begin
			err := start(f, u.key.ID, r.ID)
			var refusal *broadcast.Refusal
			switch {
			case err == nil:
				won.Add(1)
			case errors.As(err, &refusal) && refusal.Code == broadcast.CodeKeyBusy:
				refused.Add(1)
			default:
				f.Error(err)
			}
		})
	}
	close(begin)
	wg.Wait()
	if won.Load() != 1 || refused.Load() != 19 {
		f.Errorf("%d rooms started, %d were refused", won.Load(), refused.Load())
	}
	key, lease, err := f.store.Key(f.ctx, u.key.ID)
	f.must(err)
	live := 0
	for _, r := range rooms {
		got := must2[broadcast.VideoRoom](f)(f.store.Room(f.ctx, r.ID))
		f.must(broadcast.Check(broadcast.State{Key: key, Room: &got, Lease: lease}))
		if got.State == broadcast.RoomLive {
			live++
		}
	}
	if live != 1 || key.State != broadcast.KeyActiveLive {
		f.Errorf("%d rooms are live, the key is %s", live, key.State)
	}
}

// start is what the use case does: read, step, commit, again on a conflict.
func start(f *fixture, keyID broadcast.KeyID, roomID broadcast.RoomID) error {
	for range 50 {
		key, lease, err := f.store.Key(f.ctx, keyID)
		if err != nil {
			return err
		}
		room, err := f.store.Room(f.ctx, roomID)
		if err != nil {
			return err
		}
		out, err := broadcast.Step(broadcast.State{Key: key, Room: &room, Lease: lease}, broadcast.GoLive{}, epoch)
		if err != nil {
			return err
		}
		err = f.commit(control.Changes{Keys: []broadcast.StreamKey{out.Key}, Rooms: []broadcast.VideoRoom{*out.Room}})
		if !errors.Is(err, control.ErrConflict) {
			return err
		}
		time.Sleep(rand.N(5 * time.Millisecond)) // #nosec G404 -- jitter
	}
	return fmt.Errorf("room %s: 50 conflicts", roomID)
}

// readTogether: a key and its lease are never of two different commits.
func readTogether(f *fixture) {
	u := f.user(f.app().ID)
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			epoch := u.lease.Epoch
			u.lease.Epoch++
			u.key.Fence = broadcast.Fence{Epoch: u.lease.Epoch}
			err := f.commit(control.Changes{
				Keys:   []broadcast.StreamKey{u.key},
				Leases: []control.LeaseWrite{{Lease: u.lease, IfEpoch: epoch}},
			})
			if err != nil {
				done <- err
				return
			}
			u.key.Version++
		}
	}()
	for range 100 {
		key, lease, err := f.store.Key(f.ctx, u.key.ID)
		f.must(err)
		if key.Fence.Epoch != lease.Epoch {
			f.Errorf("a key of epoch %d with a lease of epoch %d", key.Fence.Epoch, lease.Epoch)
		}
	}
	close(stop)
	f.must(<-done)
}

// readYourWrites: whoever begins to read after a commit was answered sees it.
func readYourWrites(f *fixture) {
	u := f.user(f.app().ID)
	r := f.room(u)
	var wg sync.WaitGroup
	answered := make(chan uint64)
	for range 4 {
		wg.Go(func() {
			for version := range answered {
				got, err := f.store.Room(f.ctx, r.ID)
				if err != nil || got.Version < version {
					f.Errorf("read version %d after version %d was answered (%v)", got.Version, version, err)
				}
			}
		})
	}
	for range 30 {
		f.must(f.commit(control.Changes{Rooms: []broadcast.VideoRoom{r}}))
		r.Version++
		for range 2 {
			answered <- r.Version
		}
	}
	close(answered)
	wg.Wait()
}
