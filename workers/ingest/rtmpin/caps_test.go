package rtmpin

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

// turnedAway tells whether the server closed a fresh connection unheard.
func (h *house) turnedAway(c net.Conn) bool {
	h.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	_, err := c.Read(make([]byte, 1))
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

func TestConnectionsOfOneAddressAreCapped(t *testing.T) {
	h := open(t, Options{MaxEarlyPerAddress: 3})
	h.neighbour()
	for range 5 { // admitted publishers do not count
		h.publish("good" + time.Now().String())
	}
	var held []net.Conn
	for range 3 {
		held = append(held, h.dial(true))
	}
	if !h.turnedAway(h.dial(false)) {
		t.Error("a fourth connection was let in")
	}
	_ = held[0].Close()
	h.logged("rtmp connections refused")
	for deadline := time.Now().Add(patience); h.turnedAway(h.dial(false)); {
		if time.Now().After(deadline) {
			t.Fatal("the free place is not given away")
		}
	}
}

func TestALoadBalancerIsNotOneViewer(t *testing.T) {
	h := open(t, Options{MaxEarlyPerAddress: 1, LoadBalancers: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	for range 5 {
		h.dial(true)
	}
}

func TestConnectionsInAllAreCapped(t *testing.T) {
	h := open(t, Options{MaxConns: 4})
	h.neighbour()
	held := []net.Conn{h.dial(true), h.dial(true), h.dial(true)}
	if !h.turnedAway(h.dial(false)) {
		t.Error("a fifth connection was let in")
	}
	_ = held[0].Close()
	for deadline := time.Now().Add(patience); h.turnedAway(h.dial(false)); {
		if time.Now().After(deadline) {
			t.Fatal("the free place is not given away")
		}
	}
}

func TestAddressesAreCountedByHost(t *testing.T) {
	s := &Server{}
	count := func(a string) netip.Addr {
		got, ok := s.countedAddress(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(a)))
		if !ok {
			t.Errorf("%s does not count", a)
		}
		return got
	}
	if count("192.0.2.1:5") != count("[::ffff:192.0.2.1]:6") || count("192.0.2.1:5") == count("192.0.2.2:5") {
		t.Error("IPv4")
	}
	if count("[2001:db8::1]:5") != count("[2001:db8::ffff:1]:6") || count("[2001:db8::1]:5") == count("[2001:db8:0:1::1]:5") {
		t.Error("IPv6")
	}
}

// TestOutOfFileDescriptorsIsWaitedOut is P7 of docs/lal.md: with no descriptor
// left accept fails, the live publisher goes on, and when there are some again
// the connection that waited is served.
func TestOutOfFileDescriptorsIsWaitedOut(t *testing.T) {
	h := open(t, Options{})
	h.neighbour()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	low := old
	low.Cur = min(old.Cur, 256)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	var hoard []*os.File
	defer func() {
		for _, f := range hoard {
			_ = f.Close()
		}
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old)
	}()
	for {
		f, err := os.Open(os.DevNull)
		if errors.Is(err, syscall.EMFILE) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		hoard = append(hoard, f)
	}
	last := len(hoard) - 1
	_ = hoard[last].Close() // one for our end; the server's has none
	hoard = hoard[:last]
	waiting := h.dial(false)
	h.logged("too many open files")
	for _, f := range hoard {
		_ = f.Close()
	}
	hoard = nil
	shake(t, waiting)
	_ = h.publish("good").Close()
}

// The last descriptors are for who is in: segments and playlists are written
// while strangers take all that connections may have.
func TestConnectionsLeaveDescriptorsToWhoIsIn(t *testing.T) {
	h := open(t, Options{MaxEarlyPerAddress: 1000})
	h.neighbour()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	low := old
	low.Cur = min(old.Cur, 256)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old) }()
	for range 110 { // two descriptors each: both ends are here
		h.dial(false)
	}
	h.logged("too few file descriptors are left")
	for range 20 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatalf("nothing is left to write with: %v", err)
		}
		defer func() { _ = f.Close() }()
	}
}

// failingListener fails some accepts in ways that are no end.
type failingListener struct {
	net.Listener
	errs []error
}

func (l *failingListener) Accept() (net.Conn, error) {
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return nil, err
	}
	return l.Listener.Accept()
}

func TestAcceptLoopSurvivesErrors(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := openOn(t, Options{}, &failingListener{ln, []error{syscall.EMFILE, syscall.ECONNABORTED, io.ErrUnexpectedEOF}})
	if err := h.publish("good").Close(); err != nil {
		t.Error(err)
	}
}
