package broadcast_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/roomcast/roomcast/internal/broadcast"
)

// expectations are what may follow "expect", between commas.
var expectations = []sentence{
	on(`nothing changed`, func(s *story, _ []string) error {
		if o := s.last; o.KeyChanged || o.RoomChanged || o.LeaseChanged || len(o.Transitions) > 0 {
			return fmt.Errorf("something changed: %+v", o)
		}
		return nil
	}),
	on(`stale`, func(s *story, _ []string) error { return is("stale", s.last.Stale, true) }),
	on(`forbidden`, func(s *story, _ []string) error { return is("forbidden", s.last.Forbidden != nil, true) }),
	on(`key carries nothing`, func(s *story, _ []string) error { return is("carried room", string(s.key.RoomID), "") }),
	on(`key carries room (\w+)`, func(s *story, w []string) error {
		return is("carried room", string(s.key.RoomID), "room_"+w[1])
	}),
	on(`key went ([A-Z_> ]+)`, func(s *story, w []string) error { return is("key's way", s.way(broadcast.KeyMachine), w[1]) }),
	on(`room went ([A-Z_> ]+)`, func(s *story, w []string) error {
		return is("room's way", s.way(broadcast.RoomMachine), w[1])
	}),
	on(`key string number (\d+)`, func(s *story, w []string) error { return is("key string number", fmt.Sprint(s.key.Generation), w[1]) }),
	on(`key mode (\w+)`, func(s *story, w []string) error {
		mode := string(s.key.Mode)
		if mode == "" {
			mode = "none"
		}
		return is("mode", mode, w[1])
	}),
	on(`key error (\w+)`, func(s *story, w []string) error {
		code := "none"
		if s.key.LastError != nil {
			code = s.key.LastError.Code
		}
		return is("error", code, w[1])
	}),
	on(`key ([A-Z_]+)`, func(s *story, w []string) error { return is("key", string(s.key.State), w[1]) }),
	on(`play id ([\w-]+)`, func(s *story, w []string) error { return is("play id", string(s.lease.PlayID), w[1]) }),
	on(`last segment (\d+)`, func(s *story, w []string) error { return is("last segment", fmt.Sprint(s.lease.LastSegment), w[1]) }),
	on(`rooms (\w+) and (\w+) have different play ids`, differentPlayIDs),
	on(who+` publishes`, func(s *story, w []string) error { return s.published(w[1], true) }),
	on(who+` is cut`, func(s *story, w []string) error { return s.published(w[1], false) }),
	aboutRoom(`play id ([\w-]+)`, func(r broadcast.VideoRoom) string { return string(r.PlayID) }),
	aboutRoom(`mode (\w+)`, func(r broadcast.VideoRoom) string { return string(r.Mode) }),
	aboutRoom(`vod (\w+)`, func(r broadcast.VideoRoom) string { return string(r.VODState) }),
	aboutRoom(`because of (\w+)`, func(r broadcast.VideoRoom) string { return string(r.EndReason) }),
	aboutRoom(`recording from (\d+)`, func(r broadcast.VideoRoom) string { return fmt.Sprint(r.RecordFrom) }),
	aboutRoom(`recording to (\d+)`, func(r broadcast.VideoRoom) string { return fmt.Sprint(r.RecordTo) }),
	aboutRoom(`has (a|no) post`, func(r broadcast.VideoRoom) string {
		if r.PostID == "" {
			return "no"
		}
		return "a"
	}),
	aboutRoom(`([A-Z_]+)`, func(r broadcast.VideoRoom) string { return string(r.State) }),
}

func (s *story) expect(what string) error {
	for _, e := range expectations {
		if words := e.pattern.FindStringSubmatch(what); words != nil {
			return e.do(s, words)
		}
	}
	return fmt.Errorf("%q is nothing that can be expected", what)
}

func aboutRoom(pattern string, field func(broadcast.VideoRoom) string) sentence {
	return sentence{regexp.MustCompile(`^room (\w+) ` + pattern + `$`), func(s *story, w []string) error {
		n, err := s.room(w[1])
		if err != nil {
			return err
		}
		return is("room "+w[1], field(s.rooms[n]), w[2])
	}}
}

func is[T comparable](name string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s is %v, expected %v", name, got, want)
	}
	return nil
}

// published reports whether a publisher's next renewal would be accepted.
func (s *story) published(name string, want bool) error {
	p, err := s.session(name)
	if err != nil {
		return err
	}
	return is(name+" publishes", s.holds(p), want)
}

// way is the states that a machine went through in the last step.
func (s *story) way(m broadcast.Machine) string {
	var list []string
	for _, t := range s.last.Transitions {
		if t.Machine == m {
			list = append(list, t.To)
		}
	}
	return strings.Join(list, " > ")
}

func differentPlayIDs(s *story, w []string) error {
	a, errA := s.room(w[1])
	b, errB := s.room(w[2])
	if errA != nil || errB != nil {
		return errors.Join(errA, errB)
	}
	if s.rooms[a].PlayID == "" || s.rooms[a].PlayID == s.rooms[b].PlayID {
		return fmt.Errorf("the play ids are %q and %q", s.rooms[a].PlayID, s.rooms[b].PlayID)
	}
	return nil
}
