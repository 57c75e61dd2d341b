package session_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/mediatest"
)

// What packager and upload prove apart is proven here of the whole path, from
// the publisher's socket to the files that viewers load.
func TestEverySourceIsPublishedWhole(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]mediatest.Spec{
		"B-frames and 48 kHz stereo": {BFrames: 2, Duration: 8 * time.Second},
		"44.1 kHz mono":              {BFrames: 2, Duration: 8 * time.Second, SampleRate: 44_100, Channels: 1},
		"44.1 kHz stereo, 1 s GOP":   {Duration: 8 * time.Second, SampleRate: 44_100, GOP: 25},
		"48 kHz mono":                {Duration: 8 * time.Second, Channels: 1},
		"video only":                 {BFrames: 2, Duration: 8 * time.Second, NoAudio: true},
		"audio only":                 {Duration: 8 * time.Second, NoVideo: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			key := w.member("alice")
			tags := source(t, spec)
			c := w.publish(key.String)
			w.push(c, tags)
			w.await("alice", broadcast.KeyActive)
			w.no(c.Close())
			w.ended("alice")
			w.closeShow(key.Lease.PlayID)
			w.sound(folder(key))
			got := runs(t, w.recorder.Log(), folder(key))
			if len(got) != 1 {
				t.Fatalf("%d runs", len(got))
			}
			sameUnits(t, got["s1-0"], units(tags))
			if moves := w.moves("alice"); moves != "ACTIVE_PREP ACTIVE INACTIVE" {
				t.Errorf("the key went %s", moves)
			}
			server := httptest.NewServer(w.disk.Handler())
			defer server.Close()
			mediatest.DecodeStrict(t, server.URL+"/"+folder(key)+"master.m3u8")
			mediatest.DecodeStrict(t, server.URL+"/"+folder(key)+"manifest.mpd")
		})
	}
}

// closeShow does what the job of an ended show does.
func (w *world) closeShow(id broadcast.PlayID) {
	w.Helper()
	w.no(w.service.CloseShow(w.Context(), id))
}
