package session

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// Whoever tries strings that lead nowhere waits for each answer, longer each
// time; whoever has the right one does not, from whatever address.
const (
	freeFailures  = 3 // a person who mistypes
	firstWait     = 500 * time.Millisecond
	longestWait   = 8 * time.Second
	forgetAfter   = time.Minute // without a failure
	maxStrangers  = 10_000      // addresses that are remembered
	networkOfIPv6 = 64          // bits: what one subscriber has
)

// strangers counts the failures of each address. The zero value is ready. Safe
// for concurrent use.
type strangers struct {
	mu   sync.Mutex
	seen map[netip.Prefix]failures
}

type failures struct {
	n    int
	last time.Time
}

// failed answers how long the answer to a string that leads nowhere waits.
func (s *strangers) failed(remote net.Addr, now time.Time) time.Duration {
	from := network(remote)
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.seen[from]
	if now.Sub(f.last) >= forgetAfter {
		f.n = 0
	}
	f.n, f.last = f.n+1, now
	if s.seen == nil || len(s.seen) >= maxStrangers {
		s.seen = map[netip.Prefix]failures{}
	}
	s.seen[from] = f
	if f.n <= freeFailures {
		return 0
	}
	return min(firstWait<<min(f.n-freeFailures-1, 10), longestWait)
}

// network is the address, of IPv6 its subscriber's network; what is no address
// is one like all others that are none.
func network(a net.Addr) netip.Prefix {
	if a == nil {
		return netip.Prefix{}
	}
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{}
	}
	ip, bits := at.Addr().Unmap().WithZone(""), 32
	if ip.Is6() {
		bits = networkOfIPv6
	}
	p, _ := ip.Prefix(bits) // bits fit
	return p
}
