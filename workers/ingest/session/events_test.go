package session_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/roomcast/roomcast/internal/broadcast"
)

func TestStreamingGoesOnWhileTheQueueIsOutAndItsEventsArriveInOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	var mu sync.Mutex
	var told []broadcast.Phase
	out := true
	w.worker.faults.plant(func(f *faults) {
		f.send = func(broadcast.Event) error {
			mu.Lock()
			defer mu.Unlock()
			if out {
				return errOut
			}
			return nil
		}
		f.sent = func(e broadcast.Event) error {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, e.Phase)
			if len(told)%2 == 1 {
				return errOut // the first answer to each event is lost
			}
			return nil
		}
	})
	tags := source(t, usual(t))
	c := w.publish(key.String)
	w.push(c, tags)
	w.awaitSegments("alice", 3)
	w.no(c.Close())
	w.awaitSegments("alice", 4)
	w.eventually("the lease is free", func() error { return free(w.key("alice")) })
	if v := w.key("alice"); v.Key.State != broadcast.KeyInactive || v.Lease.Phase != broadcast.Stopped || v.Lease.LastSegment != 4 {
		t.Fatalf("key %s, lease %+v", v.Key.State, v.Lease)
	}
	if moves := w.moves("alice"); moves != "" {
		t.Fatalf("the key went %s without an event", moves)
	}
	mu.Lock()
	out = false
	mu.Unlock()
	w.eventually("the whole session is shown", func() error {
		if moves := w.moves("alice"); moves != "ACTIVE_PREP ACTIVE INACTIVE" {
			return fmt.Errorf("the key went %s", moves)
		}
		return nil
	})
	w.eventually("the last answer has arrived", func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(told) != 6 {
			return fmt.Errorf("told %v, want three events twice each", told)
		}
		return nil
	})
	w.sound(folder(key))
}

func TestStoppedIsToldOnceEverythingIsReadable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	var mu sync.Mutex
	var told []string // each event, and what could be read then
	w.worker.faults.plant(func(f *faults) {
		f.send = func(e broadcast.Event) error {
			readable := lastPublished(w.recorder.Log(), folder(key))
			mu.Lock()
			defer mu.Unlock()
			told = append(told, fmt.Sprintf("%s of %d: %v", e.Phase, e.LastSegment, readable >= e.LastSegment))
			return nil
		}
	})
	c := w.publish(key.String)
	w.push(c, source(t, usual(t)))
	w.no(c.Close())
	w.ended("alice")
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"PREP of 0: true", "PUBLISHED of 1: true", "STOPPED of 4: true"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	log := w.recorder.Log()
	for _, name := range []string{"master.m3u8", "v.m3u8", "a.m3u8", "manifest.mpd"} {
		if !written(log, folder(key)+name) {
			t.Errorf("%s was never written", name)
		}
	}
}
