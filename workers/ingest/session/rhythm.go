package session

import "time"

const (
	// pause is what most encoders that were cut wait for, and what a connection,
	// its handshakes and the reading of the first message take.
	pause = 1200 * time.Millisecond
	// calls is how many calls of the store come before the first picture: two
	// to find the key, the lease, the output read and written.
	calls = 5
	// nearEnough is how much too early a cut may be.
	nearEnough = 100 * time.Millisecond
)

// comesBack is how long an encoder that was cut is away where the store takes
// so long for a call.
func comesBack(call time.Duration) time.Duration { return pause + calls*call }

// rhythm is when a publisher's key frames come.
type rhythm struct {
	at    time.Time     // of one of them
	every time.Duration // 0 = unknown
}

// LeaveIn implements drain.Leaver. An encoder that goes on where it is begins
// with its next key frame: one that is back right behind one loses a whole GOP.
func (s *session) LeaveIn(now time.Time) time.Duration {
	r := s.rhythm.Load()
	if r == nil {
		return 0
	}
	return r.leaveIn(now, comesBack(s.h.kept.call()))
}

func (r rhythm) leaveIn(now time.Time, away time.Duration) time.Duration {
	if r.every <= 0 || r.at.IsZero() {
		return 0
	}
	waits := r.every - (now.Sub(r.at)+away)%r.every // when it is back
	return max(0, waits-nearEnough)
}
