package session

import "time"

const (
	// comesBack is how long an encoder that was cut takes until its pictures
	// come in again: most pause for 1 s, and then there are the handshakes, the
	// look-up of the key, the lease and the output.
	comesBack = 1500 * time.Millisecond
	// nearEnough is how much earlier than that may be.
	nearEnough = 150 * time.Millisecond
)

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
	return r.leaveIn(now)
}

func (r rhythm) leaveIn(now time.Time) time.Duration {
	if r.every <= 0 || r.at.IsZero() {
		return 0
	}
	next := r.every - (now.Sub(r.at)+comesBack)%r.every // from when it is back
	return max(0, next-nearEnough)
}
