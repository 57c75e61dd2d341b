package session_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/mediatest"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

// free says that nobody holds the key's lease.
func free(v control.KeyView) error {
	if v.Lease.Holder != nil {
		return fmt.Errorf("session %s holds epoch %d", v.Lease.Holder.Session, v.Lease.Epoch)
	}
	return nil
}

func usual(t *testing.T) mediatest.Spec {
	t.Helper()
	return mediatest.Spec{BFrames: 2, Duration: 8 * time.Second}
}

func TestASecondPublisherIsRefusedAndTheFirstNoticesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	first := w.publish(key.String)
	w.stream(first, source(t, usual(t)))
	w.await("alice", broadcast.KeyActive)
	before := w.key("alice").Lease

	begin := w.clock.now()
	_, err := w.dial(key.String)
	took := w.clock.now().Sub(begin)
	w.refused(err, badName, "somebody is publishing with this stream key already")
	if took > 7*time.Second {
		t.Errorf("the refusal took %s", took)
	}
	w.lastError("alice", "ALREADY_PUBLISHING", "somebody is publishing")
	w.awaitSegments("alice", lastPublished(w.recorder.Log(), folder(key))+2)
	after := w.key("alice")
	if after.Key.State != broadcast.KeyActive || after.Lease.Epoch != before.Epoch || first.Err() != nil {
		t.Fatalf("the first publisher: %v, key %s, epoch %d, was %d", first.Err(), after.Key.State, after.Lease.Epoch, before.Epoch)
	}
	if moves := w.moves("alice"); moves != "ACTIVE_PREP ACTIVE" {
		t.Errorf("the key went %s", moves)
	}
	w.sound(folder(key))
}

// renewedWith waits until the lease of alice's key says that so many messages came.
func (w *world) renewedWith(messages int) {
	w.Helper()
	w.eventually("the last of the media is in the lease", func() error {
		if v := w.key("alice"); v.Lease.Media != uint64(messages) {
			return fmt.Errorf("%d of %d messages", v.Lease.Media, messages)
		}
		return nil
	})
}

func TestAHalfOpenPublisherIsTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	tags := source(t, usual(t))
	first := w.publish(key.String)
	w.push(first, tags)
	w.await("alice", broadcast.KeyActive)
	w.renewedWith(len(tags))
	holder := w.key("alice").Lease.Holder.Session

	begin := w.clock.now()
	second := w.publish(key.String) // first's socket is open still
	if took := w.clock.now().Sub(begin); took < 5*time.Second || took > 9*time.Second {
		t.Errorf("taken over after %s, want 5 s", took)
	}
	w.refused(w.cut(first, 5*time.Second), failed, "taken over")
	w.push(second, tags)
	w.awaitSegments("alice", 6) // two of them are the second's
	w.eventually("the new session is PUBLISHED", func() error {
		if v := w.key("alice"); v.Key.State != broadcast.KeyActive || v.Key.Fence.Epoch != 2 || v.Lease.Holder.Session == holder {
			return fmt.Errorf("key %s, fence %+v", v.Key.State, v.Key.Fence)
		}
		return nil
	})
	w.no(second.Close())
	w.ended("alice")
	if moves := w.moves("alice"); moves != "ACTIVE_PREP ACTIVE INACTIVE ACTIVE_PREP ACTIVE INACTIVE" {
		t.Errorf("the key went %s", moves)
	}
	w.sound(folder(key))
}

