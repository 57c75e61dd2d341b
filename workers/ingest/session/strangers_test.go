package session

import (
	"net"
	"testing"
	"time"
)

func at(s string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(s), Port: 1} }

func TestRepeatedFailuresOfOneAddressAreSlowedDown(t *testing.T) {
	var s strangers
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, want := range []time.Duration{0, 0, 0, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 8 * time.Second} {
		if got := s.failed(at("203.0.113.7"), now); got != want {
			t.Errorf("failure %d waits %s, want %s", i+1, got, want)
		}
		now = now.Add(time.Second)
	}
	if got := s.failed(at("203.0.113.8"), now); got != 0 {
		t.Errorf("a neighbour waits %s", got)
	}
	if got := s.failed(at("::ffff:203.0.113.7"), now); got != longestWait {
		t.Errorf("the same address in IPv6's words waits %s", got)
	}
	for i := range 5 {
		s.failed(at("2001:db8::"+string(rune('1'+i))), now)
	}
	if got := s.failed(at("2001:db8::ffff"), now); got == 0 {
		t.Error("another address of the same IPv6 network does not wait")
	}
	if got := s.failed(at("203.0.113.7"), now.Add(forgetAfter)); got != 0 {
		t.Errorf("a minute later it waits %s", got)
	}
	for i := range 3 * maxStrangers {
		s.failed(&net.TCPAddr{IP: net.IPv4(10, byte(i>>16), byte(i>>8), byte(i)), Port: 1}, now)
	}
	if n := len(s.seen); n > maxStrangers {
		t.Errorf("%d addresses are remembered", n)
	}
	s.failed(nil, now)
}
