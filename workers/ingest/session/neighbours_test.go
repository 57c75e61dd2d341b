package session_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/mediatest"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

// One healthy publisher streams while others do all that publishers can do
// wrong. Nothing of it may be seen in the healthy one's output.
func TestNobodyElseNoticesABadPublisher(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tags := source(t, usual(t))
	healthy := w.member("healthy")
	c := w.publish(healthy.String)
	ended := make(chan error, 1)
	go func() { ended <- w.paced(context.Background(), c, tags, 3) }()
	w.await("healthy", broadcast.KeyActive)

	w.noise()
	w.garbage("garbage", tags)
	w.broken("broken", tags)
	w.jumps("forward", tags, 60_000)
	w.jumps("back", tags, -6_000)
	w.resizes("resized", tags)
	w.stalls("stalled", tags)

	w.no(<-ended)
	w.no(c.Close())
	w.ended("healthy")
	if moves := w.moves("healthy"); moves != "ACTIVE_PREP ACTIVE INACTIVE" {
		t.Errorf("the healthy key went %s", moves)
	}
	if v := w.key("healthy"); v.Key.LastError != nil || v.Lease.Epoch != 1 {
		t.Errorf("last error %+v, epoch %d", v.Key.LastError, v.Lease.Epoch)
	}
	var sent []rtmpout.Tag
	for n := range 3 {
		for _, g := range tags {
			g.TimestampMS += uint32(n) * (tags[len(tags)-1].TimestampMS + 40)
			sent = append(sent, g)
		}
	}
	got := runs(t, w.recorder.Log(), folder(healthy))
	if len(got) != 1 {
		t.Errorf("%d runs of the healthy publisher", len(got))
	}
	// Where a round begins again, audio and video do not end at the same time:
	// the offset is not one there, and not this test's matter.
	for track, list := range units(sent) {
		if len(got["s1-0"][track]) < len(list) {
			t.Errorf("track %s: %d access units of %d", track, len(got["s1-0"][track]), len(list))
		}
	}
	w.sound(folder(healthy))
}

// noise is bytes that are no RTMP.
func (w *world) noise() {
	w.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		conn, err := net.Dial("tcp", w.worker.address)
		w.no(err)
		b := make([]byte, 1+random.IntN(5000))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		_, _ = conn.Write(b) // it may be closed already
		w.no(conn.SetDeadline(time.Now().Add(50 * time.Millisecond)))
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}
}

// garbage is a publisher of well-framed messages without sense.
func (w *world) garbage(user string, tags []rtmpout.Tag) {
	w.Helper()
	key := w.member(user)
	random := rand.New(rand.NewPCG(3, 4))
	c := w.publish(key.String)
	w.push(c, tags[:10])
	for at := uint32(400); c.Err() == nil && at < 100_000; at += 40 {
		b := make([]byte, 6+random.IntN(300))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		b[0], b[1] = 0x27, 1 // an access unit, of nonsense
		if c.Write(rtmpout.TypeVideo, at, b) != nil {
			break
		}
	}
	w.refused(w.cut(c, 10*time.Second), failed, "malformed")
	w.lastError(user, "MALFORMED_MEDIA", "malformed")
	w.ended(user)
}

// broken is a publisher whose stream was cut to pieces on the way: it ends or
// it goes on, but what is published is sound.
func (w *world) broken(user string, tags []rtmpout.Tag) {
	w.Helper()
	key := w.member(user)
	random := rand.New(rand.NewPCG(5, 6))
	c := w.publish(key.String)
	for i, g := range tags {
		if i > 100 && i%7 == 0 {
			g.Payload = g.Payload[:random.IntN(len(g.Payload)+1)]
		}
		if c.Write(g.Type, g.TimestampMS, g.Payload) != nil {
			break
		}
	}
	_ = c.Close() // it may have been ended
	w.ended(user)
	w.sound(folder(key))
}

// jumps sends the source twice, the second time with a jump in between.
func (w *world) jumps(user string, tags []rtmpout.Tag, ms int) {
	w.Helper()
	key := w.member(user)
	c := w.publish(key.String)
	w.push(c, tags)
	second := make([]rtmpout.Tag, len(tags))
	for i, g := range tags {
		g.TimestampMS += uint32(int(tags[len(tags)-1].TimestampMS) + ms)
		second[i] = g
	}
	w.awaitSegments(user, 3)
	w.push(c, second)
	w.no(c.Close())
	w.ended(user)
	got := runs(w.T, w.recorder.Log(), folder(key))
	if len(got) != 2 {
		w.Fatalf("%s: %d runs, want 2", user, len(got))
	}
	sameUnits(w.T, got["s1-0"], units(tags))
	sameUnits(w.T, got["s1-1"], units(second))
	w.sound(folder(key))
	if moves := w.moves(user); moves != "ACTIVE_PREP ACTIVE INACTIVE" {
		w.Errorf("%s: the key went %s", user, moves)
	}
}

// resizes changes the picture's size within one session.
func (w *world) resizes(user string, tags []rtmpout.Tag) {
	w.Helper()
	key := w.member(user)
	c := w.publish(key.String)
	w.push(c, tags)
	w.awaitSegments(user, 3)
	var second []rtmpout.Tag
	for _, g := range source(w.T, mediatest.Spec{BFrames: 2, Duration: 8 * time.Second, Width: 640, Height: 360}) {
		g.TimestampMS += 8000
		second = append(second, g)
	}
	w.push(c, second)
	w.no(c.Close())
	w.ended(user)
	got := runs(w.T, w.recorder.Log(), folder(key))
	if len(got) != 2 || len(got["s1-1"]["v"]) != len(units(second)["v"]) {
		w.Fatalf("%s: %d runs, %d pictures in the second", user, len(got), len(got["s1-1"]["v"]))
	}
	w.sound(folder(key))
}

// stalls stops for longer than a segment and goes on as if nothing had been.
func (w *world) stalls(user string, tags []rtmpout.Tag) {
	w.Helper()
	key := w.member(user)
	c := w.publish(key.String)
	half := len(tags) / 2
	w.push(c, tags[:half])
	w.no(w.clock.sleep(w.Context(), 4*time.Second)) // a stall is nothing but time
	w.push(c, tags[half:])
	w.no(c.Close())
	w.ended(user)
	got := runs(w.T, w.recorder.Log(), folder(key))
	if len(got) != 1 {
		w.Fatalf("%s: %d runs, want 1", user, len(got))
	}
	sameUnits(w.T, got["s1-0"], units(tags))
	w.sound(folder(key))
}
