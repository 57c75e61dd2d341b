package broadcast_test

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/roomcast/roomcast/internal/broadcast"
)

const who = `(\w+)`

// happenings are the sentences of a scenario, but for "expect …" and
// "refused …". testdata/README.md explains them.
var happenings = []sentence{
	on(`room (\w+) is scheduled`, (*story).schedule),
	on(who+` connects( with the old key)?(?: with mode (\w+))?`, (*story).connect),
	on(who+` takes over(?: with mode (\w+))?`, (*story).takeOver),
	on(who+` becomes viewable`, func(s *story, w []string) error { return s.sends(w[1], broadcast.Published) }),
	on(who+` stops`, (*story).stops),
	on(who+` is refused because of (\w+)`, (*story).refusedPublish),
	on(`segment (\d+) is acknowledged`, (*story).segment),
	on(`the delayed event arrives`, (*story).arrives),
	on(`the same event comes again`, func(s *story, _ []string) error { return s.deliver(s.sent) }),
	on(`the sweeper sends the lost event again`, (*story).heal),
	on(`the sweeper gives the dead worker up`, (*story).sweep),
	on(`go live room (\w+)`, roomCall(func(*story) broadcast.Input { return broadcast.GoLive{} })),
	on(`cancel room (\w+)`, roomCall(func(*story) broadcast.Input { return broadcast.Cancel{} })),
	on(`end room (\w+)`, roomCall(func(s *story) broadcast.Input { return inputFor(&s.world, broadcast.OnEnd) })),
	on(`force end room (\w+)`, roomCall(func(s *story) broadcast.Input { return forceEnd(false)(&s.world) })),
	on(`force end room (\w+) and discard the recording`, roomCall(func(s *story) broadcast.Input { return forceEnd(true)(&s.world) })),
	on(`the recording of room (\w+) is saved`, roomCall(func(*story) broadcast.Input { return broadcast.Saved{} })),
	on(`the reconnect window of room (\w+) is over`, roomCall(func(s *story) broadcast.Input { return roomInput(&s.world, "reconnect timeout") })),
	on(`the longest duration of room (\w+) is over`, roomCall(func(s *story) broadcast.Input { return inputFor(&s.world, broadcast.OnTimeLimit) })),
	on(`force terminate the key`, keyCall(func(s *story) broadcast.Input { return forceEnd(false)(&s.world) })),
	on(`disconnect`, keyCall(func(s *story) broadcast.Input { return broadcast.Revoke{Until: s.now.Add(30 * time.Second)} })),
	on(`reissue the key`, keyCall(func(s *story) broadcast.Input { return broadcast.Reissue{PlayID: s.playID(), Hash: s.hash()} })),
	on(`(\d+) seconds pass`, (*story).pass),
}

func on(pattern string, do func(*story, []string) error) sentence {
	return sentence{regexp.MustCompile(`^` + pattern + `$`), do}
}

func roomCall(in func(*story) broadcast.Input) func(*story, []string) error {
	return func(s *story, w []string) error {
		n, err := s.room(w[1])
		if err != nil {
			return err
		}
		return s.about(n, in(s))
	}
}

func keyCall(in func(*story) broadcast.Input) func(*story, []string) error {
	return func(s *story, _ []string) error { return s.about(s.carried(), in(s)) }
}

func (s *story) schedule(w []string) error {
	if _, taken := s.names[w[1]]; taken {
		return fmt.Errorf("room %s is there already", w[1])
	}
	s.names[w[1]] = len(s.rooms)
	one := newWorld(1).rooms[0]
	one.ID = broadcast.RoomID("room_" + w[1])
	s.rooms = append(s.rooms, one)
	return nil
}

// connect takes the lease by the rules of docs/states.md, "The lease", and
// sends PREP. A publisher knows the string that was valid when it first came.
func (s *story) connect(w []string) error {
	p := s.sessions[w[1]]
	if p == nil {
		p = &session{generation: s.key.Generation}
		s.sessions[w[1]] = p
	}
	if w[2] != "" {
		if s.key.Generation == 1 {
			return errors.New("there is no old key: the string never changed")
		}
		p.generation = s.key.Generation - 1
	}
	switch {
	case p.generation != s.lease.KeyGeneration:
		s.refused = "UNKNOWN_KEY"
	case s.now.Before(s.lease.RefusedUntil):
		s.refused = "DISCONNECTED"
	case s.lease.Holder != nil:
		s.refused = "KEY_IN_USE"
	default:
		return s.admit(p, w[3])
	}
	return nil
}

// takeOver is a challenger's after the holder's media stood still for 5 s.
func (s *story) takeOver(w []string) error {
	p := &session{generation: s.key.Generation}
	s.sessions[w[1]] = p
	return s.admit(p, w[2])
}

func (s *story) admit(p *session, mode string) error {
	p.mode = broadcast.ModeCMAF
	if mode != "" {
		p.mode = broadcast.Mode(mode)
	}
	s.take("session")
	p.epoch, p.seq = s.lease.Epoch, 0
	return s.send(p, broadcast.Prep)
}

func (s *story) sends(name string, phase broadcast.Phase) error {
	p, err := s.session(name)
	if err != nil {
		return err
	}
	return s.send(p, phase)
}

func (s *story) stops(w []string) error {
	p, err := s.session(w[1])
	if err != nil {
		return err
	}
	err = s.send(p, broadcast.Stopped)
	if s.holds(p) {
		s.lease.Holder = nil
	}
	return err
}

func (s *story) refusedPublish(w []string) error {
	return s.deliver(broadcast.Event{
		KeyID: s.key.ID, Phase: broadcast.Refused, At: s.now, Error: &broadcast.KeyError{Code: w[2], At: s.now},
	})
}

func (s *story) segment(w []string) (err error) {
	s.lease.LastSegment, err = strconv.ParseUint(w[1], 10, 32)
	return err
}

func (s *story) arrives([]string) error {
	if len(s.waiting) == 0 {
		return errors.New("no event is delayed")
	}
	e := s.waiting[0]
	s.waiting = s.waiting[1:]
	return s.deliver(e)
}

// heal is the sweeper's comparison of lease and key.
func (s *story) heal([]string) error {
	e := broadcast.Event{
		KeyID: s.key.ID, Epoch: s.lease.Epoch, Seq: s.lease.Seq, Phase: s.lease.Phase, Mode: s.lease.Mode,
	}
	if !s.key.Fence.Before(e.Fence()) {
		return errors.New("the sweeper sees no lost event: the key is not behind the lease")
	}
	return s.deliver(e)
}

func (s *story) sweep([]string) error {
	if s.lease.Holder == nil {
		return errors.New("nobody holds the lease")
	}
	e := s.giveUp()
	if s.lost {
		return nil
	}
	return s.deliver(e)
}

func (s *story) pass(w []string) error {
	n, err := strconv.Atoi(w[1])
	s.now = s.now.Add(time.Duration(n) * time.Second)
	return err
}