// An encoder that is sent away, or loses its connection, is back in a second.
// What came since the last renewal is no sign that its old session lives.
func TestAPublisherThatIsBackBeforeItsLastSegmentsAreStoredIsNotRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	tags := source(t, usual(t))
	first := w.publish(key.String)
	w.push(first, tags)
	w.await("alice", broadcast.KeyActive)
	w.renewedWith(len(tags))
	hold := make(chan struct{})
	var looked atomic.Bool
	var once sync.Once
	w.worker.faults.plant(func(f *faults) {
		f.put = func(string) error { <-hold; return nil }
		f.found = func() { looked.Store(true) }
		f.renewed = func(broadcast.KeyID) {
			if looked.Load() { // the old session renews while the new one waits
				once.Do(func() { close(hold) })
			}
		}
	})
	period := tags[len(tags)-1].TimestampMS + 40
	for _, g := range tags[:20] {
		w.no(first.Write(g.Type, period+g.TimestampMS, g.Payload))
	}
	w.no(first.Close())
	second := w.publish(key.String)
	w.push(second, tags)
	w.eventually("the new session is PUBLISHED", func() error {
		if v := w.key("alice"); v.Key.State != broadcast.KeyActive || v.Key.Fence.Epoch != 2 {
			return fmt.Errorf("key %s, fence %+v", v.Key.State, v.Key.Fence)
		}
		return nil
	})
	w.sound(folder(key))
}

// The holder never sent a byte of media, so that its counter, 0, is also what
// a successor begins with: only the epoch tells them apart.
func TestOfManyChallengersOneTakesOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	silent := w.publish(key.String)
	w.await("alice", broadcast.KeyActivePrep)
	const challengers = 4
	var mu sync.Mutex
	var won []*rtmpout.Client
	var all sync.WaitGroup
	for range challengers {
		all.Go(func() {
			c, err := w.dial(key.String)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, c)
				return
			}
			var s *rtmpout.StatusError
			if !errors.As(err, &s) || s.Code != badName {
				t.Error(err)
			}
		})
	}
	all.Wait()
	w.refused(w.cut(silent, 5*time.Second), failed, "taken over")
	if len(won) != 1 {
		t.Fatalf("%d of %d challengers took the key over, want 1", len(won), challengers)
	}
	w.push(won[0], source(t, usual(t)))
	v := w.await("alice", broadcast.KeyActive)
	if won[0].Err() != nil || v.Lease.Epoch != 2 {
		t.Fatalf("the winner: %v, epoch %d", won[0].Err(), v.Lease.Epoch)
	}
	w.sound(folder(key))
}

func TestOfManyPublishersAtOnceOneGetsTheKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	tags := source(t, usual(t))
	var won atomic.Int32
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			c, err := w.dial(key.String)
			var s *rtmpout.StatusError
			switch {
			case err == nil:
				won.Add(1)
				w.stream(c, tags)
			case !errors.As(err, &s) || s.Code != badName:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := won.Load(); n != 1 {
		t.Fatalf("%d publishers got the key", n)
	}
	if v := w.await("alice", broadcast.KeyActive); v.Lease.Epoch != 1 {
		t.Fatalf("epoch %d", v.Lease.Epoch)
	}
}

func TestADisconnectedPublisherIsCutAndRefusedFor30Seconds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	c := w.publish(key.String)
	w.stream(c, source(t, usual(t)))
	w.await("alice", broadcast.KeyActive)
	begin := w.clock.now()
	_, err := w.service.DisconnectKey(t.Context(), w.caller, key.Key.ID)
	w.no(err)
	w.refused(w.cut(c, 5*time.Second), failed, "ended or taken over")
	if took := w.clock.now().Sub(begin); took > 4*time.Second {
		t.Errorf("the cut took %s", took)
	}
	_, err = w.dial(key.String)
	w.refused(err, badName, "the stream was disconnected; try again in")
	w.lastError("alice", "DISCONNECTED", "try again in")
	w.clock.pass(30 * time.Second)
	again := w.publish(key.String)
	w.push(again, source(t, usual(t)))
	v := w.await("alice", broadcast.KeyActive)
	if folder(v) != folder(key) {
		t.Error("a disconnect changed the play id")
	}
	w.sound(folder(key))
}

