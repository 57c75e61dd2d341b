package rtmpin

import (
	"net"
	"net/netip"
)

// enter counts a connection in and adds it to the wait group; a reason says
// which cap refuses it.
func (s *Server) enter(g *guard) (reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped:
		return "shutting down"
	case len(s.guards)-s.viewers >= s.opts.MaxConns:
		return "too many connections"
	case g.counted && s.early[g.addr] >= s.opts.MaxEarlyPerAddress:
		return "too many connections of one address"
	}
	s.guards[g] = struct{}{}
	if g.counted {
		s.early[g.addr]++
	}
	s.wg.Add(1)
	return ""
}

// admitted takes a publisher off its address's count. Once is enough, more do no harm.
func (s *Server) admitted(g *guard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uncount(g)
}

// watching takes an admitted viewer off the counts.
func (s *Server) watching(g *guard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uncount(g)
	s.viewers++
}

func (s *Server) leave(g *guard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uncount(g)
	if g.viewer != nil {
		s.viewers--
	}
	delete(s.guards, g)
}

func (s *Server) uncount(g *guard) {
	if !g.counted {
		return
	}
	g.counted = false
	if s.early[g.addr]--; s.early[g.addr] == 0 {
		delete(s.early, g.addr)
	}
}

// countedAddress says what a peer counts as: its address, an IPv6 /64 as one;
// false for load balancers and for what is no address.
func (s *Server) countedAddress(remote net.Addr) (netip.Addr, bool) {
	parsed, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return netip.Addr{}, false
	}
	addr := parsed.Addr().Unmap().WithZone("")
	for _, p := range s.opts.LoadBalancers {
		if p.Contains(addr) {
			return netip.Addr{}, false
		}
	}
	if addr.Is6() {
		p, err := addr.Prefix(64)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = p.Addr()
	}
	return addr, true
}
