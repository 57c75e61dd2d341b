package session_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/mediatest"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

// member makes a member and answers what its owner sees.
func (w *world) member(user string) control.KeyView {
	w.Helper()
	_, _, err := w.service.PutMember(w.Context(), w.caller, control.MemberInput{AppUserID: user})
	w.no(err)
	return w.key(user)
}

func (w *world) key(user string) control.KeyView {
	w.Helper()
	v, err := w.service.KeyOfMember(w.Context(), w.caller, user)
	w.no(err)
	return v
}

// dial publishes; what stands behind the key's string may follow it in text.
func (w *world) dial(text string) (*rtmpout.Client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := rtmpout.Dial(ctx, "rtmp://"+w.worker.address+"/live/"+text, rtmpout.Options{Now: time.Now})
	if err == nil {
		w.Cleanup(c.Abort)
	}
	return c, err
}

func (w *world) publish(text string) *rtmpout.Client {
	w.Helper()
	c, err := w.dial(text)
	w.no(err)
	return c
}

// refused demands a refusal with the code and words in its description.
func (w *world) refused(err error, code, words string) {
	w.Helper()
	var s *rtmpout.StatusError
	if !errors.As(err, &s) || s.Code != code || !strings.Contains(s.Description, words) {
		w.Fatalf("got %v, want %s with %q", err, code, words)
	}
}

// cut waits until the server has ended the publish and answers what it said.
func (w *world) cut(c *rtmpout.Client, within time.Duration) error {
	w.Helper()
	select {
	case <-c.Done():
		return c.Err()
	case <-time.After(within):
		w.Fatalf("the publisher was not cut within %s", within)
		return nil
	}
}

// lastError waits for the key's last error.
func (w *world) lastError(user, code, words string) {
	w.Helper()
	w.eventually("lastError "+code, func() error {
		e := w.key(user).Key.LastError
		if e == nil || e.Code != code || !strings.Contains(e.Message, words) {
			return fmt.Errorf("it is %+v", e)
		}
		return nil
	})
}

func (w *world) await(user string, want broadcast.KeyState) control.KeyView {
	w.Helper()
	var v control.KeyView
	w.eventually("key "+string(want), func() error {
		if v = w.key(user); v.Key.State != want {
			return fmt.Errorf("it is %s, last error %+v", v.Key.State, v.Key.LastError)
		}
		return nil
	})
	return v
}

// ended waits until the session is over and the key shows its last event.
func (w *world) ended(user string) {
	w.Helper()
	w.eventually("the end of the session", func() error {
		v := w.key(user)
		if v.Lease.Holder != nil || v.Key.State != broadcast.KeyInactive || v.Key.Fence.Before(broadcast.Fence{Epoch: v.Lease.Epoch, Seq: v.Lease.Seq}) {
			return fmt.Errorf("key %s, fence %+v, lease %+v", v.Key.State, v.Key.Fence, v.Lease)
		}
		return nil
	})
}

// awaitSegments waits until so many segments of the key are published.
func (w *world) awaitSegments(user string, n uint64) {
	w.Helper()
	w.eventually(fmt.Sprintf("%d segments", n), func() error {
		if got := lastPublished(w.recorder.Log(), folder(w.key(user))); got < n {
			return fmt.Errorf("%d are published", got)
		}
		return nil
	})
}

// eventually tries until it works: the condition is another goroutine's.
func (w *world) eventually(what string, try func() error) {
	w.Helper()
	const within = 20 * time.Second
	for deadline := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.Fatalf("not within %s: %s: %v", within, what, err)
		}
	}
}

// logged waits for words in the log.
func (w *world) logged(words string) {
	w.Helper()
	w.eventually("the log says "+words, func() error {
		if !strings.Contains(w.log.String(), words) {
			return errors.New("it does not")
		}
		return nil
	})
}

// moves lists the transitions of a key that carried no room.
func (w *world) moves(user string) string {
	w.Helper()
	list, err := w.db.Journal(w.Context(), string(w.key(user).Key.ID), control.Page{Limit: 200, Ascending: true})
	w.no(err)
	var all []string
	for _, e := range list.Items {
		if e.Kind == control.EntryTransition && e.Machine == broadcast.KeyMachine {
			all = append(all, e.To)
		}
	}
	return strings.Join(all, " ")
}

// source answers the tags of a source, its metadata left out.
func source(t *testing.T, s mediatest.Spec) []rtmpout.Tag {
	t.Helper()
	return readFLV(t, mediatest.Generate(t, s))
}

func readFLV(t *testing.T, path string) []rtmpout.Tag {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // was only read
	var tags []rtmpout.Tag
	for tag, err := range rtmpout.ReadFLV(f) {
		if err != nil {
			t.Fatal(err)
		}
		if tag.Type != rtmpout.TypeData {
			tags = append(tags, tag)
		}
	}
	return tags
}

// push sends tags as fast as the server takes them.
func (w *world) push(c *rtmpout.Client, tags []rtmpout.Tag) {
	w.Helper()
	for _, g := range tags {
		w.no(c.Write(g.Type, g.TimestampMS, g.Payload))
	}
}

// stream sends tags by the world's clock, over and over, until the test is
// over, stop is called or the server ends the publish.
func (w *world) stream(c *rtmpout.Client, tags []rtmpout.Tag) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.paced(ctx, c, tags, 1<<20) // the client knows why it ended
	}()
	stop = func() { cancel(); <-done }
	w.Cleanup(stop)
	return stop
}

// paced sends tags by the world's clock; timestamps rise over the rounds.
func (w *world) paced(ctx context.Context, c *rtmpout.Client, tags []rtmpout.Tag, rounds int) error {
	begin, period := w.clock.now(), time.Duration(tags[len(tags)-1].TimestampMS+40)*time.Millisecond
	for n := range rounds {
		for _, g := range tags {
			at := time.Duration(n)*period + time.Duration(g.TimestampMS)*time.Millisecond
			if early := begin.Add(at).Sub(w.clock.now()); early > 0 {
				if err := w.clock.sleep(ctx, early); err != nil {
					return err
				}
			}
			if err := c.Write(g.Type, uint32(at.Milliseconds()), g.Payload); err != nil {
				return err
			}
		}
	}
	return nil
}