func TestAKeyThatIsReplacedBetweenLookUpAndTakeIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	w.worker.faults.plant(func(f *faults) {
		f.found = func() {
			w.worker.faults.plant(func(f *faults) { f.found = nil })
			_, err := w.service.ReissueKey(t.Context(), w.caller, key.Key.ID)
			if err != nil {
				t.Error(err)
			}
		}
	})
	_, err := w.dial(key.String)
	w.refused(err, badName, "the stream key is not valid any more")
	v := w.key("alice")
	if err := free(v); err != nil || v.Key.State != broadcast.KeyInactive || v.String == key.String {
		t.Fatalf("%v, key %+v", err, v.Key)
	}
	w.publish(v.String)
	w.await("alice", broadcast.KeyActivePrep)
}

func TestAKeyThatIsDisconnectedBetweenLookUpAndTakeIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	w.worker.faults.plant(func(f *faults) {
		f.found = func() {
			w.worker.faults.plant(func(f *faults) { f.found = nil })
			_, err := w.service.DisconnectKey(t.Context(), w.caller, key.Key.ID)
			if err != nil {
				t.Error(err)
			}
		}
	})
	_, err := w.dial(key.String)
	w.refused(err, badName, "the stream was disconnected; try again in")
}

func TestAForceEndCutsThePublisherAndNothingOfItFollows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	c := w.publish(key.String)
	w.stream(c, source(t, usual(t)))
	w.await("alice", broadcast.KeyActive)
	begin := w.clock.now()
	v, err := w.service.ForceTerminateKey(t.Context(), w.caller, key.Key.ID, false)
	w.no(err)
	w.refused(w.cut(c, 5*time.Second), failed, "ended or taken over")
	if took := w.clock.now().Sub(begin); took > 4*time.Second {
		t.Errorf("the cut took %s", took)
	}
	if v.String == key.String || folder(v) == folder(key) {
		t.Fatal("the key has its old string or play id")
	}
	w.logged("publisher left")
	writes := len(w.recorder.Log())
	_, err = w.dial(key.String)
	w.refused(err, badName, "the stream key is not valid")
	for line := range strings.Lines(record(w.recorder.Log(), folder(key))) {
		// The open segment is not finished: it may be somebody else's turn.
		if strings.HasPrefix(line, "#EXTINF:") && !strings.HasPrefix(line, "#EXTINF:2.0") {
			t.Errorf("a session that lost its lease published its last %s", line)
		}
	}
	after := w.key("alice")
	if after.Key.State != broadcast.KeyInactive || after.Lease.Holder != nil || len(w.recorder.Log()) != writes {
		t.Fatalf("key %s, holder %v, %d writes more", after.Key.State, after.Lease.Holder, len(w.recorder.Log())-writes)
	}
	w.sound(folder(key))
}

func TestASessionOutlivesAStoreThatIsOutFor10SecondsAndNotForever(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	c := w.publish(key.String)
	w.stream(c, source(t, usual(t)))
	w.await("alice", broadcast.KeyActive)
	out := func(err error) {
		w.worker.faults.plant(func(f *faults) { f.renew = func() error { return err } })
	}
	out(errOut)
	w.logged("lease is not renewed")
	before := w.key("alice").Lease.Renewals
	w.no(w.clock.sleep(t.Context(), 10*time.Second)) // an outage has no other condition than time
	if c.Err() != nil || w.key("alice").Lease.Renewals != before {
		t.Fatalf("after 10 s without the store: %v", c.Err())
	}
	out(nil)
	w.eventually("the lease is renewed again", func() error {
		if w.key("alice").Lease.Renewals == before {
			return errors.New("it is not")
		}
		return nil
	})
	out(errOut)
	begin := w.clock.now()
	w.refused(w.cut(c, 15*time.Second), failed, "its store is unreachable")
	if took := w.clock.now().Sub(begin); took < 12*time.Second || took > 20*time.Second {
		t.Errorf("the session went on for %s, want 15 s", took)
	}
	w.lastError("alice", "STORE_UNREACHABLE", "unreachable")
	w.ended("alice")
	out(nil)
	again := w.publish(key.String)
	w.push(again, source(t, usual(t)))
	w.await("alice", broadcast.KeyActive)
	w.sound(folder(key))
}
