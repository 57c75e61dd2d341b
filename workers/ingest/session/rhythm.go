package session

import "time"

const (
	// pause is the second for which most encoders that were cut wait, 0.2 s for a
	// connection, its handshakes and the reading of the first message, and as much
	// again and more for who is slow: being late costs a GOP.
	pause = 1500 * time.Millisecond
	// callsBefore is how many calls of the store come before the first picture:
	// two to find the key, the lease, the output read and written.
	callsBefore = 5
)

// comesBack is how long an encoder that was cut is away where each call takes as
// long as it may before somebody should wonder (RFC 6298 2.3). Who comes before
// its key frame waits for a moment, who comes right behind it for a whole GOP.
func comesBack(c calls) time.Duration { return pause + callsBefore*(c.mean+4*c.deviation) }

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
	return r.every - (now.Sub(r.at)+away)%r.every // what it would wait for a key frame
}
