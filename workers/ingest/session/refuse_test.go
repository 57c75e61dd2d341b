package session_test

import (
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
	"github.com/roomcast/roomcast/internal/control"
	"github.com/roomcast/roomcast/internal/mediatest"
	"github.com/roomcast/roomcast/internal/rtmpout"
)

const badName, failed = "NetStream.Publish.BadName", "NetStream.Publish.Failed"

func TestAnUnknownKeyIsRefusedAndTouchesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	for _, text := range []string{"nonsense", key.String + "x", key.String[1:]} {
		_, err := w.dial(text)
		w.refused(err, badName, "the stream key is not valid")
	}
	after := w.key("alice")
	if after.Key.Version != key.Key.Version || after.Lease.Epoch != key.Lease.Epoch || after.Key.LastError != nil {
		t.Fatalf("the key is %+v, lease %+v", after.Key, after.Lease)
	}
}

func TestModesThatCannotBeServedAreRefusedWithAReasonThatTheOwnerSees(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for user, c := range map[string]struct{ query, code, words string }{
		"unknown":  {"?mode=HLS", "UNKNOWN_MODE", "mode must be RTMP, CMAF or RTMP_CMAF"},
		"empty":    {"?mode=%20", "UNKNOWN_MODE", "mode must be"},
		"rtmp":     {"?mode=RTMP", "MODE_NOT_AVAILABLE", "mode RTMP is not available yet"},
		"both":     {"?mode=RTMP_CMAF", "MODE_NOT_AVAILABLE", "mode RTMP_CMAF is not available yet"},
		"lower":    {"?mode=rtmp", "MODE_NOT_AVAILABLE", "mode RTMP is not available yet"},
		"sideways": {"?a=b&mode=rtmp_CMAF", "MODE_NOT_AVAILABLE", "RTMP_CMAF"},
	} {
		key := w.member(user)
		_, err := w.dial(key.String + c.query)
		w.refused(err, badName, c.words)
		w.lastError(user, c.code, c.words)
		if after := w.key(user); after.Key.State != broadcast.KeyInactive || after.Lease.Epoch != 0 {
			t.Fatalf("%s: the key is %s, epoch %d", user, after.Key.State, after.Lease.Epoch)
		}
	}
	// The key's own mode counts where the URL has none; the URL goes before it.
	key := w.member("own")
	mode := broadcast.ModeRTMP
	_, err := w.service.UpdateKey(t.Context(), w.caller, key.Key.ID, control.KeyPatch{
		OutputMode: control.Field[broadcast.Mode]{Set: true, Value: &mode},
	})
	w.no(err)
	_, err = w.dial(key.String)
	w.refused(err, badName, "mode RTMP is not available yet")
	c := w.publish(key.String + "?mode=cmaf")
	w.push(c, source(t, mediatest.Spec{BFrames: 2, Duration: 8 * time.Second}))
	if v := w.await("own", broadcast.KeyActive); v.Key.Mode != broadcast.ModeCMAF {
		t.Fatalf("the mode is %s", v.Key.Mode)
	}
}

func TestOfManyRefusalsOneInTenSecondsIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.member("alice")
	told := make(chan broadcast.Event, 100)
	w.worker.faults.plant(func(f *faults) {
		f.send = func(e broadcast.Event) error { told <- e; return nil }
	})
	_, err := w.dial(key.String + "?mode=A")
	w.refused(err, badName, "mode must be")
	w.lastError("alice", "UNKNOWN_MODE", "mode must be")
	for range 3 {
		_, err = w.dial(key.String + "?mode=RTMP")
		w.refused(err, badName, "not available yet")
	}
	if n := len(told); n != 1 {
		t.Fatalf("%d refusals were told within 10 s, want 1", n)
	}
	w.clock.pass(10 * time.Second)
	_, err = w.dial(key.String + "?mode=RTMP")
	w.refused(err, badName, "not available yet")
	w.lastError("alice", "MODE_NOT_AVAILABLE", "not available yet")
	if n := len(told); n != 2 {
		t.Fatalf("%d refusals were told, want 2", n)
	}
}

func TestUnsupportedCodecsEndTheSessionWithTheCodecsName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for user, c := range map[string]struct {
		kind    rtmpout.MessageType
		payload []byte
		words   string
	}{
		"av1":  {rtmpout.TypeVideo, []byte("\x90av01\x81\x00\x0c\x00"), "video codec av01 is not supported"},
		"vp6":  {rtmpout.TypeVideo, []byte{0x14, 0, 1, 2, 3, 4}, "is not supported"},
		"opus": {rtmpout.TypeAudio, []byte("\x90OpusOpusHead\x01\x02"), "audio codec Opus is not supported"},
		"mp3":  {rtmpout.TypeAudio, []byte{0x2f, 0xff, 0xfb, 0x90, 0x64}, "MP3 is not supported"},
	} {
		key := w.member(user)
		client := w.publish(key.String)
		_ = client.Write(c.kind, 0, c.payload) // the refusal may be faster
		w.refused(w.cut(client, 5*time.Second), failed, c.words)
		w.lastError(user, "UNSUPPORTED_CODEC", c.words)
		w.ended(user)
		if moves := w.moves(user); moves != "ACTIVE_PREP INACTIVE" {
			t.Errorf("%s: the key went %s", user, moves)
		}
	}
}
