package session

import (
	"testing"
	"time"
)

// TestAnEncoderIsSentAwaySoThatItIsBackBeforeItsNextKeyFrame: cut when LeaveIn
// says, and back after so long as it is away at most, it is at a key frame.
func TestAnEncoderIsSentAwaySoThatItIsBackBeforeItsNextKeyFrame(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, every := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 10 * time.Second} {
		r := rhythm{at, every}
		for now := at; now.Before(at.Add(25 * time.Second)); now = now.Add(70 * time.Millisecond) {
			away := comesBack(calls{10 * time.Millisecond, 10 * time.Millisecond})
			in := r.leaveIn(now, away)
			if late := now.Add(in+away).Sub(at) % every; in < 0 || in > every || late != 0 {
				t.Fatalf("every %s, %s behind one: cut after %s, it is back %s behind one", every, now.Sub(at), in, late)
			}
		}
	}
	for _, unknown := range []rhythm{{}, {at: at}, {every: time.Second}} {
		if in := unknown.leaveIn(at.Add(time.Second), comesBack(calls{})); in != 0 {
			t.Errorf("nothing is known of %+v, and it waits for %s", unknown, in)
		}
	}
}

func TestHowLongAnEncoderIsAwayFollowsTheStore(t *testing.T) {
	var r renewals
	if away := comesBack(r.call()); away != pause {
		t.Errorf("nothing is known of the store, and it is away for %s", away)
	}
	for range 30 {
		r.took(10 * time.Millisecond)
	}
	quick := comesBack(r.call())
	for range 60 {
		r.took(200 * time.Millisecond)
	}
	if slow := comesBack(r.call()); quick > pause+60*time.Millisecond || slow < pause+900*time.Millisecond || slow > pause+1050*time.Millisecond {
		t.Errorf("it is away for %s where a call takes 10 ms, for %s where it takes 200 ms", quick, slow)
	}
	for i := range 60 {
		r.took(time.Duration(i%2*400) * time.Millisecond)
	}
	if uneven := comesBack(r.call()); uneven < pause+1500*time.Millisecond {
		t.Errorf("it is away for %s where a call takes 200 ms, give or take 200", uneven)
	}
}
