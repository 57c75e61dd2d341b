package session_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/mediatest"
)

// fence says whether the key shows this state of this session.
func fence(v control.KeyView, epoch uint64, state broadcast.KeyState) error {
	if v.Key.State != state || v.Key.Fence.Epoch != epoch {
		return fmt.Errorf("key %s, fence %+v, last error %+v", v.Key.State, v.Key.Fence, v.Key.LastError)
	}
	return nil
}

func TestAFullStorageEndsTheSessionWithTheReasonUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	for name, full := range map[string]string{"from the third segment on": "v/3.m4s", "from the first byte on": "v-init.mp4"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			key := w.member("alice")
			tags := source(t, usual(t))
			w.worker.faults.plant(func(f *faults) {
				f.put = func(key string) error {
					if strings.HasSuffix(key, full) {
						return fmt.Errorf("write: %w", control.ErrNoSpace)
					}
					return nil
				}
			})
			c := w.publish(key.String)
			w.stream(c, tags)
			w.refused(w.cut(c, 15*time.Second), failed, "the server's storage is full")
			w.lastError("alice", "STORAGE_FULL", "the server's storage is full")
			w.ended("alice")

			w.worker.faults.plant(func(f *faults) { f.put = nil })
			before := lastPublished(w.recorder.Log(), folder(key))
			again := w.publish(key.String)
			w.push(again, tags)
			w.awaitSegments("alice", before+3)
			w.eventually("the new session is shown", func() error { return fence(w.key("alice"), 2, broadcast.KeyActive) })
			w.sound(folder(key))
		})
	}
}

func TestAFailedUploadIsNoticedBeforeTheNextSegment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	failure := make(chan time.Time, 1)
	w.worker.faults.plant(func(f *faults) {
		f.put = func(key string) error {
			if !strings.HasSuffix(key, "v/1.m4s") {
				return nil
			}
			failure <- w.clock.now()
			return control.ErrNoSpace
		}
	})
	c := w.publish(key.String)
	w.stream(c, source(t, mediatest.Spec{Duration: 12 * time.Second, GOP: 150}))
	w.refused(w.cut(c, 15*time.Second), failed, "the server's storage is full")
	if took := w.clock.now().Sub(<-failure); took > 5*time.Second {
		t.Errorf("the end came %s after the failure, with 6 s between segments", took)
	}
}

func TestAStorageThatCannotBeOpenedRefusesThePublish(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	tags := source(t, usual(t))
	first := w.publish(key.String)
	w.push(first, tags)
	w.no(first.Close())
	w.ended("alice")

	w.worker.faults.plant(func(f *faults) {
		f.put = func(string) error { return control.ErrNoSpace }
	})
	_, err := w.dial(key.String)
	w.refused(err, failed, "the server's storage is full")
	w.lastError("alice", "STORAGE_FULL", "the server's storage is full")
	w.no(free(w.key("alice")))
	w.worker.faults.plant(func(f *faults) { f.put = nil })
	again := w.publish(key.String)
	w.push(again, tags)
	w.awaitSegments("alice", 7)
	w.sound(folder(key))
}

func TestAStorageThatIsSlowerThanTheStreamEndsTheSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	hold := make(chan struct{})
	w.worker.faults.plant(func(f *faults) {
		f.put = func(key string) error {
			if strings.HasSuffix(key, "v/2.m4s") {
				<-hold
			}
			return nil
		}
	})
	c := w.publish(key.String)
	w.stream(c, source(t, usual(t)))
	w.refused(w.cut(c, 15*time.Second), failed, "the server's storage is slower than the stream")
	close(hold)
	w.lastError("alice", "STORAGE_SLOW", "slower than the stream")
	w.ended("alice")
	w.sound(folder(key))
}

func TestAnOutageOfTheStorageThatPassesIsNotNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	failures := 0
	w.worker.faults.plant(func(f *faults) {
		f.put = func(key string) error {
			if strings.HasSuffix(key, "v.m3u8") && failures < 4 { // one writer, in order
				failures++
				return errors.New("no route to host")
			}
			return nil
		}
	})
	c := w.publish(key.String)
	w.push(c, source(t, usual(t)))
	w.awaitSegments("alice", 3)
	w.await("alice", broadcast.KeyActive)
	if v := w.key("alice"); c.Err() != nil || v.Key.LastError != nil || failures != 4 {
		t.Fatalf("%v, last error %v, %d failures", c.Err(), v.Key.LastError, failures)
	}
	w.sound(folder(key))
}
