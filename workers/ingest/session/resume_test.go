package session_test

import (
	"bytes"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/media"
	"github.com/roomcast/roomcast/internal/mediatest"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

// whole publishes everything, leaves, and waits for the end.
func (w *world) whole(user string, tags []rtmpout.Tag) {
	w.Helper()
	c := w.publish(w.key(user).String)
	w.push(c, tags)
	w.no(c.Close())
	w.ended(user)
}

func TestSessionsWithDifferentParametersShareOnePresentation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	sessions := [][]rtmpout.Tag{
		source(t, mediatest.Spec{BFrames: 2, Duration: 8 * time.Second, GOP: 100}), // it sets the target duration
		source(t, mediatest.Spec{BFrames: 2, Duration: 8 * time.Second}),
		source(t, mediatest.Spec{BFrames: 2, Duration: 8 * time.Second, SampleRate: 44_100, Channels: 1, Width: 640, Height: 360}),
		source(t, mediatest.Spec{Duration: 8 * time.Second, NoVideo: true}),
		source(t, mediatest.Spec{Duration: 8 * time.Second, NoAudio: true, GOP: 25}),
	}
	for _, tags := range sessions {
		w.whole("alice", tags)
	}
	if v := w.key("alice"); folder(v) != folder(key) || v.Lease.Epoch != uint64(len(sessions)) || v.Lease.LastSegment != lastPublished(w.recorder.Log(), folder(key)) {
		t.Fatalf("lease %+v", v.Lease)
	}
	w.sound(folder(key))
	got := runs(t, w.recorder.Log(), folder(key))
	silent := got["s5-0"]["a"] // of the session without sound: the presentation had some
	delete(got["s5-0"], "a")
	for _, u := range silent {
		if !bytes.Equal(u.data, media.SilentAAC(2)) {
			t.Fatal("the sound of a session without sound is no silence")
		}
	}
	if len(silent) < 8*48_000/1024-1 {
		t.Errorf("%d frames of silence for 8 s", len(silent))
	}
	for i, tags := range sessions {
		sameUnits(t, got["s"+string(rune('1'+i))+"-0"], units(tags))
	}
	last := record(w.recorder.Log(), folder(key))
	var gone int // with segments that left the window
	for line := range strings.Lines(last) {
		if v, ok := strings.CutPrefix(line, "#EXT-X-DISCONTINUITY-SEQUENCE:"); ok {
			var err error
			gone, err = strconv.Atoi(strings.TrimSpace(v))
			w.no(err)
		}
	}
	if n := gone + strings.Count(last, "#EXT-X-DISCONTINUITY\n"); n != len(sessions)-1 {
		t.Errorf("%d discontinuities in\n%s", n, last)
	}
	if !strings.Contains(last, "#EXT-X-TARGETDURATION:4\n") {
		t.Errorf("the target duration changed:\n%s", last)
	}
	if strings.Contains(last, "#EXT-X-ENDLIST") {
		t.Error("the playlist ended before the show")
	}
}

func TestAReconnectIsOneSeamThatDecodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	tags := source(t, usual(t))
	lost := w.publish(key.String)
	w.push(lost, tags)
	w.awaitSegments("alice", 3)
	lost.Abort() // what came before the loss is kept
	w.ended("alice")
	w.whole("alice", tags)
	w.closeShow(key.Lease.PlayID)
	w.sound(folder(key))
	got := runs(t, w.recorder.Log(), folder(key))
	sameUnits(t, got["s1-0"], units(tags))
	sameUnits(t, got["s2-0"], units(tags))
	server := httptest.NewServer(w.disk.Handler())
	defer server.Close()
	mediatest.DecodeStrict(t, server.URL+"/"+folder(key)+"master.m3u8")
}

func TestAnotherProcessGoesOnWhereAKilledOneStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	tags := source(t, usual(t))
	c := w.publish(key.String)
	w.stream(c, tags)
	w.awaitSegments("alice", 3)
	w.crash()
	w.ended("alice")
	before := lastPublished(w.recorder.Log(), folder(key))
	writes := len(w.recorder.Log())
	w.whole("alice", tags)
	got := runs(t, w.recorder.Log(), folder(key))
	sameUnits(t, got["s2-0"], units(tags))
	if last := lastPublished(w.recorder.Log(), folder(key)); last != before+4 {
		t.Errorf("segments %d to %d after the restart", before, last)
	}
	for _, x := range w.recorder.Log()[writes:] {
		if strings.Contains(x.Key, "/s1-") {
			t.Errorf("%s was written after the crash", x.Key)
		}
	}
	w.sound(folder(key))
	if moves := w.moves("alice"); moves != "ACTIVE_PREP ACTIVE INACTIVE ACTIVE_PREP ACTIVE INACTIVE" {
		t.Errorf("the key went %s", moves)
	}
}

func TestAShutdownFinishesTheOpenSegmentAndTellsTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	tags := source(t, usual(t))
	c := w.publish(key.String)
	w.push(c, tags)
	w.awaitSegments("alice", 3)
	time.Sleep(300 * time.Millisecond) // what was pushed is read 20 times a second
	begin := time.Now()
	w.worker.stop(t)
	if took := time.Since(begin); took > 8*time.Second {
		t.Errorf("the shutdown took %s", took)
	}
	w.refused(w.cut(c, time.Second), "NetConnection.Connect.AppShutdown", "please reconnect")
	w.no(free(w.key("alice")))
	w.ended("alice")
	sameUnits(t, runs(t, w.recorder.Log(), folder(key))["s1-0"], units(tags))
	w.sound(folder(key))
	w.startWorker()
	w.whole("alice", tags)
	w.sound(folder(key))
}
