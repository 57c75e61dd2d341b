package session_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/ffmpeg"
	"github.com/roomcast/roomcast/internal/ladder"
	"github.com/roomcast/roomcast/internal/mediatest"
)

// laddered makes a world whose keys have a small ladder. Its clock runs at the
// real speed: an encoder has five seconds by it.
func laddered(t *testing.T, more func(*world)) *world {
	t.Helper()
	return newWorld(t, func(w *world) {
		w.clock.run(1)
		w.encoder = ffmpeg.New(t.Context())
		w.profile = func(broadcast.ProfileID) (ladder.Profile, error) {
			return ladder.Profile{SegmentSeconds: 1, Steps: []ladder.Step{
				{Name: "180p", ShortPixels: 180, BitrateBPS: 200_000}, {Name: "90p", ShortPixels: 90, BitrateBPS: 100_000},
			}}, nil
		}
	}, more)
}

func small(t *testing.T) mediatest.Spec {
	t.Helper()
	return mediatest.Spec{Duration: 5 * time.Second, GOP: 25, FPS: 25}
}

// warned waits until the key's owner reads these words.
func (w *world) warned(user, words string) {
	w.Helper()
	w.eventually("warning "+words, func() error {
		h := w.key(user).Lease.Health
		if h == nil || !slices.ContainsFunc(h.Warnings, func(s string) bool { return strings.Contains(s, words) }) {
			return fmt.Errorf("health %+v", h)
		}
		return nil
	})
}

func TestAKeyWithALadderIsActiveWhenEveryRenditionCanBeRead(t *testing.T) {
	t.Parallel()
	w := laddered(t, func(*world) {})
	key := w.member("alice")
	c := w.publish(key.String)
	w.stream(c, source(t, small(t)))
	w.await("alice", broadcast.KeyActive)
	for _, name := range []string{"v.m3u8", "90p.m3u8", "a.m3u8", "master.m3u8", "manifest.mpd"} {
		body, _, err := w.disk.Get(t.Context(), folder(key)+name)
		w.no(err)
		if name == "master.m3u8" && (!strings.Contains(string(body), "RESOLUTION=320x180") || !strings.Contains(string(body), "RESOLUTION=160x90")) {
			t.Errorf("master.m3u8:\n%s", body)
		}
	}
	w.awaitSegments("alice", 4)
	w.no(c.Close())
	w.ended("alice")
	w.sound(folder(key))
	if h := w.key("alice").Lease.Health; h == nil || len(h.Warnings) > 0 {
		t.Errorf("health %+v", h)
	}
	if used, _ := w.worker.handler.Load(); used != 0 {
		t.Errorf("%d places are still taken", used)
	}
}

func TestWithoutAnEncoderALadderIsPublishedAsItComes(t *testing.T) {
	t.Parallel()
	for words, more := range map[string]func(*world){
		"ffmpeg is missing": func(w *world) { w.encoder = nil },
		"does not exist": func(w *world) {
			w.profile = func(broadcast.ProfileID) (ladder.Profile, error) {
				return ladder.Profile{}, fmt.Errorf("profile: %w", control.ErrNotFound)
			}
		},
		"no room for": func(w *world) { w.capacity = 3 },
	} {
		t.Run(words, func(t *testing.T) {
			t.Parallel()
			w := laddered(t, more)
			key := w.member("alice")
			c := w.publish(key.String)
			w.stream(c, source(t, small(t)))
			w.await("alice", broadcast.KeyActive)
			w.warned("alice", words)
			w.no(c.Close())
			w.ended("alice")
			w.sound(folder(key))
			if written(w.recorder.Log(), folder(key)+"90p.m3u8") {
				t.Error("a rendition was published")
			}
		})
	}
}

func TestAFullWorkerRefusesAndAUnreadableProfileToo(t *testing.T) {
	t.Parallel()
	w := laddered(t, func(w *world) { w.capacity, w.encoder = 1, nil })
	first, second := w.member("alice"), w.member("bob")
	c := w.publish(first.String)
	_, err := w.dial(second.String)
	w.refused(err, "NetStream.Publish.Failed", "as many streams as it can")
	w.lastError("bob", "WORKER_FULL", "publish again")
	w.no(c.Close())
	w.ended("alice")
	again := w.publish(second.String)
	w.no(again.Close())
	w.ended("bob")
	w.profile = func(broadcast.ProfileID) (ladder.Profile, error) {
		return ladder.Profile{}, errors.New("the store is out")
	}
	if c, err := w.dial(first.String); err == nil {
		t.Error("published without its profile")
		c.Abort()
	}
	if used, capacity := w.worker.handler.Load(); used != 0 || capacity != 1 {
		t.Errorf("%d of %d places are taken", used, capacity)
	}
}
